/**
 * A whole database as a file, and back: docs/export.md.
 *
 * The engine makes and reads sections; here they become a stream, compressed where the host can, and a stream becomes
 * sections again. Memory holds one section at a time: a page of documents, or a chunk of an attachment.
 */

import type { AttachmentHead, ChunkSection, ImportedSection, StatePage } from './bindings.js';
import type { Core } from './core.js';
import { DittoError } from './error.js';
import { Logger } from './logger.js';
import { type ByteSource, ByteCutter, blobOf, piecesOf, streamOf, type TransferOptions } from './stream.js';

/** What was imported. */
export interface ImportResult {
  /** Name of the database that was exported. */
  readonly database: string;
  /** When the export was begun. */
  readonly exportedAt: Date;
  /** Version of the package that wrote it. */
  readonly version: string;
  /** Documents in the file, deleted ones included. */
  readonly documents: number;
  /** Documents that the import has changed; the others were here already, or newer. */
  readonly changed: number;
  /** Attachments in the file; those that were here already were not written again. */
  readonly attachments: number;
}

/** The media type of an export. */
const MEDIA_TYPE = 'application/vnd.shoal.export';
const START = [0x53, 0x48, 0x45, 0x58];
const FORMAT = 2;
/** Sections of a greater kind came with format 2. */
const KIND_MAX_OF_FORMAT_1 = 3;
/** Kind and length before a section's body, checksum after it. */
const HEADER_BYTES = 5;
const CHECKSUM_BYTES = 4;
const SECTION_BYTES_MAX = 44 * 1024 * 1024;

/** @internal */
export function exportStream(core: Core, version: string, options: TransferOptions): ReadableStream<Uint8Array<ArrayBuffer>> {
  const plain = streamOf(sections(core, version, options));
  return typeof CompressionStream === 'undefined' ? plain : plain.pipeThrough(new CompressionStream('gzip'));
}

/** @internal */
export function exportBlob(core: Core, version: string, options: TransferOptions): Promise<Blob> {
  return blobOf(exportStream(core, version, options), MEDIA_TYPE);
}

async function* sections(core: Core, version: string, { onProgress, signal }: TransferOptions): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  signal?.throwIfAborted();
  const head = await core.run((peer) => peer.exportHead(version));
  let after: Uint8Array | undefined;
  let [documents, bytes, count] = [0, head.length, 1];
  yield head as Uint8Array<ArrayBuffer>;
  do {
    const from = after;
    const page = await core.run((peer) => peer.exportPage(from) as Promise<StatePage>);
    signal?.throwIfAborted();
    after = page.after;
    documents += page.documents;
    bytes += page.bytes.length;
    count += 1;
    yield page.bytes;
    onProgress?.({ documents, bytes });
  } while (after !== undefined);
  for await (const section of attachments(core)) {
    signal?.throwIfAborted();
    bytes += section.length;
    count += 1;
    yield section;
    onProgress?.({ documents, bytes });
  }
  yield (await core.run((peer) => peer.exportEnd(documents, count))) as Uint8Array<ArrayBuffer>;
}

/** Gives the attachments that are here whole, chunk by chunk. */
async function* attachments(core: Core): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let after: string | undefined;
  for (;;) {
    const head = await core.run((peer) => peer.exportAttachment(after) as Promise<AttachmentHead | undefined>);
    if (head === undefined) return;
    yield head.bytes;
    for (let chunk = 0; chunk < head.chunks; chunk++) {
      const { bytes, lost } = await core.run((peer) => peer.exportChunk(head.id, chunk) as Promise<ChunkSection>);
      yield bytes;
      if (lost) {
        Logger.warning(`The attachment ${head.id} is not in the export: a part of it is damaged, or it was removed meanwhile.`);
        break;
      }
    }
    after = head.id;
  }
}

/** @internal */
export async function importFrom(core: Core, source: ByteSource, options: TransferOptions): Promise<ImportResult> {
  const input = new Input(source, options.signal);
  const cutter = await input.open();
  const importing = new Import(core, options, cutter, input);
  try {
    return await importing.run();
  } finally {
    importing.drop();
    await cutter.end().catch(() => undefined);
  }
}

/** The bytes of a file, decompressed; knows whether an error is the source's own or the file's. */
class Input {
  readonly #source: ByteSource;
  readonly #signal: AbortSignal | undefined;
  #failure: { cause: unknown } | undefined;

  constructor(source: ByteSource, signal: AbortSignal | undefined) {
    this.#source = source;
    this.#signal = signal;
  }

