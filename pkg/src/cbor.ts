/**
 * The binary codec of rows and arguments: CBOR (RFC 8949), the subset that JSON plus binary and 64-bit integers needs.
 *
 * The same form as `src/value/src/cbor.rs`. Integers outside ±2^53 are `bigint`. Encoding is deterministic but for the order of keys,
 * which the engine does not care about.
 */

import { Encoder } from './cbor-encoder.js';
import { DittoError } from './error.js';

/** Levels of nesting that are written and read. @internal */
export const DEPTH_MAX = 66;
const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER);

const text = new TextDecoder('utf-8', { fatal: true });

/** Replaces a value before it is encoded, like the second argument of `JSON.stringify`. */
export type Replacer = (key: string, value: unknown) => unknown;

/** Encodes and decodes CBOR. */
export class CBOR {
  /** Returns the binary form of a value. */
  static encode(value: unknown): Uint8Array {
    return Encoder.run(value);
  }

  /** Returns the binary form of what the replacer makes of a value and of everything in it. */
  static encodeWithReplacer(value: unknown, replacer: Replacer): Uint8Array {
    return Encoder.run(value, replacer);
  }

  /** Reads one value that fills the bytes. */
  static decode(bytes: Uint8Array): unknown {
    const decoder = new Decoder(bytes);
    const value = decoder.value(DEPTH_MAX);
    if (decoder.at !== bytes.length) throw invalid('bytes follow the value');
    return value;
  }
}

function invalid(what: string): DittoError {
  return new DittoError('validation/invalid-cbor', `Invalid CBOR: ${what}.`);
}

/** @internal */
export function unfit(what: string): DittoError {
  return new DittoError('query/arguments-invalid', what);
}

class Decoder {
  at = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  value(depthLeft: number): unknown {
    if (depthLeft === 0) throw new DittoError('validation/depth-limit-exceeded');
    const first = this.#take(1);
    const [major, info] = [this.#bytes[first]! >> 5, this.#bytes[first]! & 0x1f];
    if (major === 7) return this.#simple(info);
    const number = this.#argument(info);
    switch (major) {
      case 0:
        return number;
      case 1:
        return typeof number === 'bigint' ? -1n - number : this.#negative(number);
      case 2: {
        const at = this.#take(Number(number));
        return this.#bytes.slice(at, this.at);
      }
      case 3:
        return this.#text(Number(number));
      case 4:
        return this.#array(Number(number), depthLeft);
      case 5:
        return this.#map(Number(number), depthLeft);
      default:
        return this.value(depthLeft - 1); // A tag says how to understand what follows; the value is kept.
    }
  }

  #take(count: number): number {
    const at = this.at;
    if (!(count <= this.#bytes.length - at)) throw invalid('it ends early');
    this.at = at + count;
    return at;
  }

  #argument(info: number): number | bigint {
    if (info < 24) return info;
    if (info === 24) return this.#view.getUint8(this.#take(1));
    if (info === 25) return this.#view.getUint16(this.#take(2));
    if (info === 26) return this.#view.getUint32(this.#take(4));
    if (info !== 27) throw invalid('a length is indefinite');
    const wide = this.#view.getBigUint64(this.#take(8));
    return wide <= SAFE_MAX ? Number(wide) : wide;
  }

  #negative(number: number): number | bigint {
    return number < Number.MAX_SAFE_INTEGER ? -1 - number : -1n - BigInt(number);
  }

  #simple(info: number): unknown {
    if (info === 20) return false;
    if (info === 21) return true;
    if (info === 22) return null;
    if (info === 23) return undefined;
    if (info === 25) return half(this.#view.getUint16(this.#take(2)));
    if (info === 26) return this.#view.getFloat32(this.#take(4));
    if (info === 27) return this.#view.getFloat64(this.#take(8));
    throw invalid('a simple value is unknown');
  }

  #text(length: number): string {
    const at = this.#take(length);
    if (length < 24) {
      // Field names and short strings: a call into the decoder costs more than the loop.
      let ascii = '';
      for (let i = at; i < this.at; i++) {
        const byte = this.#bytes[i]!;
        if (byte > 0x7f) return this.#slowText(at);
        ascii += String.fromCharCode(byte);
      }
      return ascii;
    }
    return this.#slowText(at);
  }

  #slowText(at: number): string {
    try {
      return text.decode(this.#bytes.subarray(at, this.at));
    } catch (cause) {
      throw new DittoError('validation/invalid-cbor', 'Invalid CBOR: text is not UTF-8.', { cause });
    }
  }

  #array(count: number, depthLeft: number): unknown[] {
    if (count > this.#bytes.length - this.at) throw invalid('it ends early');
    const items: unknown[] = [];
    for (let i = 0; i < count; i++) items.push(this.value(depthLeft - 1));
    return items;
  }

  #map(count: number, depthLeft: number): Record<string, unknown> {
    const fields: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const name = this.value(depthLeft - 1);
      if (typeof name !== 'string') throw invalid('the key of a map is not text');
      const value = this.value(depthLeft - 1);
      // Assigning to __proto__ would set the prototype instead of a field.
      if (name === '__proto__') Object.defineProperty(fields, name, { value, enumerable: true, configurable: true, writable: true });
      else fields[name] = value;
    }
    return fields;
  }
}

function half(bits: number): number {
  const [exponent, mantissa] = [(bits >> 10) & 0x1f, bits & 0x3ff];
  const magnitude =
    exponent === 0 ? mantissa * 2 ** -24 : exponent === 31 ? (mantissa ? NaN : Infinity) : (mantissa + 1024) * 2 ** (exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

/**
 * Returns the encoded value of one field of an encoded map, or `null`; nothing else is decoded.
 *
 * @internal
 */
export function fieldBytes(bytes: Uint8Array, field: string): Uint8Array | null {
  const first = bytes[0] ?? 0;
  if (first >> 5 !== 5) return null;
  const decoder = new Decoder(bytes);
  const count = mapCount(bytes, decoder);
  for (let i = 0; i < count; i++) {
    const name = decoder.value(1);
    const start = decoder.at;
    decoder.value(DEPTH_MAX);
    if (name === field) return bytes.subarray(start, decoder.at);
  }
  return null;
}

function mapCount(bytes: Uint8Array, decoder: Decoder): number {
  const info = bytes[0]! & 0x1f;
  const width = info < 24 ? 0 : 2 ** (info - 24);
  let count = info < 24 ? info : 0;
  for (let i = 1; i <= width; i++) count = count * 256 + (bytes[i] ?? 0);
  decoder.at = 1 + width;
  return count;
}
