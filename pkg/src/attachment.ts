/** Attachments: large binary data beside documents. A document holds a token; the bytes are stored and travel apart from it. */

import { type Chunks, chunksOf, READ_BYTES } from './attachment-chunks.js';
import type { Core } from './core.js';
import { DittoError, toDittoError, unsupported } from './error.js';
import { Logger } from './logger.js';

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

/** No document names the attachment any more. */
export interface AttachmentFetchEventDeleted {
  readonly type: 'Deleted';
}

/** What a fetcher tells. */
export type AttachmentFetchEvent = AttachmentFetchEventCompleted | AttachmentFetchEventProgress | AttachmentFetchEventDeleted;

/** What an attachment is created from. */
export type AttachmentSource = Uint8Array | ArrayBuffer | Blob | ReadableStream<Uint8Array>;

/** Large binary data beside a document. Can be passed as an argument of a statement. */
export class Attachment {
  readonly id: string;
  readonly len: number | bigint;
  readonly metadata: AttachmentMetadata;
  readonly #core: Core;

  /** @internal */
  constructor(core: Core, token: TypedAttachmentTokenV1) {
    this.#core = core;
    this.id = token.id;
    this.len = token.len;
    this.metadata = token.metadata;
  }

  /** Returns all bytes. For large attachments `stream` or `blob` need less memory. */
  async data(): Promise<Uint8Array> {
    const bytes = new Uint8Array(Number(this.len));
    let at = 0;
    for (let chunk = 0; at < bytes.length; chunk++) {
      const read = await this.#read(chunk);
      bytes.set(read, at);
      at += read.length;
    }
    return bytes;
  }

  /** Returns the bytes in pieces of 256 KiB, read as they are asked for. */
  stream(): ReadableStream<Uint8Array> {
    const count = Math.ceil(Number(this.len) / READ_BYTES);
    let chunk = 0;
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        if (chunk < count) controller.enqueue(await this.#read(chunk++));
        if (chunk === count) controller.close();
      },
    });
  }

  /** Returns the bytes as a Blob, which the browser may keep out of memory. */
  async blob(type = ''): Promise<Blob> {
    return new Response(this.stream(), { headers: { 'content-type': type } }).blob();
  }

  /** Not supported in browsers. */
  copyToPath(_path: string): Promise<void> {
    return Promise.reject(unsupported('Attachment.copyToPath'));
  }

  async #read(chunk: number): Promise<Uint8Array> {
    return (await this.#core.run((peer) => peer.blobRead(this.id, chunk) as Promise<{ bytes: Uint8Array }>)).bytes;
  }
}

/** Names an attachment. */
export class AttachmentToken {
  readonly id: string;
  readonly len: number | bigint;
  readonly metadata: AttachmentMetadata;
  readonly idBytes: Uint8Array;

  constructor(token: UntypedAttachmentToken) {
    const { id, len, metadata } = token ?? {};
    const isLength = (typeof len === 'number' && Number.isSafeInteger(len) && len >= 0) || typeof len === 'bigint';
    if (typeof id !== 'string' || !/^[0-9a-f]{64}$/.test(id) || !isLength) {
      throw new DittoError('store/attachment-token-invalid', 'A token has an id (64 hexadecimal digits), a len (bytes) and metadata.');
    }
    this.id = id;
    this.len = len;
    this.metadata = validateAttachmentMetadata(metadata ?? {});
    this.idBytes = Uint8Array.from(id.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
  }
}

/** An attachment on its way. Waits until a peer in reach has it; what has come stays when the page is left. */
export class AttachmentFetcher implements PromiseLike<Attachment | null> {
  /** The attachment; `null` when the fetch was stopped, or no document names it any more. */
  readonly attachment: Promise<Attachment | null>;
  readonly #stop: () => void;

  /** @internal */
  constructor(core: Core, token: AttachmentToken, handler: ((event: AttachmentFetchEvent) => void) | undefined, ended: (fetcher: AttachmentFetcher) => void) {
    const { id, len } = token;
    const key = nextKey++;
    const tell = (event: AttachmentFetchEvent) => {
      try {
        handler?.(event);
      } catch (cause) {
        Logger.error(`A handler of fetchAttachment threw: ${String(cause)}`);
      }
    };
    const unlisten = core.on('blobProgress', (progress) => {
      if (progress.id === id) tell({ type: 'Progress', totalBytes: len, downloadedBytes: progress.haveBytes });
    });
    let giveUp = (_: 'stopped') => {};
    const stopped = new Promise<'stopped'>((resolve) => (giveUp = resolve));
    this.#stop = () => {
      giveUp('stopped');
      core.dismiss((peer) => peer.blobStop(key));
    };
    const fetched = core.run((peer) => peer.blobFetch(key, id, Number(len)) as Promise<number | undefined>);
    const end = (attachment: Attachment | null) => {
      unlisten();
      ended(this);
      return attachment;
    };
    this.attachment = Promise.race([fetched, stopped]).then(
      (result) => {
        if (result === 'stopped') return end(null);
        const attachment = result === undefined ? null : new Attachment(core, token);
        end(attachment);
        tell(attachment === null ? { type: 'Deleted' } : { type: 'Completed', attachment });
        return attachment;
      },
      (cause: unknown) => {
        end(null);
        throw toDittoError(cause);
      },
    );
    // Whoever has only a handler is not told of the failure by an unhandled rejection.
    this.attachment.catch(() => undefined);
  }

  /** Gives up; what has come stays for the next time. */
  stop(): void {
    this.#stop();
  }

  /** Waits for the attachment. */
  then<A = Attachment | null, B = never>(
    onfulfilled?: ((value: Attachment | null) => A | PromiseLike<A>) | null,
    onrejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): PromiseLike<A | B> {
    return this.attachment.then(onfulfilled, onrejected);
  }
}

let nextKey = 1;

/**
 * Writes an attachment chunk by chunk; what was written of one that fails is removed.
 *
 * @internal
 */
export async function createAttachment(core: Core, source: AttachmentSource, metadata: AttachmentMetadata): Promise<Attachment> {
  const chunks: Chunks = chunksOf(source);
  const number = await core.run((peer) => peer.blobBegin());
  let len = 0;
  try {
    for await (const chunk of chunks) {
      len += chunk.length;
      await core.run((peer) => peer.blobWrite(number, chunk));
    }
    const id = await core.run((peer) => peer.blobFinish(number) as Promise<string>);
    return new Attachment(core, { id, len, metadata });
  } catch (cause) {
    core.dismiss((peer) => peer.blobDrop(number));
    const { code, message } = toDittoError(cause);
    if (code === 'store/closed' || code === 'store/quota-exceeded') throw cause;
    throw new DittoError('store/failed-to-create-attachment', message, { cause });
  }
}

/** Throws unless all values are text. */
export function validateAttachmentMetadata(metadata: unknown): AttachmentMetadata {
  if (typeof metadata !== 'object' || metadata === null || Object.values(metadata).some((value) => typeof value !== 'string')) {
    throw new DittoError('validation/not-an-object', 'Attachment metadata is an object whose values are text.');
  }
  return { ...(metadata as AttachmentMetadata) };
}
