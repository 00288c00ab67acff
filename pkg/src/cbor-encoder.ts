/**
 * Writing CBOR: the half of the codec that every argument passes, so written for speed.
 *
 * The buffer grows by doubling and is written without views where that is quicker; names of fields, which repeat from document to
 * document, are encoded once and kept; short text is copied character by character while it is ASCII, since a call into
 * `TextEncoder` costs more than that.
 */

import { Attachment, AttachmentToken } from './attachment.js';
import { DEPTH_MAX, type Replacer, unfit } from './cbor.js';
import { DittoError } from './error.js';

const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER);
const I64_MAX = 2n ** 63n - 1n;
const I64_MIN = -(2n ** 63n);
/** Names kept in their encoded form. Applications have few; a program that makes names from data must not fill the memory. */
const NAMES_MAX = 1024;
/** Text up to so many characters is copied in a loop. */
const LOOP_LENGTH_MAX = 96;
/** A buffer is kept for the next value up to this size: making one costs more than encoding a document. */
const KEPT_BYTES_MAX = 1024 * 1024;

const utf8 = new TextEncoder();
const names = new Map<string, Uint8Array>();

/** @internal */
export class Encoder {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  #replacer: Replacer | undefined;
  #isBusy = false;

  /** Returns the binary form of a value, in a buffer of its own. */
  static run(value: unknown, replacer?: Replacer): Uint8Array {
    // A replacer or a getter may encode something itself.
    return (kept.#isBusy ? new Encoder() : kept).#run(value, replacer);
  }

  #run(value: unknown, replacer: Replacer | undefined): Uint8Array {
    this.#isBusy = true;
    this.#replacer = replacer;
    this.#length = 0;
    try {
      this.#write('', value, DEPTH_MAX);
      return this.#bytes.slice(0, this.#length);
    } finally {
      this.#isBusy = false;
      if (this.#bytes.length > KEPT_BYTES_MAX) kept = new Encoder();
    }
  }

  /** Makes room for that many bytes. Call it before touching the buffer: it may replace it. */
  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, needed));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = byte;
  }

  /** Writes a type and a number below 2^53 in the shortest form. */
  #head(major: number, number: number): void {
    this.#reserve(9);
    const first = major << 5;
    if (number < 24) {
      this.#bytes[this.#length++] = first | number;
    } else if (number < 0x100) {
      this.#bytes[this.#length++] = first | 24;
      this.#bytes[this.#length++] = number;
    } else if (number < 0x10000) {
      this.#bytes[this.#length++] = first | 25;
      this.#bytes[this.#length++] = number >> 8;
      this.#bytes[this.#length++] = number & 0xff;
    } else if (number < 0x1_0000_0000) {
      this.#bytes[this.#length++] = first | 26;
      this.#view.setUint32(this.#length, number);
      this.#length += 4;
    } else {
      this.#wide(major, BigInt(number));
    }
  }

  #wide(major: number, number: bigint): void {
    this.#reserve(9);
    this.#bytes[this.#length++] = (major << 5) | 27;
    this.#view.setBigUint64(this.#length, number);
    this.#length += 8;
  }

  #raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #text(text: string): void {
    const { length } = text;
    if (length > LOOP_LENGTH_MAX) return this.#longText(text);
    this.#head(3, length);
    this.#reserve(length);
    const bytes = this.#bytes;
    const start = this.#length;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) {
        this.#length = start - headLength(length);
        return this.#longText(text);
      }
      bytes[start + i] = code;
    }
    this.#length = start + length;
  }

  /** Writes text at the place that it has if it is ASCII, and moves it when its head turns out longer. */
  #longText(text: string): void {
    this.#reserve(9 + text.length * 3);
    const start = this.#length;
    const guess = headLength(text.length);
    const { written } = utf8.encodeInto(text, this.#bytes.subarray(start + guess));
    const head = headLength(written);
    if (head !== guess) this.#bytes.copyWithin(start + head, start + guess, start + guess + written);
    this.#head(3, written);
    this.#length = start + head + written;
  }

  /** Writes the name of a field. */
  #name(name: string): void {
    const known = names.get(name);
    if (known !== undefined) return this.#raw(known);
    const start = this.#length;
    this.#text(name);
    if (names.size < NAMES_MAX) names.set(name, this.#bytes.slice(start, this.#length));
  }

  #write(key: string, given: unknown, depthLeft: number): void {
    const value = this.#replacer ? this.#replacer(key, given) : given;
    if (depthLeft === 0) throw new DittoError('validation/depth-limit-exceeded');
    switch (typeof value) {
      case 'string':
        return this.#text(value);
      case 'number':
        return this.#number(value);
      case 'boolean':
        return this.#byte(value ? 0xf5 : 0xf4);
      case 'bigint':
        return this.#bigint(value);
      case 'undefined':
        return this.#byte(0xf6);
      case 'object':
        return this.#object(value, depthLeft);
      default:
        throw unfit(`A ${typeof value} cannot be stored or passed as an argument.`);
    }
  }

  #number(value: number): void {
    if (Number.isSafeInteger(value)) {
      if (value >= 0) this.#head(0, value);
      else this.#head(1, -1 - value);
      return;
    }
    if (!Number.isFinite(value)) throw unfit('NaN and Infinity cannot be stored or passed as arguments.');
    this.#reserve(9);
    this.#bytes[this.#length++] = 0xfb;
    this.#view.setFloat64(this.#length, value);
    this.#length += 8;
  }

  #bigint(value: bigint): void {
    if (value > I64_MAX || value < I64_MIN) throw unfit('A bigint argument must fit in 64 bits, signed.');
    const [major, number] = value >= 0n ? ([0, value] as const) : ([1, -1n - value] as const);
    if (number <= SAFE_MAX) this.#head(major, Number(number));
    else this.#wide(major, number);
  }

  #object(value: object | null, depthLeft: number): void {
    if (value === null) {
      this.#byte(0xf6);
    } else if (Array.isArray(value)) {
      this.#head(4, value.length);
      for (let i = 0; i < value.length; i++) this.#write(this.#replacer ? String(i) : '', value[i], depthLeft - 1);
    } else if (value instanceof Uint8Array) {
      this.#head(2, value.length);
      this.#raw(value);
    } else if (value instanceof ArrayBuffer) {
      this.#head(2, value.byteLength);
      this.#raw(new Uint8Array(value));
    } else if (value instanceof Attachment || value instanceof AttachmentToken) {
      const { id, len, metadata } = value;
      this.#fields({ id, len, metadata }, depthLeft);
    } else if (isPlain(value)) {
      this.#fields(value as Record<string, unknown>, depthLeft);
    } else {
      const name = value.constructor?.name ?? 'object without a prototype';
      throw unfit(`A ${name} cannot be stored or passed as an argument; convert it to a string, number or plain object first.`);
    }
  }

  /** Writes the fields of an object; one without a value is left out, as in JSON. */
  #fields(object: Record<string, unknown>, depthLeft: number): void {
    const keys = Object.keys(object);
    let count = keys.length;
    for (const name of keys) if (object[name] === undefined) count -= 1;
    this.#head(5, count);
    for (const name of keys) {
      const field = object[name];
      if (field === undefined) continue;
      this.#name(name);
      this.#write(name, field, depthLeft - 1);
    }
  }
}

let kept = new Encoder();

/** How many bytes the head of a text of that many bytes takes. */
function headLength(bytes: number): number {
  return bytes < 24 ? 1 : bytes < 0x100 ? 2 : bytes < 0x10000 ? 3 : 5;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  // An object of another realm (an iframe, `node:vm`) has another Object.prototype, whose own prototype is null.
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null;
}
