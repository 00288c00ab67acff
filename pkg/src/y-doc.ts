/**
 * A Y.Doc that goes along with a field: what is typed is written, what others write arrives, and so does awareness.
 *
 * Updates of the document that did not come from here are gathered for a moment and written as one; one write is under way at a
 * time. A change of the field makes the binding ask what its document lacks, by state vector, so nothing piles up. What comes
 * is applied with the binding as its origin, by which editors and other providers know it.
 */

import { awarenessQuery, encodeAwareness, hearAwareness, leaving } from './awareness.js';
import { CBOR } from './cbor.js';
import type { Core } from './core.js';
import { DittoError, toDittoError } from './error.js';
import { Logger } from './logger.js';
import { checkDurability, type Durability } from './options.js';
import type { YAwareness, YAwarenessChange, YDocument, YKind, YModule } from './y-types.js';

/** How a field is bound. */
export interface YDocOptions {
  /** The module `yjs` of the application: `import * as Y from 'yjs'`. */
  Y: YModule;
  /** The document to bind; without it a new one. What it holds already is written into the field. */
  doc?: YDocument | undefined;
  /** An `Awareness` of `y-protocols/awareness`, shared with whoever is bound to the field. */
  awareness?: YAwareness | undefined;
  /** What the field becomes when it is not there yet; `text` by default. A field that is there must be of this kind, if one is given. */
  kind?: YKind | undefined;
  /** How long typing is gathered before it is written, milliseconds; 100 by default. */
  gatherMs?: number | undefined;
  /** What a write must survive. By default the database's own. */
  durability?: Durability | undefined;
  /** Is told when the binding has ended by itself: the document was deleted, or the field replaced by other content. */
  onEnded?: ((error: DittoError) => void) | undefined;
}

/** What names a field. @internal */
export interface FieldName {
  collection: string;
  id: unknown;
  path: string[];
}

/** What the engine tells of a field. */
interface Lacking {
  kind: YKind;
  life: number;
  update: Uint8Array;
}

/** A bound document. */
export class YDocBinding<D extends YDocument = YDocument> {
  /** The document. */
  readonly doc: D;
  readonly #core: Core;
  readonly #options: YDocOptions;
  readonly #forget: () => void;
  #number = 0;
  #kind: YKind | undefined;
  #life: number | undefined;
  #typed: Uint8Array[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writing: Promise<void> | null = null;
  #reading: Promise<void> | null = null;
  #isStale = false;
  #unlisten: (() => void) | undefined;
  #state: 'bound' | 'ending' | 'ended' = 'bound';

  /** @internal */
  constructor(core: Core, options: YDocOptions, forget: () => void) {
    checkDurability(options.durability);
    if (typeof options?.Y?.applyUpdate !== 'function') {
      throw new DittoError('query/arguments-invalid', "yDoc takes the module of the application: { Y } of import * as Y from 'yjs'.");
    }
    this.#core = core;
    this.#options = options;
    this.#forget = forget;
    this.#kind = options.kind;
    this.doc = (options.doc ?? new options.Y.Doc()) as D;
  }

  /** Whether everything typed is written and everything known is in the document. */
  get synced(): boolean {
    return this.#typed.length === 0 && this.#writing === null && this.#reading === null && !this.#isStale && this.#state === 'bound';
  }

