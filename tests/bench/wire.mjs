// What one direction of a TCP connection carries: HTTP/1.1 messages and, after an upgrade, the frames of a WebSocket (RFC 6455). Nothing is
// kept: bytes are told as they pass, so that an answer that never ends is counted too.
//
// The kinds of bytes: `head` and `body` of HTTP (chunk sizes count as head), `preflight` for a cross-origin question and its answer,
// `upgrade` for the heads that open a WebSocket, `frame` for the heads of its frames, `control` for pings, pongs and closes, `message` for
// the payload of everything else.

const headEnd = Buffer.from('\r\n\r\n');
const lineEnd = Buffer.from('\r\n');
const headBytesMax = 64 * 1024;
const controlOpcodes = 8;
const noBody = new Set([101, 204, 304]);

/** Cuts a stream of bytes; `count(kind, bytes)` is told everything, `ended(kind, bytes)` every whole body or message. */
export class Wire {
  #up;
  #methods;
  #tell;
  #rest = Buffer.alloc(0);
  #step = 'head';
  #left = 0;
  #kind = 'body';
  #bytes = 0;
  #last = true;
  /** What is read next; each step says whether it had all that it needs. */
  #steps = {
    head: () => this.#readHead(),
    bytes: () => this.#readBytes(),
    size: () => this.#readSize(),
    chunk: () => this.#readChunk(),
    gap: () => this.#readGap(),
    frame: () => this.#readFrame(),
    payload: () => this.#readPayload(),
  };

  /** `up`: whether the requests pass here. `methods`: those of a connection that wait for their answer, shared by its two directions. */
  constructor({ up, methods }, tell) {
    this.#up = up;
    this.#methods = methods;
    this.#tell = tell;
  }

  push(chunk) {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length > 0 && this.#steps[this.#step]());
  }

  /** A head up to its empty line; `false` while it is not whole. */
  #readHead() {
    const end = this.#rest.indexOf(headEnd);
    if (end < 0) {
      if (this.#rest.length > headBytesMax) throw new Error('a head of HTTP without an end');
      return false;
    }
    const lines = this.#rest.subarray(0, end).toString('latin1').split('\r\n');
    const { status, method } = this.#first(lines[0]);
    const fields = new Map(lines.slice(1).map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
    const preflight = method === 'OPTIONS';
    const upgrade = this.#up ? fields.has('upgrade') : status === 101;
    this.#take(end + headEnd.length, upgrade ? 'upgrade' : preflight ? 'preflight' : 'head');
    this.#begin(preflight ? 'preflight' : 'body');
    if (upgrade) this.#step = 'frame';
    else if (noBody.has(status) || method === 'HEAD') this.#step = 'head';
    else if (fields.get('transfer-encoding') === 'chunked') this.#step = 'size';
    else this.#body(Number(fields.get('content-length') ?? 0));
    return true;
  }

  #first(line) {
    if (!this.#up) return { status: Number(line.split(' ')[1]), method: this.#methods.shift() };
    const [method] = line.split(' ');
    this.#methods.push(method);
    return { method };
  }

  #body(bytes) {
    this.#left = bytes;
    this.#step = bytes > 0 ? 'bytes' : 'head';
  }

  /** A body of known length. */
  #readBytes() {
    if (this.#pass(this.#kind)) {
      this.#end();
      this.#step = 'head';
    }
    return true;
  }

  /** The line before a chunk; the last one is followed by an empty line, since nobody here sends trailers. */
  #readSize() {
    const end = this.#rest.indexOf(lineEnd);
    if (end < 0) return false;
    const size = Number.parseInt(this.#rest.subarray(0, end).toString('latin1'), 16);
    if (size === 0 && this.#rest.length < end + 2 * lineEnd.length) return false;
    this.#take(end + lineEnd.length * (size === 0 ? 2 : 1), this.#kind === 'preflight' ? 'preflight' : 'head');
    this.#left = size;
    if (size === 0) this.#end();
    this.#step = size === 0 ? 'head' : 'chunk';
    return true;
  }

  #readChunk() {
    if (this.#pass(this.#kind)) this.#step = 'gap';
    return true;
  }

  /** The end of the line behind a chunk. */
  #readGap() {
    if (this.#rest.length < lineEnd.length) return false;
    this.#take(lineEnd.length, 'head');
    this.#step = 'size';
    return true;
  }

  /** The head of a frame: two bytes, then the longer forms of a length, then a mask. */
  #readFrame() {
    if (this.#rest.length < 2) return false;
    const [first, second] = this.#rest;
    const short = second & 0x7f;
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    const head = 2 + lengthBytes + ((second & 0x80) !== 0 ? 4 : 0);
    if (this.#rest.length < head) return false;
    const length = lengthBytes === 2 ? this.#rest.readUInt16BE(2) : lengthBytes === 8 ? Number(this.#rest.readBigUInt64BE(2)) : short;
    const opcode = first & 0x0f;
    this.#take(head, opcode >= controlOpcodes ? 'control' : 'frame');
    this.#last = (first & 0x80) !== 0;
    if (opcode >= controlOpcodes) this.#kind = 'control';
    else if (opcode > 0) this.#begin('message');
    else this.#kind = 'message';
    this.#left = length;
    this.#step = 'payload';
    if (length === 0) this.#framed();
    return true;
  }

  #readPayload() {
    if (this.#pass(this.#kind)) this.#framed();
    return true;
  }

  #framed() {
    if (this.#kind === 'message' && this.#last) this.#end();
    this.#step = 'frame';
  }

  #begin(kind) {
    this.#kind = kind;
    this.#bytes = 0;
  }

  #end() {
    this.#tell.ended(this.#kind, this.#bytes);
    this.#bytes = 0;
  }

  /** Takes what is there of the body or payload; `true` when all of it has passed. */
  #pass(kind) {
    const bytes = Math.min(this.#left, this.#rest.length);
    this.#take(bytes, kind);
    this.#left -= bytes;
    if (kind !== 'control') this.#bytes += bytes;
    return this.#left === 0;
  }

  #take(bytes, kind) {
    this.#rest = this.#rest.subarray(bytes);
    this.#tell.count(kind, bytes);
  }
}
