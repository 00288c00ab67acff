/** Where the data is, and how much of it; an extension of the original. */

import type { StorageMode, StorageUsage } from './bindings.js';
import type { Core } from './core.js';
import { type EncryptionSecret, rawSecret } from './encryption.js';
import { Observer } from './observer.js';

/** Where the data is. */
export interface StorageState {
  /** `memory`: lost with the page, because there is no IndexedDB or the browser refuses it; `files`: a directory, under Node. */
  readonly mode: StorageMode;
  /** Whether nobody evicts the data: files, or a browser's promise, which is asked for at the first write. */
  readonly persistent: boolean;
  /** Why the data is in memory only. */
  readonly reason: string | null;
}

/** The storage of one database. */
export class Storage {
  readonly #core: Core;

  readonly #path: string | undefined;

  /** @internal */
  constructor(core: Core, path: string | undefined) {
    this.#core = core;
    this.#path = path;
  }

  /** Where the data is; before the database is open: where it will be if the browser allows. */
  get mode(): StorageMode {
    // Asked last: where storage is blocked, `indexedDB` may throw.
    return this.#core.latest('storage')?.mode ?? (this.#path !== undefined ? 'files' : typeof indexedDB === 'undefined' ? 'memory' : 'indexeddb');
  }

  /** Whether nobody evicts the data. */
  get persistent(): boolean {
    return this.#core.latest('storage')?.persistent ?? false;
  }

  /** Why the data is in memory only; `null` when it is not. */
  get reason(): string | null {
    return this.#core.latest('storage')?.reason ?? null;
  }

  /** Calls back when one of these has changed. */
  observe(callback: (state: StorageState) => void): Observer {
    return new Observer(this.#core.on('storage', (state) => callback(state)));
  }

  /** Returns how much space is used, in bytes. */
  usage(): Promise<StorageUsage> {
    return this.#core.run((peer) => peer.usage() as Promise<StorageUsage>);
  }

  /**
   * Locks an encrypted store with another secret; from then on the current one is refused. The data is not written again.
   *
   * Tabs that have the store open go on; at their next opening they need the new secret. Errors: `encryption/wrong-key` when
   * `current` is not the secret of now, `encryption/extraneous-passphrase-given` for a store that is not encrypted.
   */
  async changeEncryptionKey(current: EncryptionSecret, next: EncryptionSecret): Promise<void> {
    const [from, to] = [rawSecret(current), rawSecret(next)];
    await this.#core.run((peer) => peer.changeEncryptionKey(from, to) as Promise<void>);
  }
}
