/**
 * A collection as lines of JSON, and back: docs/export.md.
 *
 * For exchange with other programs, not for keeping everything: a line has a document's fields, in the package's own JSON
 * (64-bit integers as digits, binary as base64), and none of what merging needs. Memory holds one page or batch at a time.
 */

import type { RawRows } from './bindings.js';
import { CBOR } from './cbor.js';
import type { Core } from './core.js';
import { DittoError, type ErrorCode, toDittoError } from './error.js';
import { fromJSON, toJSON } from './json.js';
import { QueryResult } from './query-result.js';
import { executeOn } from './store.js';
import { type ByteSource, piecesOf, streamOf, type TransferOptions } from './stream.js';

/** What to do with a document whose `_id` is taken. */
export type ConflictPolicy = 'fail' | 'update' | 'nothing';

/** Options of `Storage.importCollection`. */
export interface ImportCollectionOptions extends TransferOptions {
  /** `fail`: stop there; `update`: write over it; `nothing`: keep what is there. By default `fail`. */
  onConflict?: ConflictPolicy;
}

/** What was read and written. */
export interface ImportCollectionResult {
  /** Documents in the input. */
  readonly documents: number;
  /** Documents written; fewer with the policy `nothing`. */
  readonly written: number;
}

const BATCH_DOCUMENTS = 500;
const BATCH_CHARACTERS = 512 * 1024;
const LINE_CHARACTERS_MAX = 16 * 1024 * 1024;
const CLAUSES = { fail: '', update: ' ON ID CONFLICT DO UPDATE', nothing: ' ON ID CONFLICT DO NOTHING' } as const;

/** @internal */
export function exportCollection(core: Core, collection: string, options: TransferOptions): ReadableStream<Uint8Array<ArrayBuffer>> {
  return streamOf(lines(core, collection, options));
}

async function* lines(core: Core, collection: string, { onProgress, signal }: TransferOptions): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  let after: Uint8Array | undefined;
  let [documents, bytes] = [0, 0];
  do {
    signal?.throwIfAborted();
    const from = after;
    const page = await core.run((peer) => peer.readPage(collection, from) as Promise<RawRows & { after?: Uint8Array }>);
    after = page.after;
    const { items } = new QueryResult(page);
    const piece = encoder.encode(items.map((item) => `${toJSON(CBOR.decode(item.raw))}\n`).join(''));
    documents += items.length;
    bytes += piece.length;
    if (piece.length > 0) yield piece;
    onProgress?.({ documents, bytes });
  } while (after !== undefined);
}

/** @internal */
export async function importCollection(
  core: Core,
  collection: string,
  source: ByteSource,
  options: ImportCollectionOptions,
): Promise<ImportCollectionResult> {
  const policy = options.onConflict ?? 'fail';
  if (!Object.hasOwn(CLAUSES, policy)) throw new DittoError('query/arguments-invalid', `onConflict is 'fail', 'update' or 'nothing', not ${String(policy)}.`);
  const batch = new Batch(core, `INSERT INTO ${quoted(collection)} DOCUMENTS (:documents)${CLAUSES[policy]}`);
  for await (const { number, text, bytes } of linesOf(source, options.signal)) {
    let document: unknown;
    try {
      document = parsed(text);
    } catch (cause) {
      await batch.write();
      throw at(number, cause);
    }
    if (document === undefined) continue;
    if (batch.add(document, number, text.length)) {
      await batch.write();
      options.onProgress?.({ documents: batch.documents, bytes });
    }
  }
  await batch.write();
  return Object.freeze({ documents: batch.documents, written: batch.written });
}

/** Documents that wait to be inserted by one statement. */
class Batch {
  readonly #core: Core;
  readonly #query: string;
  #waiting: unknown[] = [];
  #characters = 0;
  #first = 0;
  #last = 0;
  documents = 0;
  written = 0;

  constructor(core: Core, query: string) {
    this.#core = core;
    this.#query = query;
  }

  /** Takes a document; says whether the batch is full. */
  add(document: unknown, line: number, characters: number): boolean {
    if (this.#waiting.length === 0) this.#first = line;
    this.#waiting.push(document);
    this.#last = line;
    this.#characters += characters;
    return this.#waiting.length >= BATCH_DOCUMENTS || this.#characters >= BATCH_CHARACTERS;
  }

  async write(): Promise<void> {
    const documents = this.#waiting;
    if (documents.length === 0) return;
    this.#waiting = [];
    this.#characters = 0;
    try {
      const result = await executeOn(this.#core, { query: this.#query, args: { documents }, durability: undefined });
      this.written += result.mutatedDocumentIDsV2().length;
      this.documents += documents.length;
    } catch (cause) {
      const { code, message } = toDittoError(cause);
      throw new DittoError(code, `Lines ${this.#first} to ${this.#last} were not imported, those before were: ${message}`);
    }
  }
}

/** Cuts a source into lines, numbered from 1; `bytes` counts what was read so far. */
async function* linesOf(source: ByteSource, signal?: AbortSignal): AsyncGenerator<{ number: number; text: string; bytes: number }> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let [number, bytes] = [1, 0];
  let open: string[] = [];
  let length = 0;
  const decode = (piece?: Uint8Array) => {
    try {
      return piece === undefined ? decoder.decode() : decoder.decode(piece, { stream: true });
    } catch (cause) {
      throw at(number, new DittoError('validation/invalid-json', 'it is not UTF-8', { cause }));
    }
  };
  for await (const piece of piecesOf(source, signal)) {
    bytes += piece.length;
    const parts = decode(piece).split('\n');
    const last = parts.pop() ?? '';
    for (const part of parts) {
      yield { number, text: open.join('') + part, bytes };
      number += 1;
      open = [];
      length = 0;
    }
    open.push(last);
    length += last.length;
    if (length > LINE_CHARACTERS_MAX) throw at(number, new DittoError('validation/size-limit-exceeded', 'it is longer than 16 MiB'));
  }
  yield { number, text: open.join('') + decode(), bytes };
}

/** Returns the document of a line; `undefined` for an empty one. */
function parsed(text: string): unknown {
  if (text.trim() === '') return undefined;
  let document: unknown;
  try {
    document = fromJSON(text);
  } catch (cause) {
    throw new DittoError('validation/invalid-json', cause instanceof Error ? cause.message : 'it is not JSON', { cause });
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) throw new DittoError('validation/not-an-object', 'a line is an object');
  return document;
}

function at(line: number, cause: unknown): DittoError {
  const { code, message } = toDittoError(cause);
  return new DittoError(code satisfies ErrorCode, `Line ${line}: ${message}. The lines before it are imported.`, { cause });
}

function quoted(collection: string): string {
  return `\`${collection.replaceAll('`', '``')}\``;
}
