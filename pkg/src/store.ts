/** The documents: statements, live queries and transactions. */

import {
  Attachment,
  AttachmentFetcher,
  type AttachmentFetchEvent,
  type AttachmentSource,
  AttachmentToken,
  createAttachment,
  validateAttachmentMetadata,
} from './attachment.js';
import type { RawRows } from './bindings.js';
import { CBOR } from './cbor.js';
import type { Core } from './core.js';
import type { Ditto } from './ditto.js';
import { DittoError } from './error.js';
import { type StoreObservationHandler, type StoreObservationHandlerWithSignalNext, StoreObserver } from './observer.js';
import { checkDurability, type Durability } from './options.js';
import { QueryResult } from './query-result.js';
import { areLong } from './slices.js';
import { isWriting } from './scope.js';
import { runTransaction, type Transaction, type TransactionOptions } from './transaction.js';
import { YDocBinding, type YDocOptions } from './y-doc.js';
import type { YDocument } from './y-types.js';

/** What can be passed for a parameter. */
export type DQLQueryArgumentValue =
  | string
  | number
  | boolean
  | bigint
  | Uint8Array
  | null
  | Attachment
  | DQLQueryArgumentValue[]
  | { [key: string]: DQLQueryArgumentValue };

/** Parameters by name, without the colon. */
export type DQLQueryArguments = { [key: string]: any };

/** What a write must survive before `execute` resolves. */
export interface ExecuteOptions {
  /** `memory`: nothing; `relaxed`: the end of the browser; `strict`: a power cut. By default the database's own. */
  durability?: Durability | undefined;
}

/** What runs statements. */
export interface QueryExecuting {
  /** Runs a statement. */
  execute<T = any, U extends DQLQueryArguments = DQLQueryArguments>(query: string, queryArguments?: U): Promise<QueryResult<T>>;
}

/** The documents of a database. */
export class Store implements QueryExecuting {
  /** The database. */
  readonly ditto: Ditto;
  readonly #core: Core;
  readonly #durability: Durability | undefined;
  readonly #bindings = new Set<YDocBinding<any>>();
  #observers: readonly StoreObserver[] = Object.freeze([]);
  #fetchers: readonly AttachmentFetcher[] = Object.freeze([]);

  /** @internal */
  constructor(ditto: Ditto, core: Core, durability: Durability | undefined) {
    this.ditto = ditto;
    this.#core = core;
    this.#durability = durability;
  }

  /** The live queries that are not cancelled. */
  get observers(): readonly StoreObserver[] {
    return this.#observers;
  }

  /** The fetchers that are under way. */
  get attachmentFetchers(): readonly AttachmentFetcher[] {
    return this.#fetchers;
  }

