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

/** Arguments, and the buffers in them that move. */
export interface Made {
  args: unknown[];
  moved: Transferable[];
}

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
  /** What waits until arguments are made; `null` while nothing is being made. */
  #outbox: (() => void | Promise<void>)[] | null = null;

  constructor(endpoint: Endpoint, serve: Serve) {
    this.#endpoint = endpoint;
    this.#serve = serve;
    endpoint.addEventListener('message', (event) => this.#hear(event.data as Message));
  }

  /** Asks the other end; `moved` buffers are gone here. */
  ask(method: string, args: unknown[], moved: Transferable[] = []): Promise<any> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    return this.askWith(method, () => ({ args, moved }));
  }

  /** Tells the other end, without an answer; `moved` buffers are gone here. */
  tell(method: string, args: unknown[], moved: Transferable[] = []): void {
    if (this.#ended !== null) throw this.#ended;
    this.#send(() => this.#post({ kind: 'tell', method, args }, moved));
  }

  /** Asks with arguments that may take a while to make; whatever is asked and told after it waits, so that the order is kept. */
  askWith(method: string, make: () => Made | Promise<Made>): Promise<any> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      const post = ({ args, moved }: Made) => this.#post({ kind: 'ask', id, method, args }, moved);
      const refuse = (cause: unknown) => this.#settle(id)?.reject(cause);
      this.#send(() => {
        try {
          const made = make();
          return made instanceof Promise ? made.then(post).catch(refuse) : post(made);
        } catch (cause) {
          refuse(cause);
        }
      });
    });
  }

  /** The other end is gone: whoever waits for it gets the error, and so does whoever asks or tells from now on. */
  end(error: DittoError): void {
    this.#ended ??= error;
    const waiting = [...this.#asked.values()];
    this.#asked.clear();
    for (const { reject } of waiting) reject(this.#ended);
  }

  #send(work: () => void | Promise<void>): void {
    if (this.#outbox !== null) {
      this.#outbox.push(work);
      return;
    }
    const making = work();
    if (making instanceof Promise) {
      this.#outbox = [];
      void making.then(() => this.#sendWaiting());
    }
  }

  #sendWaiting(): void {
    const waiting = this.#outbox ?? [];
    this.#outbox = null;
    // One of them may make its arguments in turn: then the rest waits again, behind it.
    for (const work of waiting) this.#send(work);
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
