/** Handles on what was registered: live queries, subscriptions and plain observers. */

import type { RawRows } from './bindings.js';
import { CBOR } from './cbor.js';
import type { Core } from './core.js';
import type { Ditto } from './ditto.js';
import { Logger } from './logger.js';
import { QueryResult } from './query-result.js';
import { toJSON } from './json.js';
import type { DQLQueryArguments } from './store.js';

/** Receives every answer of a live query. */
export type StoreObservationHandler<T = any> = (result: QueryResult<T>) => void;

/** Receives an answer of a live query, and the next one after `signalNext` was called. */
export type StoreObservationHandlerWithSignalNext<T = any> = (result: QueryResult<T>, signalNext: () => void) => void;

/** Options for observers; none exist yet. */
export type ObserverOptions = Record<string, never>;

/** Stops a callback. */
export class Observer {
  #stop: (() => void) | null;

  /** @internal */
  constructor(stop: () => void) {
    this.#stop = stop;
  }

  /** Whether `stop` was called. */
  get isStopped(): boolean {
    return this.#stop === null;
  }

  /** Stops the callback; may be called again. */
  stop(): void {
    this.#stop?.();
    this.#stop = null;
  }

  /** Stops the callback at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.stop();
  }
}

/** What a live query and a subscription have in common: a statement, its arguments, and an end. */
abstract class Registration {
  /** The database. */
  readonly ditto: Ditto;
  /** The statement. */
  readonly queryString: string;
  /** Its arguments. */
  readonly queryArguments: DQLQueryArguments | undefined;
  /** Its arguments in binary form. */
  readonly queryArgumentsCBORData: Uint8Array | undefined;
  #cancelled = false;

  constructor(ditto: Ditto, queryString: string, queryArguments: DQLQueryArguments | undefined) {
    this.ditto = ditto;
    this.queryString = queryString;
    this.queryArguments = queryArguments && Object.freeze({ ...queryArguments });
    this.queryArgumentsCBORData = queryArguments && CBOR.encode(queryArguments);
  }

  /** Its arguments as JSON. */
  get queryArgumentsJSONString(): string | undefined {
    return this.queryArguments && toJSON(this.queryArguments);
  }

  /** Whether `cancel` was called. */
  get isCancelled(): boolean {
    return this.#cancelled;
  }

  /** Ends it; may be called again. */
  cancel(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.end();
  }

  /** Ends it at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.cancel();
  }

  protected abstract end(): void;
}

const NO_ARGUMENTS = new Uint8Array([0xa0]);

/** A live query. */
export class StoreObserver<T = any> extends Registration {
  readonly #core: Core;
  readonly #ended: (observer: StoreObserver<any>) => void;
  readonly #handler: StoreObservationHandlerWithSignalNext<T>;
  readonly #signals: 'automatic' | 'manual';
  #id: number | null = null;

  /** @internal */
  constructor(
    ditto: Ditto,
    query: { text: string; args: DQLQueryArguments | undefined },
    handler: { call: StoreObservationHandlerWithSignalNext<T>; signals: 'automatic' | 'manual' },
    internals: { core: Core; ended: (observer: StoreObserver<any>) => void },
  ) {
    super(ditto, query.text, query.args);
    this.#core = internals.core;
    this.#ended = internals.ended;
    this.#handler = handler.call;
    this.#signals = handler.signals;
    this.#core.post((peer) => {
      if (this.isCancelled) return;
      const args = this.queryArgumentsCBORData ?? NO_ARGUMENTS;
      this.#id = peer.observe(this.queryString, args, (rows: RawRows) => this.#deliver(rows));
    });
  }

  #deliver(rows: RawRows): void {
    if (this.isCancelled) return;
    let signalled = false;
    const signalNext = () => {
      if (signalled || this.isCancelled) return;
      signalled = true;
      const id = this.#id;
      if (id !== null) this.#core.dismiss((peer) => peer.observerReady(id));
    };
    // A handler is no part of a scope, even if it is called between two of its statements.
    this.#core.scope.leave();
    try {
      this.#handler(new QueryResult<T>(rows), signalNext);
    } catch (cause) {
      Logger.error(`The handler of an observer threw: ${String(cause)}`);
    }
    if (this.#signals === 'automatic') signalNext();
  }

  protected override end(): void {
    const id = this.#id;
    if (id !== null) this.#core.dismiss((peer) => peer.unobserve(id));
    this.#ended(this);
  }
}

/** A request to the other peers for documents. */
export class SyncSubscription extends Registration {
  readonly #core: Core;
  readonly #ended: (subscription: SyncSubscription) => void;
  #id: number | null = null;

  /** @internal */
  constructor(
    ditto: Ditto,
    query: { text: string; args: DQLQueryArguments | undefined },
    internals: { core: Core; ended: (subscription: SyncSubscription) => void },
  ) {
    super(ditto, query.text, query.args);
    this.#core = internals.core;
    this.#ended = internals.ended;
    this.#core.post((peer) => {
      if (!this.isCancelled) this.#id = peer.subscribe(this.queryString, this.queryArgumentsCBORData ?? NO_ARGUMENTS);
    });
  }

  protected override end(): void {
    const id = this.#id;
    if (id !== null) this.#core.dismiss((peer) => peer.unsubscribe(id));
    this.#ended(this);
  }
}
