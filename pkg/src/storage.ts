/** Where the data is, and how much of it; an extension of the original. */

import type { StorageUsage } from './bindings.js';
import type { Core } from './core.js';
import { Observer } from './observer.js';

/** Where the data is. */
export interface StorageState {
  /** `memory`: lost with the page, because there is no IndexedDB or the browser refuses it. */
  readonly mode: 'indexeddb' | 'memory';
  /** Whether the browser promised not to evict the data; asked for at the first write. */
  readonly persistent: boolean;
  /** Why the data is in memory only. */
  readonly reason: string | null;
  /** What was given up since the database was opened, because it cannot be read; what it held is asked for from every peer. */
  readonly damaged: string | null;
}

/** The storage of one database. */
export class Storage {
  readonly #core: Core;

  /** @internal */
  constructor(core: Core) {
    this.#core = core;
  }

  /** Where the data is; before the database is open: where it will be if the browser allows. */
  get mode(): 'indexeddb' | 'memory' {
    return this.#core.latest('storage')?.mode ?? (typeof indexedDB === 'undefined' ? 'memory' : 'indexeddb');
  }

  /** Whether the browser promised not to evict the data. */
  get persistent(): boolean {
    return this.#core.latest('storage')?.persistent ?? false;
  }

  /** Why the data is in memory only; `null` when it is not. */
  get reason(): string | null {
    return this.#core.latest('storage')?.reason ?? null;
  }

  /** What was given up because it cannot be read; `null` when nothing was. Sync brings back what other peers have of it. */
  get damaged(): string | null {
    return this.#core.latest('storage')?.damaged ?? null;
  }

  /** Calls back when one of these has changed. */
  observe(callback: (state: StorageState) => void): Observer {
    return new Observer(this.#core.on('storage', (state) => callback(state)));
  }

  /** Returns how much space is used, in bytes. */
  usage(): Promise<StorageUsage> {
    return this.#core.run((peer) => peer.usage() as Promise<StorageUsage>);
  }
}
