/** Attachments: the shapes of the original. They are not built yet and say so. */

import { DittoError, unsupported } from './error.js';

/** What an application says about an attachment. */
export type AttachmentMetadata = { [key: string]: string };

/** A token as it stands in a document. */
export interface UntypedAttachmentToken {
  [key: string]: any;
}

/** The first version of a token. */
export interface TypedAttachmentTokenV1 {
  readonly id: string;
  readonly len: number | bigint;
  readonly metadata: AttachmentMetadata;
}

/** The kinds of events of a fetcher. */
export type AttachmentFetchEventType = 'Completed' | 'Progress' | 'Deleted';

/** The attachment is here. */
export interface AttachmentFetchEventCompleted {
  readonly type: 'Completed';
  readonly attachment: Attachment;
}

/** A part of the attachment is here. */
export interface AttachmentFetchEventProgress {
  readonly type: 'Progress';
  readonly totalBytes: number | bigint;
  readonly downloadedBytes: number | bigint;
}

/** The attachment was deleted. */
export interface AttachmentFetchEventDeleted {
  readonly type: 'Deleted';
}

/** What a fetcher tells. */
export type AttachmentFetchEvent = AttachmentFetchEventCompleted | AttachmentFetchEventProgress | AttachmentFetchEventDeleted;

/** Large binary data beside a document. */
export class Attachment {
  readonly id: string;
  readonly len: number | bigint;
  readonly metadata: AttachmentMetadata;

  /** @internal */
  constructor(token: TypedAttachmentTokenV1) {
    this.id = token.id;
    this.len = token.len;
    this.metadata = token.metadata;
  }

  /** Not supported yet. */
  data(): Promise<Uint8Array> {
    return Promise.reject(unsupported('Attachment.data'));
  }

  /** Not supported in browsers. */
  copyToPath(_path: string): Promise<void> {
    return Promise.reject(unsupported('Attachment.copyToPath'));
  }
}

/** Names an attachment. */
export class AttachmentToken {
  readonly id: string;
  readonly len: number | bigint;
  readonly metadata: AttachmentMetadata;
  readonly idBytes: Uint8Array;

  constructor(token: UntypedAttachmentToken) {
    const { id, len, metadata } = token;
    if (typeof id !== 'string' || (typeof len !== 'number' && typeof len !== 'bigint')) {
      throw new DittoError('store/attachment-token-invalid', 'A token has an id (text), a len (number) and metadata.');
    }
    this.id = id;
    this.len = len;
    this.metadata = validateAttachmentMetadata(metadata ?? {});
    this.idBytes = Uint8Array.from(id.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
  }
}

/** An attachment on its way. */
export class AttachmentFetcher implements PromiseLike<Attachment | null> {
  readonly attachment: Promise<Attachment | null> = Promise.reject(unsupported('AttachmentFetcher'));

  /** Gives up. */
  stop(): void {}

  /** Waits for the attachment. */
  then<A = Attachment | null, B = never>(
    onfulfilled?: ((value: Attachment | null) => A | PromiseLike<A>) | null,
    onrejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): PromiseLike<A | B> {
    return this.attachment.then(onfulfilled, onrejected);
  }
}

/** Throws unless all values are text. */
export function validateAttachmentMetadata(metadata: unknown): AttachmentMetadata {
  if (typeof metadata !== 'object' || metadata === null || Object.values(metadata).some((value) => typeof value !== 'string')) {
    throw new DittoError('validation/not-an-object', 'Attachment metadata is an object whose values are text.');
  }
  return { ...(metadata as AttachmentMetadata) };
}
