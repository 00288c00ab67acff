/** Streams of bytes: made from generators, read piece by piece, cancelled by a signal. */

/** What a long operation tells and hears. */
export interface TransferOptions {
  /** Called after every piece. */
  onProgress?: (progress: TransferProgress) => void;
  /** Ends the operation; it then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** How far a long operation has come. */
export interface TransferProgress {
  /** Documents so far, deleted ones included where they are transferred. */
  readonly documents: number;
  /** Bytes so far, before compression. */
  readonly bytes: number;
}

/** What bytes can be read from. */
export type ByteSource = Blob | ReadableStream<Uint8Array>;

/** Makes a stream that asks the generator only when somebody reads. @internal */
export function streamOf(pieces: AsyncGenerator<Uint8Array<ArrayBuffer>>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await pieces.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await pieces.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

/** Gives a source's pieces one by one; lets go of it when the caller stops, and when the signal says so. @internal */
export async function* piecesOf(source: ByteSource, signal?: AbortSignal): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  signal?.throwIfAborted();
  const stream = source instanceof ReadableStream ? source : source.stream();
  const reader = (stream as ReadableStream<Uint8Array<ArrayBuffer>>).getReader();
  // A read that waits for a slow source ends at once; what the source thinks of that is not the news.
  const stop = () => void reader.cancel(signal?.reason).catch(() => undefined);
  signal?.addEventListener('abort', stop);
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      signal?.throwIfAborted();
      ended = done;
      if (done) return;
      yield value;
    }
  } finally {
    signal?.removeEventListener('abort', stop);
    if (!ended) stop();
  }
}

const PART_BYTES = 4 * 1024 * 1024;

/** Collects a stream into a Blob, whose parts the browser may keep on disk. @internal */
export async function blobOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>, type: string): Promise<Blob> {
  const parts: Blob[] = [];
  let pieces: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  for await (const piece of piecesOf(stream)) {
    pieces.push(piece as Uint8Array<ArrayBuffer>);
    bytes += piece.length;
    if (bytes >= PART_BYTES) {
      parts.push(new Blob(pieces));
      pieces = [];
      bytes = 0;
    }
  }
  return new Blob([...parts, ...pieces], { type });
}

/** Cuts pieces of any size into runs of bytes of a known length. @internal */
export class ByteCutter {
  readonly #pieces: AsyncGenerator<Uint8Array<ArrayBuffer>>;
  #waiting: Uint8Array<ArrayBuffer>[] = [];
  #held = 0;
  #offset = 0;

  constructor(pieces: AsyncGenerator<Uint8Array<ArrayBuffer>>) {
    this.#pieces = pieces;
  }

  /** Bytes taken so far. */
  get offset(): number {
    return this.#offset;
  }

  /** Returns the next bytes without taking them; fewer only at the end. */
  async peek(length: number): Promise<Uint8Array<ArrayBuffer>> {
    while (this.#held < length) {
      const { done, value } = await this.#pieces.next();
      if (done) break;
      this.#waiting.push(value);
      this.#held += value.length;
    }
    if (this.#waiting.length > 1) {
      const joined = new Uint8Array(this.#held);
      let at = 0;
      for (const piece of this.#waiting) {
        joined.set(piece, at);
        at += piece.length;
      }
      this.#waiting = [joined];
    }
    return (this.#waiting[0] ?? new Uint8Array()).subarray(0, length);
  }

  /** Takes the next bytes; fewer only at the end. */
  async take(length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.peek(length);
    const first = this.#waiting[0];
    if (first !== undefined) this.#waiting[0] = first.subarray(bytes.length);
    this.#held -= bytes.length;
    this.#offset += bytes.length;
    return bytes;
  }

  /** Gives what is left, piece by piece. */
  async *rest(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    yield* this.#waiting;
    yield* this.#pieces;
  }

  /** Lets go of the source. */
  async end(): Promise<void> {
    await this.#pieces.return(undefined);
  }
}