  /** @internal */
  async start(name: FieldName): Promise<this> {
    const { Y, awareness } = this.#options;
    const target = CBOR.encode(name);
    this.#number = await this.#core.run((peer) => peer.watchField(target, this.#told) as Promise<number>);
    try {
      this.doc.on('update', this.#updated);
      await this.#read();
      if (Y.encodeStateVector(this.doc).length > 1) {
        this.#typed.push(Y.encodeStateAsUpdate(this.doc));
        await this.flush();
      }
    } catch (error) {
      this.#end();
      throw error;
    }
    globalThis.addEventListener?.('pagehide', this.#hidden);
    globalThis.document?.addEventListener('visibilitychange', this.#hidden);
    if (awareness !== undefined) {
      awareness.on('update', this.#moved);
      // Said again with a newer clock: others may know that it has left an earlier binding.
      if (awareness.getLocalState() !== null) awareness.setLocalState(awareness.getLocalState());
      this.#say(awarenessQuery);
      // A peer that was out of reach has heard nothing.
      this.#unlisten = this.#core.on('presence', () => {
        if (awareness.getLocalState() !== null) this.#say(encodeAwareness(awareness, [awareness.clientID]));
      });
    }
    return this;
  }

  /** Resolves when everything typed so far is written; rejects if it cannot be, and then it is kept and tried again later. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#typed.length > 0 || this.#writing !== null) {
      this.#writing ??= this.#write().finally(() => {
        this.#writing = null;
      });
      await this.#writing;
    }
  }

  /** Writes what is typed and ends the binding; the document stays usable. */
  async destroy(): Promise<void> {
    if (this.#state !== 'bound') return;
    this.#state = 'ending';
    try {
      const { awareness } = this.#options;
      if (awareness !== undefined && awareness.getLocalState() !== null) this.#say(leaving(awareness));
      this.doc.off('update', this.#updated);
      await this.flush();
    } finally {
      this.#end();
    }
  }

  /** Ends the binding at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.destroy();
  }

  /** The document was changed; what comes from here is not told back. */
  readonly #updated = (update: Uint8Array, origin: unknown): void => {
    if (origin === this) return;
    this.#typed.push(update);
    this.#timer ??= setTimeout(() => this.#flushLater(), this.#options.gatherMs ?? 100);
  };

  /** The page may not come back. */
  readonly #hidden = (): void => this.#flushLater();

  #flushLater(): void {
    this.flush().catch((error: unknown) => {
      if (this.#state === 'bound') Logger.error(`What was typed could not be written, and is kept: ${String(error)}`);
    });
  }

  /** The engine calls: the field's document was changed, or somebody said something. */
  readonly #told = (message?: Uint8Array): void => {
    if (this.#state !== 'bound') return;
    const { awareness } = this.#options;
    if (message === undefined) {
      this.#read().catch((error: unknown) => {
        if (this.#state === 'bound') Logger.error(`A bound field could not be read: ${String(error)}`);
      });
    } else if (awareness !== undefined && hearAwareness(awareness, message, this) === 'asked' && awareness.getLocalState() !== null) {
      this.#say(encodeAwareness(awareness, [awareness.clientID]));
    }
  };

  readonly #moved = ({ added, updated, removed }: YAwarenessChange, origin: unknown): void => {
    if (origin !== this) this.#say(encodeAwareness(this.#options.awareness!, [...added, ...updated, ...removed]));
  };

  #say(message: Uint8Array | null): void {
    if (message !== null) this.#core.dismiss((peer) => peer.say(this.#number, message));
  }

  async #write(): Promise<void> {
    const { Y, durability } = this.#options;
    const typed = this.#typed;
    this.#typed = [];
    const update = typed.length === 1 ? typed[0]! : Y.mergeUpdates(typed);
    try {
      const field = (await this.#core.run((peer) => peer.writeField(this.#number, this.#kind ?? 'text', this.#life, update, durability))) as Lacking;
      this.#life = field?.life;
      this.#kind = field?.kind ?? this.#kind;
    } catch (cause) {
      const error = toDittoError(cause);
      if (error.code === 'store/crdt') this.#fail(error);
      else this.#typed.unshift(update);
      throw error;
    }
  }

  /** Fetches what the document lacks, again while more has come. */
  #read(): Promise<void> {
    this.#isStale = true;
    this.#reading ??= this.#readAll().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #readAll(): Promise<void> {
    const { Y, kind } = this.#options;
    while (this.#isStale && this.#state !== 'ended') {
      this.#isStale = false;
      const known = Y.encodeStateVector(this.doc);
      const field = (await this.#core.run((peer) => peer.readField(this.#number, known))) as Lacking | undefined;
      // Its own first write may be under way.
      if (field === undefined && this.#life === undefined) continue;
      if (field === undefined || (this.#life !== undefined && field.life !== this.#life)) {
        throw this.#fail(new DittoError('store/crdt', 'The field was deleted or replaced by other content; bind it again.'));
      }
      if (kind !== undefined && field.kind !== kind) {
        throw this.#fail(new DittoError('store/crdt', `The field is of kind ${field.kind}, not ${kind}.`));
      }
      this.#life = field.life;
      this.#kind = field.kind;
      // Two zeros are an update of nothing.
      if (field.update.length > 2) Y.applyUpdate(this.doc, field.update, this);
    }
  }

  #fail(error: DittoError): DittoError {
    if (this.#state === 'bound') {
      this.#end();
      this.#options.onEnded?.(error);
    }
    return error;
  }

  #end(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    clearTimeout(this.#timer);
    this.doc.off('update', this.#updated);
    this.#options.awareness?.off('update', this.#moved);
    this.#unlisten?.();
    globalThis.removeEventListener?.('pagehide', this.#hidden);
    globalThis.document?.removeEventListener('visibilitychange', this.#hidden);
    this.#core.dismiss((peer) => peer.unwatchField(this.#number));
    this.#forget();
  }
}