  async open(): Promise<ByteCutter> {
    const cutter = new ByteCutter(this.#read());
    const [first, second] = await cutter.peek(2);
    if (first !== 0x1f || second !== 0x8b) return cutter;
    if (typeof DecompressionStream === 'undefined') throw new DittoError('unsupported', 'This browser cannot decompress; decompress the file with gunzip and import that.');
    const plain = streamOf(cutter.rest()).pipeThrough(new DecompressionStream('gzip'));
    return new ByteCutter(piecesOf(plain, this.#signal));
  }

  /** Returns what stopped the source, or else the error of the file. */
  explain(cause: unknown, invalid: () => DittoError): unknown {
    this.#signal?.throwIfAborted();
    if (this.#failure !== undefined) return this.#failure.cause;
    return cause instanceof DittoError ? cause : invalid();
  }

  async *#read(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    try {
      yield* piecesOf(this.#source, this.#signal);
    } catch (cause) {
      this.#failure = { cause };
      throw cause;
    }
  }
}

/** One import: reads sections one after the other and has each joined in before the next. */
class Import {
  readonly #core: Core;
  readonly #options: TransferOptions;
  readonly #cutter: ByteCutter;
  readonly #input: Input;
  #head: { database: string; time: number; version: string } | undefined;
  /** The attachment whose chunks come: how many are still to come, and its number, if it is not here yet. */
  #attachment: { left: number; number?: number | undefined } | undefined;
  #isOld = false;
  #attachments = 0;
  #documents = 0;
  #changed = 0;
  #sections = 0;

  constructor(core: Core, options: TransferOptions, cutter: ByteCutter, input: Input) {
    this.#core = core;
    this.#options = options;
    this.#cutter = cutter;
    this.#input = input;
  }

  async run(): Promise<ImportResult> {
    const start = await this.#take(START.length + 1);
    if (START.some((byte, at) => start[at] !== byte)) throw this.#invalid('this is not an export of Shoal');
    const format = start[START.length] ?? 0;
    if (format === 0) throw this.#invalid('this is not an export of Shoal');
    this.#isOld = format === 1;
    if (format > FORMAT) throw new DittoError('store/newer-format', `The file has format ${format}, which is newer than this program; update Shoal. Nothing was imported.`);
    while (await this.#section()) this.#options.onProgress?.({ documents: this.#documents, bytes: this.#cutter.offset });
    if ((await this.#peek(1)).length > 0) throw this.#invalid('bytes follow the end');
    const head = this.#head;
    if (head === undefined) throw this.#invalid('it has no head');
    const { database, time, version } = head;
    return Object.freeze({ database, exportedAt: new Date(time), version, documents: this.#documents, changed: this.#changed, attachments: this.#attachments });
  }

  /** Removes what was written of an attachment that is not whole. */
  drop(): void {
    const number = this.#attachment?.number;
    this.#attachment = undefined;
    if (number !== undefined) this.#core.dismiss((peer) => peer.blobDrop(number));
  }

  /** Takes one section; false after the last. */
  async #section(): Promise<boolean> {
    this.#options.signal?.throwIfAborted();
    const header = await this.#peek(HEADER_BYTES);
    if (header.length < HEADER_BYTES) throw this.#invalid('the file is cut off');
    const length = new DataView(header.buffer, header.byteOffset).getUint32(1);
    if (length > SECTION_BYTES_MAX) throw this.#invalid('a section is longer than any can be');
    if (this.#isOld && (header[0] ?? 0) > KIND_MAX_OF_FORMAT_1) throw this.#invalid('format 1 has no such section');
    const whole = HEADER_BYTES + length + CHECKSUM_BYTES;
    if ((await this.#peek(whole)).length < whole) throw this.#invalid('the file is cut off');
    const bytes = await this.#peek(whole);
    const section = await this.#joined(bytes);
    const isFirst = this.#sections === 0;
    if (isFirst !== (section.kind === 'head')) throw this.#invalid(isFirst ? 'it has no head' : 'it has a second head');
    if ((this.#attachment !== undefined) !== (section.kind === 'chunk' || section.kind === 'abandoned')) {
      throw this.#invalid(this.#attachment === undefined ? 'it belongs to no attachment' : 'an attachment is cut off');
    }
    if (section.kind === 'attachment') {
      this.#attachment = { left: section.chunks, number: section.number };
      await this.#finished();
    } else if (section.kind === 'chunk') {
      this.#attachment!.left -= 1;
      await this.#finished();
    } else if (section.kind === 'abandoned') {
      this.drop();
    } else if (section.kind === 'end') {
      if (section.documents !== this.#documents || section.sections !== this.#sections) throw this.#invalid('sections are missing');
    } else if (section.kind === 'head') {
      this.#head = section;
    } else {
      this.#documents += section.documents;
      this.#changed += section.changed;
    }
    this.#sections += 1;
    await this.#take(whole);
    return section.kind !== 'end';
  }

  /** Names the attachment when all its chunks are here. */
  async #finished(): Promise<void> {
    const { left, number } = this.#attachment!;
    if (left > 0) return;
    this.#attachment = undefined;
    if (number !== undefined) await this.#core.run((peer) => peer.blobFinish(number) as Promise<string>);
    this.#attachments += 1;
  }

  async #joined(bytes: Uint8Array): Promise<ImportedSection> {
    const number = this.#attachment?.number;
    try {
      return await this.#core.run((peer) => peer.importSection(bytes, number) as Promise<ImportedSection>);
    } catch (cause) {
      if (cause instanceof DittoError && cause.code === 'store/import-invalid') throw this.#invalid(cause.message);
      throw cause;
    }
  }

  async #peek(length: number): Promise<Uint8Array> {
    try {
      return await this.#cutter.peek(length);
    } catch (cause) {
      throw this.#input.explain(cause, () => this.#invalid('the compressed data is damaged or cut off'));
    }
  }

  async #take(length: number): Promise<Uint8Array> {
    await this.#peek(length);
    return this.#cutter.take(length);
  }

  #invalid(what: string): DittoError {
    const place = `section ${this.#sections + 1}, byte ${this.#cutter.offset}`;
    const attachments = this.#attachments === 0 ? '' : ` and ${this.#attachments} attachments`;
    const kept = this.#documents + this.#attachments === 0 ? 'Nothing was imported.' : `The ${this.#documents} documents${attachments} before it are imported.`;
    return new DittoError('store/import-invalid', `At ${place}: ${what}. ${kept}`);
  }
}
