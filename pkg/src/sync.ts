/** Sync with other peers: on and off, subscriptions, and how it is going. */

import type { SyncStatus } from './bindings.js';
import type { Core } from './core.js';
import type { Ditto } from './ditto.js';
import { DittoError } from './error.js';
import { Observer, SyncSubscription } from './observer.js';
import type { DQLQueryArguments } from './store.js';

const OFF: SyncStatus = Object.freeze({
  isOn: false,
  authenticated: false,
  bigPeer: 'off',
  reason: null,
  pendingCommits: 0,
  catchingUp: 0,
  documentsReceived: 0,
  documentsExpected: 0,
  links: Object.freeze([]),
});

/** Sync of one database. */
export class Sync {
  /** The database. */
  readonly ditto: Ditto;
  readonly #core: Core;
  #subscriptions: readonly SyncSubscription[] = Object.freeze([]);
  #active = false;

  /** @internal */
  constructor(ditto: Ditto, core: Core) {
    this.ditto = ditto;
    this.#core = core;
  }

  /** The subscriptions that are not cancelled. */
  get subscriptions(): readonly SyncSubscription[] {
    return this.#subscriptions;
  }

  /** Whether sync was started here. */
  get isActive(): boolean {
    return this.#active && !this.#core.isClosed;
  }

  /** How sync is going; an extension of the original. */
  get status(): SyncStatus {
    return this.#core.latest('status') ?? OFF;
  }

  /** Calls back with the present status, and with every new one; an extension of the original. */
  observeStatus(callback: (status: SyncStatus) => void): Observer {
    const stop = this.#core.on('status', (status) => callback(status));
    let stopped = false;
    queueMicrotask(() => {
      if (!stopped) callback(this.status);
    });
    return new Observer(() => {
      stopped = true;
      stop();
    });
  }

  /** Starts sync. In server mode an expiration handler has to be set before. */
  start(): void {
    this.#core.check();
    if (this.ditto.config.connect.mode === 'server' && this.ditto.auth.expirationHandler === null) {
      throw new DittoError(
        'authentication/expiration-handler-missing',
        'In server mode, call auth.setExpirationHandler before sync.start.',
      );
    }
    if (this.#active) return;
    this.#active = true;
    this.ditto.auth.required();
    this.#core.post((peer) => peer.setSync(this.#active));
  }

  /** Stops sync; documents stay, and statements go on working. */
  stop(): void {
    if (!this.#active) return;
    this.#active = false;
    this.#core.dismiss((peer) => peer.setSync(this.#active));
  }

  /** Asks the other peers for the documents that a `SELECT * FROM … [WHERE …]` describes, now and from now on. */
  registerSubscription<U extends DQLQueryArguments = DQLQueryArguments>(query: string, queryArguments?: U): SyncSubscription {
    const ended = (subscription: SyncSubscription) => {
      this.#subscriptions = Object.freeze(this.#subscriptions.filter((other) => other !== subscription));
    };
    const subscription = new SyncSubscription(this.ditto, { text: query, args: queryArguments }, { core: this.#core, ended });
    this.#subscriptions = Object.freeze([...this.#subscriptions, subscription]);
    return subscription;
  }
}
