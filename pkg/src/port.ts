/**
 * Requests and messages between a page and its worker, over `postMessage`.
 *
 * Both ends are alike: each serves methods by name, *asks* (one answer comes back) and *tells* (none does). The order in which
 * one end asks and tells is the order in which the other serves. Failures cross as `{code, message}`. What a served method returns
 * is given away: the buffers of its typed arrays move, and are not copied.
 */

import { type DittoError, toDittoError } from './error.js';

/** What both `Worker` and the global object of a worker are. */
export interface Endpoint {
  postMessage(message: unknown, moved: Transferable[]): void;
  addEventListener(type: 'message', heard: (event: MessageEvent) => void): void;
}

/** Serves a method: returns its answer, or a promise of it; throws or rejects with what is wrong. */
export type Serve = (method: string, args: readonly any[]) => unknown;

type Message =
  | { kind: 'answer'; id: number; value: unknown }
  | { kind: 'ask'; id: number; method: string; args: unknown[] }
  | { kind: 'refusal'; id: number; code: string; message: string }
  | { kind: 'tell'; method: string; args: unknown[] };

interface Asked {
  resolve(value: any): void;
  reject(error: unknown): void;
}

/** One end. */
export class Port {
  readonly #endpoint: Endpoint;
  readonly #serve: Serve;
  readonly #asked = new Map<number, Asked>();
  #next = 1;
  #ended: DittoError | null = null;

  constructor(endpoint: Endpoint, serve: Serve) {
    this.#endpoint = endpoint;
    this.#serve = serve;
    endpoint.addEventListener('message', (event) => this.#hear(event.data as Message));
  }

  /** Asks the other end; `moved` buffers are gone here. */
  ask(method: string, args: unknown[], moved: Transferable[] = []): Promise<any> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#post({ kind: 'ask', id, method, args }, moved);
      this.#asked.set(id, { resolve, reject });
    });
  }

  /** Tells the other end, without an answer; `moved` buffers are gone here. */
  tell(method: string, args: unknown[], moved: Transferable[] = []): void {
    if (this.#ended !== null) throw this.#ended;
    this.#post({ kind: 'tell', method, args }, moved);
  }

  /** The other end is gone: whoever waits for it gets the error, and so does whoever asks or tells from now on. */
  end(error: DittoError): void {
    this.#ended ??= error;
    const waiting = [...this.#asked.values()];
    this.#asked.clear();
    for (const { reject } of waiting) reject(this.#ended);
  }

  #post(message: Message, moved: Transferable[]): void {
    this.#endpoint.postMessage(message, moved);
  }

  #hear(message: Message): void {
    if (this.#ended !== null) return;
    switch (message.kind) {
      case 'answer':
        return this.#settle(message.id)?.resolve(message.value);
      case 'ask':
        return void this.#answer(message.id, message.method, message.args);
      case 'refusal':
        return this.#settle(message.id)?.reject({ code: message.code, message: message.message });
      case 'tell':
        this.#serve(message.method, message.args);
    }
  }

  #settle(id: number): Asked | undefined {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    return asked;
  }

  async #answer(id: number, method: string, args: unknown[]): Promise<void> {
    try {
      const value = await this.#serve(method, args);
      this.#post({ kind: 'answer', id, value }, buffersOf(value));
    } catch (cause) {
      const { code, message } = toDittoError(cause);
      this.#post({ kind: 'refusal', id, code, message }, []);
    }
  }
}

/** Returns the buffers that the fields of an object fill. */
export function buffersOf(value: unknown): ArrayBuffer[] {
  if (typeof value !== 'object' || value === null) return [];
  const views = Object.values(value).filter((field): field is ArrayBufferView => ArrayBuffer.isView(field));
  const whole = views.filter((view) => view.byteLength === view.buffer.byteLength).map((view) => view.buffer);
  return [...new Set(whole)].filter((buffer) => buffer instanceof ArrayBuffer);
}
