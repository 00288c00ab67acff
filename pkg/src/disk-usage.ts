/** How much space a database takes, as native SDKs tell it; an extension of the original's JavaScript. */

import type { Core } from './core.js';
import { Logger } from './logger.js';
import { Observer } from './observer.js';
import type { StorageUsage } from './bindings.js';

/** A place and what it takes. */
export interface DiskUsageItem {
  readonly type: 'directory' | 'file';
  /** Names within the store, joined by `/`. */
  readonly path: string;
  /** With everything in it. */
  readonly sizeInBytes: number;
  /** What is in a directory. */
  readonly children: readonly DiskUsageItem[];
}

/** Commits come in bursts; so long nothing more may come before the space is measured. */
const QUIET_MS = 250;
/** A burst that does not end is measured so often. */
const BUSY_MS_MAX = 2000;

/** The space that one database takes. */
export class DiskUsage {
  readonly #core: Core;
  readonly #directory: string;
  readonly #watches = new Set<Watch>();

  /** @internal */
  constructor(core: Core, directory: string) {
    this.#core = core;
    this.#directory = directory;
    core.on('space', () => this.#watches.forEach((watch) => watch.mayHaveChanged()));
  }

  /** Returns what the database takes now: its log, segments, small records and attachments. */
  async exec(): Promise<DiskUsageItem> {
    return tree(this.#directory, await this.#core.run((peer) => peer.usage() as Promise<StorageUsage>));
  }

  /** Calls back with what the database takes, now and whenever that has changed. */
  observe(callback: (item: DiskUsageItem) => void): Observer {
    const watch = new Watch(() => this.exec(), callback);
    this.#watches.add(watch);
    this.#tell();
    watch.mayHaveChanged();
    return new Observer(() => {
      watch.stop();
      this.#watches.delete(watch);
      this.#tell();
    });
  }

  /** The engine tells of changes only while somebody listens. */
  #tell(): void {
    const wanted = this.#watches.size > 0;
    this.#core.dismiss((peer) => peer.watchSpace(wanted));
  }
}

/** Measures when a burst of changes is over, and tells what differs from the time before. */
class Watch {
  readonly #measure: () => Promise<DiskUsageItem>;
  readonly #callback: (item: DiskUsageItem) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #since: number | undefined;
  #told: string | undefined;
  #stopped = false;

  constructor(measure: () => Promise<DiskUsageItem>, callback: (item: DiskUsageItem) => void) {
    this.#measure = measure;
    this.#callback = callback;
  }

  mayHaveChanged(): void {
    const now = Date.now();
    this.#since ??= now;
    clearTimeout(this.#timer);
    const wait = this.#told === undefined ? 0 : Math.min(QUIET_MS, Math.max(0, this.#since + BUSY_MS_MAX - now));
    this.#timer = setTimeout(() => void this.#look(), wait);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    this.#since = undefined;
    // A store that was closed meanwhile has nothing to tell.
    const item = await this.#measure().catch(() => undefined);
    const text = JSON.stringify(item);
    if (item === undefined || this.#stopped || text === this.#told) return;
    this.#told = text;
    try {
      this.#callback(item);
    } catch (cause) {
      Logger.error(`The handler of an observer of disk usage threw: ${String(cause)}`);
    }
  }
}

function tree(directory: string, usage: StorageUsage): DiskUsageItem {
  const item = (name: string, type: DiskUsageItem['type'], sizeInBytes: number): DiskUsageItem =>
    Object.freeze({ type, path: `${directory}/${name}`, sizeInBytes, children: Object.freeze([]) });
  const children = Object.freeze([
    item('log', 'directory', usage.logBytes),
    item('segments', 'directory', usage.segmentBytes),
    item('meta', 'file', usage.metaBytes),
    item('attachments', 'directory', usage.blobBytes),
  ]);
  const sizeInBytes = children.reduce((sum, child) => sum + child.sizeInBytes, 0);
  return Object.freeze({ type: 'directory', path: directory, sizeInBytes, children });
}