  /** Runs a statement. */
  async execute<T = any, U extends DQLQueryArguments = DQLQueryArguments>(
    query: string,
    queryArguments?: U,
    options: ExecuteOptions = {},
  ): Promise<QueryResult<T>> {
    checkDurability(options.durability);
    if (this.#core.scope.isInside && typeof query === 'string' && isWriting(query)) {
      const advice = "use the transaction's execute; a write of its own can start when the scope has ended";
      throw new DittoError('query/execution', `store.execute inside the scope of a transaction would wait for that transaction to end: ${advice}.`);
    }
    try {
      return await executeOn<T>(this.#core, { query, args: queryArguments, durability: options.durability ?? this.#durability });
    } finally {
      // Whoever awaits this is not the scope.
      this.#core.scope.leave();
    }
  }

  /** Calls the handler with every answer of a SELECT, the first time after this method has returned. */
  registerObserver<T = any, U extends DQLQueryArguments = DQLQueryArguments>(
    query: string,
    observationHandler: StoreObservationHandler<T>,
    queryArguments?: U,
  ): StoreObserver<T> {
    return this.#observe<T>(query, { call: (result) => observationHandler(result), signals: 'automatic' }, queryArguments);
  }

  /** Like `registerObserver`; after each answer nothing more comes until `signalNext` is called. */
  registerObserverWithSignalNext<T = any, U extends DQLQueryArguments = DQLQueryArguments>(
    query: string,
    observationHandler: StoreObservationHandlerWithSignalNext<T>,
    queryArguments?: U,
  ): StoreObserver<T> {
    return this.#observe<T>(query, { call: observationHandler, signals: 'manual' }, queryArguments);
  }

  #observe<T>(
    text: string,
    handler: { call: StoreObservationHandlerWithSignalNext<T>; signals: 'automatic' | 'manual' },
    args: DQLQueryArguments | undefined,
  ): StoreObserver<T> {
    const ended = (observer: StoreObserver) => {
      this.#observers = Object.freeze(this.#observers.filter((other) => other !== observer));
    };
    const observer = new StoreObserver<T>(this.ditto, { text, args }, handler, { core: this.#core, ended });
    this.#observers = Object.freeze([...this.#observers, observer]);
    return observer;
  }

  /**
   * Runs the scope as one unit: all its writes become one commit, or none is kept.
   *
   * Returning `'rollback'` takes the writes back; any other value commits; throwing takes them back and throws on. A writing
   * `store.execute` inside the scope would wait for the transaction to end, and is rejected with `query/execution`.
   */
  transaction<T = 'commit' | 'rollback'>(scope: (transaction: Transaction) => Promise<T>, options?: TransactionOptions): Promise<T> {
    return runTransaction(this, this.#core, scope, { durability: this.#durability, ...options });
  }

  /**
   * Binds a TEXT, LIST or XML field to a `Y.Doc` of `yjs`, whose root is named `default`; editors bind to that document.
   *
   * Resolves when the document holds what is stored here. `path` is the field's name, or its names from the top. A field or
   * document that is not there is made by the first edit.
   */
  async yDoc<D extends YDocument = any>(
    collection: string,
    id: DQLQueryArgumentValue,
    path: string | readonly string[],
    options: YDocOptions & { doc?: D | undefined },
  ): Promise<YDocBinding<D>> {
    const forget = () => this.#bindings.delete(binding);
    const binding: YDocBinding<D> = new YDocBinding<D>(this.#core, { durability: this.#durability, ...options }, forget);
    this.#bindings.add(binding);
    return binding.start({ collection, id, path: typeof path === 'string' ? [path] : [...path] });
  }

  /** Writes what is typed into bound documents and ends the bindings. @internal */
  async endBindings(): Promise<void> {
    await Promise.allSettled([...this.#bindings].map((binding) => binding.destroy()));
  }

  /**
   * Keeps bytes as an attachment; insert the result in a document before the next collection, or it is removed again.
   *
   * A Blob, a File and a stream are read piece by piece, so that their size does not matter. Rejects with `store/quota-exceeded`
   * and `store/failed-to-create-attachment`; with `unsupported` for a path.
   */
  async newAttachment(pathOrData: string | AttachmentSource, metadata: { [key: string]: string } = {}): Promise<Attachment> {
    return createAttachment(this.#core, pathOrData as AttachmentSource, validateAttachmentMetadata(metadata));
  }

  /**
   * Brings an attachment here that a document names. Waits, without a limit of time, until a peer in reach has it.
   *
   * Throws `store/attachment-token-invalid`; the fetcher rejects with it when the length is not that of the attachment, and with
   * `store/failed-to-fetch-attachment` when it cannot be stored.
   */
  fetchAttachment(token: AttachmentToken | Attachment | { [key: string]: any }, handler?: (event: AttachmentFetchEvent) => void): AttachmentFetcher {
    this.#core.check();
    const named = new AttachmentToken(token);
    const ended = (fetcher: AttachmentFetcher) => {
      this.#fetchers = Object.freeze(this.#fetchers.filter((other) => other !== fetcher));
    };
    const fetcher = new AttachmentFetcher(this.#core, named, handler, ended);
    this.#fetchers = Object.freeze([...this.#fetchers, fetcher]);
    return fetcher;
  }
}

const NO_ARGUMENTS = new Uint8Array([0xa0]);

/** @internal */
export async function executeOn<T>(
  core: Core,
  statement: { query: string; args: DQLQueryArguments | undefined; durability?: string | undefined; transaction?: number },
): Promise<QueryResult<T>> {
  if (typeof statement.query !== 'string') throw new DittoError('query/invalid', 'A statement is text.');
  const { query, args: given, transaction, durability } = statement;
  if (core.place === 'worker' && areLong(given)) {
    return new QueryResult<T>(await core.run((peer) => peer.executeSliced!(transaction, query, given, durability)));
  }
  const args = encodeArguments(given);
  try {
    return new QueryResult<T>(await core.run((peer) => peer.execute(transaction, query, args, durability) as Promise<RawRows>));
  } finally {
    const rest = core.rest();
    if (rest !== undefined) await rest;
  }
}

/** @internal */
export function encodeArguments(args: DQLQueryArguments | undefined): Uint8Array {
  if (args === undefined || args === null) return NO_ARGUMENTS;
  if (typeof args !== 'object' || Array.isArray(args)) throw new DittoError('query/arguments-invalid', 'Arguments are an object of names and values.');
  return CBOR.encode(args);
}
