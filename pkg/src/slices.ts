/**
 * Encoding the arguments of a large statement in slices, so that the page is not blocked while they are read.
 *
 * The bytes are those of `CBOR.encode`. Only arrays that are arguments themselves are cut, since that is where many documents are; one
 * large document is written in one piece. Arguments that fit into the first slice are read at once, like all others.
 */

import { CBOR } from './cbor.js';
import { nextTurn } from './turn.js';

/** What one slice may take, a quarter of a frame. */
const SLICE_MS = 4;
/** Elements between two looks at the clock. */
const CHUNK_LENGTH = 32;

/** Whether reading the arguments may take more than a slice. */
export function areLong(args: Readonly<Record<string, unknown>> | undefined): args is Readonly<Record<string, unknown>> {
  return typeof args === 'object' && args !== null && !Array.isArray(args) && Object.values(args).some(isLong);
}

/** Arguments on their way to bytes. */
export class Slices {
  /** What is written, in order. */
  readonly pieces: Uint8Array[] = [];
  readonly #rest: Iterator<Uint8Array>;

  constructor(args: Readonly<Record<string, unknown>>) {
    this.#rest = write(args);
  }

  /** Goes on for the time of a slice; answers whether everything is written. */
  step(): boolean {
    const end = performance.now() + SLICE_MS;
    do {
      const { value, done } = this.#rest.next();
      if (done === true) return true;
      this.pieces.push(value);
    } while (performance.now() < end);
    return false;
  }

  /** Writes the rest, a slice a turn of the event loop. */
  async finish(): Promise<void> {
    do await nextTurn();
    while (!this.step());
  }
}

function isLong(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.length > CHUNK_LENGTH;
}

function* write(args: Readonly<Record<string, unknown>>): Generator<Uint8Array, undefined> {
  const fields = Object.entries(args).filter(([, value]) => value !== undefined);
  yield head(5, fields.length);
  for (const [name, value] of fields) {
    yield CBOR.encode(name);
    if (!isLong(value)) {
      yield CBOR.encode(value);
      continue;
    }
    yield head(4, value.length);
    for (let start = 0; start < value.length; start += CHUNK_LENGTH) {
      const chunk = value.slice(start, start + CHUNK_LENGTH);
      yield CBOR.encode(chunk).subarray(head(4, chunk.length).length);
    }
  }
  return undefined;
}

/** The head of a map or an array in CBOR. */
function head(major: 4 | 5, count: number): Uint8Array {
  const first = major << 5;
  if (count < 24) return new Uint8Array([first | count]);
  if (count < 0x100) return new Uint8Array([first | 24, count]);
  if (count < 0x10000) return new Uint8Array([first | 25, count >> 8, count & 0xff]);
  return new Uint8Array([first | 26, count >>> 24, (count >> 16) & 0xff, (count >> 8) & 0xff, count & 0xff]);
}
