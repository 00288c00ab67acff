/** Where the data is, how it is doing, and how to take it elsewhere; an extension of the original. */

import { exportBlob, exportStream, importFrom, type ImportResult } from './backup.js';
import type { StorageMode, StorageUsage, VerifyReport } from './bindings.js';
import type { Core } from './core.js';
import { type EncryptionSecret, rawSecret } from './encryption.js';
import { exportCollection, importCollection, type ImportCollectionOptions, type ImportCollectionResult } from './ndjson.js';
import { Observer } from './observer.js';
import type { ByteSource, TransferOptions } from './stream.js';

/** Where the data is. */
export interface StorageState {
  /** `memory`: lost with the page, because there is no IndexedDB or the browser refuses it; `files`: a directory, under Node. */
  readonly mode: StorageMode;
  /** Whether nobody evicts the data: files, or a browser's promise, which is asked for at the first write. */
  readonly persistent: boolean;
  /**
   * `full`: there is no space; what was written stays and can be read, and the next write that fits says that it is over.
   * `lost`: another page has deleted the database; everything answers `store/closed` until it is opened again.
   */
  readonly condition: 'ok' | 'full' | 'lost';
  /** Why the data is in memory only, or lost. */
  readonly reason: string | null;
  /** What was given up since the database was opened, because it cannot be read; what it held is asked for from every peer. */
  readonly damaged: string | null;
}

/** The storage of one database. */
export class Storage {
  readonly #core: Core;
  readonly #version: string;
  readonly #path: string | undefined;

  /** @internal */
  constructor(core: Core, version: string, path: string | undefined) {
    this.#core = core;
    this.#version = version;
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

  /** How the storage is doing. */
  get condition(): 'ok' | 'full' | 'lost' {
    return this.#core.latest('storage')?.condition ?? 'ok';
  }

  /** Why the data is in memory only, or lost; `null` when it is neither. */
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

  /**
   * Reads everything that the store holds, attachments included, and reports what cannot be read. Changes nothing, but that a damaged
   * part of an attachment is given up, so that it is fetched again from a peer that has it.
   */
  async verify(options: { onProgress?: (progress: { done: number; total: number }) => void } = {}): Promise<VerifyReport> {
    const { onProgress } = options;
    const stop = onProgress && this.#core.on('verifying', (progress) => onProgress(progress));
    try {
      return await this.#core.run((peer) => peer.verify() as Promise<VerifyReport>);
    } finally {
      stop?.();
    }
  }

  /**
   * Returns the whole database as a file, with all that merging needs; deleted documents are in it as such, and so are the
   * attachments that are here whole.
   *
   * Writes go on meanwhile: each document is as it was at some moment of the export.
   */
  export(options: TransferOptions = {}): Promise<Blob> {
    return exportBlob(this.#core, this.#version, options);
  }

  /** Like `export`, as a stream; nothing is read before somebody reads from it. */
  exportStream(options: TransferOptions = {}): ReadableStream<Uint8Array> {
    return exportStream(this.#core, this.#version, options);
  }

  /**
   * Merges an exported database into this one: what is newer here stays, an import twice is an import once.
   *
   * Observers hear of it and other peers get it. What came before an error or an abort stays imported, which harms nothing.
   */
  import(source: ByteSource, options: TransferOptions = {}): Promise<ImportResult> {
    return importFrom(this.#core, source, options);
  }

  /** Returns a collection as lines of JSON, one document each, for other programs. Of attachments it has the tokens, not the bytes. */
  exportCollection(collection: string, options: TransferOptions = {}): ReadableStream<Uint8Array> {
    return exportCollection(this.#core, collection, options);
  }

  /** Inserts lines of JSON into a collection. What came before an error stays. */
  importCollection(collection: string, source: ByteSource, options: ImportCollectionOptions = {}): Promise<ImportCollectionResult> {
    return importCollection(this.#core, collection, source, options);
  }
}
