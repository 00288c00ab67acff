/**
 * One open database, shared by the objects that make up a `Ditto`.
 *
 * Owns the engine's handle and its events. Work asked for before the store is open waits in a queue and runs in order; after
 * `close` everything answers `store/closed`. Knows nothing of the public classes.
 */

import type { EngineEvents, OpenOptions, Peer } from './bindings.js';
import { openEngine, type Place } from './engine.js';
import { DittoError, toDittoError } from './error.js';
import { Logger } from './logger.js';
import { inFolder } from './node-folder.js';
import { Scope } from './scope.js';
import { Turn } from './turn.js';

type Listener<K extends keyof EngineEvents> = (value: EngineEvents[K]) => boolean | void;

type State =
  | { name: 'opening'; waiting: Job[] }
  | { name: 'open'; peer: Peer }
  | { name: 'failed'; error: DittoError }
  | { name: 'closed' };

interface Job {
  run(peer: Peer): void;
  refuse(error: DittoError): void;
}

/** @internal */
export class Core {
  readonly opened: Promise<void>;
  /** Where the engine runs. */
  readonly place: Place;
  /** Whether code runs inside the scope of a transaction. */
  readonly scope = new Scope();
  /** Holds answers back that come late in a turn of the event loop. */
  readonly #turn = new Turn();
  #state: State = { name: 'opening', waiting: [] };
  #opening: Promise<Peer>;
  #closing: Promise<void> | null = null;
  readonly #listeners = new Map<keyof EngineEvents, Set<(value: never) => boolean | void>>();
  readonly #latest: Partial<EngineEvents> = {};

  constructor(options: OpenOptions, place: Place = 'page') {
    this.place = place;
    this.#opening = this.#open(options);
    this.opened = this.#opening.then(() => undefined);
    // `openSync` has nobody to tell; every later call answers with this error.
    this.opened.catch(() => undefined);
  }

  get isClosed(): boolean {
    return this.#state.name === 'closed';
  }

  async #open(options: OpenOptions): Promise<Peer> {
    try {
      const lost = (error: DittoError) => this.#lose(error);
      const { path } = options;
      const open = (complete: OpenOptions) => openEngine(complete, this.place, { event: (kind, value) => this.#emit(kind, value), lost });
      const peer = await (path === undefined ? open(options) : inFolder(path, (folder) => open({ ...options, folder })));
      if (this.#state.name === 'opening') {
        for (const job of this.#state.waiting) job.run(peer);
        this.#state = { name: 'open', peer };
      }
      return peer;
    } catch (cause) {
      const error = toDittoError(cause);
      if (this.#state.name === 'opening') {
        const { waiting } = this.#state;
        this.#state = { name: 'failed', error };
        for (const job of waiting) job.refuse(error);
      }
      throw error;
    }
  }

  /** The engine broke down: every later call answers with the error. */
  #lose(error: DittoError): void {
    if (this.#state.name !== 'open') return;
    this.#state = { name: 'failed', error };
    this.#emit('failed', error);
  }

  /** Runs work on the open engine, now or when it is open; failures become `DittoError`. */
  run<T>(work: (peer: Peer) => T | Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const refuse = (cause: unknown) => reject(toDittoError(cause));
      const run = (peer: Peer) => {
        try {
          Promise.resolve(work(peer)).then(resolve, refuse);
        } catch (cause) {
          refuse(cause);
        }
      };
      if (this.#state.name === 'open') run(this.#state.peer);
      else if (this.#state.name === 'opening') this.#state.waiting.push({ run, refuse });
      else refuse(this.#refusal());
    });
  }

  /** Returns what an answer has to wait for, so that the page has its turn; each answer of a worker comes in a turn of its own. */
  rest(): Promise<void> | undefined {
    return this.place === 'page' ? this.#turn.wait() : undefined;
  }

  /** Like `run` for work without an answer: what fails at once is thrown, what fails later is logged. */
  post(work: (peer: Peer) => void): void {
    if (this.#state.name === 'open') {
      try {
        work(this.#state.peer);
      } catch (cause) {
        throw toDittoError(cause);
      }
    } else if (this.#state.name === 'opening') {
      this.run(work).catch((error: DittoError) => Logger.error(`${error.code}: ${error.message}`));
    } else {
      throw this.#refusal();
    }
  }

  /** Like `post`, for cancelling: nothing to do when the engine is gone. */
  dismiss(work: (peer: Peer) => void): void {
    if (this.#state.name === 'open' || this.#state.name === 'opening') this.post(work);
  }

  /** Throws when the database was closed or could not be opened. */
  check(): void {
    if (this.#state.name === 'closed' || this.#state.name === 'failed') throw this.#refusal();
  }

  #refusal(): DittoError {
    if (this.#state.name === 'failed') return this.#state.error;
    return new DittoError('store/closed', 'The database was closed; open it again.');
  }

  /** Returns the last value of an event. */
  latest<K extends keyof EngineEvents>(kind: K): EngineEvents[K] | undefined {
    return this.#latest[kind];
  }

  /** Calls the listener on every event of a kind, until the returned function is called. */
  on<K extends keyof EngineEvents>(kind: K, listener: Listener<K>): () => void {
    const listeners = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, listeners);
    const own: Listener<K> = (value) => listener(value);
    listeners.add(own);
    return () => listeners.delete(own);
  }

  #emit<K extends keyof EngineEvents>(kind: K, value: EngineEvents[K]): boolean {
    this.#latest[kind] = value;
    let handled = false;
    for (const listener of [...(this.#listeners.get(kind) ?? [])] as Listener<K>[]) {
      try {
        if (listener(value) === true) handled = true;
      } catch (cause) {
        Logger.error(`A listener for ${kind} threw: ${String(cause)}`);
      }
    }
    return handled;
  }

  /** Commits what is in flight, closes links and releases locks. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const peer = await this.#opening.catch(() => null);
    this.#state = { name: 'closed' };
    this.#listeners.clear();
    await peer?.close().catch((cause: unknown) => {
      throw toDittoError(cause);
    });
  }
}
