/** Cutting what an attachment is created from into chunks of 256 KiB, however it comes, with no more than one of them in memory. */

import { DittoError } from './error.js';

/** Bytes of every chunk but the last. @internal */
export const READ_BYTES = 256 * 1024;

/** @internal */
export type Chunks = AsyncIterable<Uint8Array>;

/** Returns the chunks of a source. Throws when it is nothing that has bytes. @internal */
export function chunksOf(source: unknown): Chunks {
  if (source instanceof ArrayBuffer) return fromBytes(new Uint8Array(source));
  if (source instanceof Uint8Array) return fromBytes(source);
  if (source instanceof Blob) return fromBlob(source);
  if (typeof (source as ReadableStream | null)?.getReader === 'function') return fromStream(source as ReadableStream<Uint8Array>);
  if (typeof source === 'string') {
    throw new DittoError('unsupported', 'A path cannot be read here; pass bytes, a Blob, a File or a ReadableStream.');
  }
  throw new DittoError('store/failed-to-create-attachment', 'An attachment is made of bytes, a Blob, a File or a ReadableStream.');
}

async function* fromBytes(bytes: Uint8Array): Chunks {
  for (let at = 0; at < bytes.length; at += READ_BYTES) yield bytes.subarray(at, at + READ_BYTES);
}

async function* fromBlob(blob: Blob): Chunks {
  for (let at = 0; at < blob.size; at += READ_BYTES) yield new Uint8Array(await blob.slice(at, at + READ_BYTES).arrayBuffer());
}

async function* fromStream(stream: ReadableStream<Uint8Array>): Chunks {
  const reader = stream.getReader();
  let chunk = new Uint8Array(READ_BYTES);
  let filled = 0;
  let isWhole = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (!(value instanceof Uint8Array)) throw new DittoError('store/failed-to-create-attachment', 'The stream has to give bytes (Uint8Array).');
      for (let at = 0; at < value.length; ) {
        const part = value.subarray(at, at + READ_BYTES - filled);
        chunk.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled === READ_BYTES) {
          yield chunk;
          chunk = new Uint8Array(READ_BYTES);
          filled = 0;
        }
      }
    }
    isWhole = true;
  } finally {
    // Whoever makes the bytes need not make the rest.
    if (!isWhole) void reader.cancel().catch(() => undefined);
  }
  if (filled > 0) yield chunk.subarray(0, filled);
}
