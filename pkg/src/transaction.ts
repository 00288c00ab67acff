/** Several statements as one unit. */

import type { Core } from './core.js';
import { DittoError } from './error.js';
import { Logger } from './logger.js';
import { checkDurability, type Durability } from './options.js';
import type { QueryResult } from './query-result.js';
import { type DQLQueryArguments, executeOn, type QueryExecuting, type Store } from './store.js';

/** What the scope of a transaction may return to say how it ends. */
export type TransactionCompletionAction = 'commit' | 'rollback';

/** Options of `Store.transaction`. */
export interface TransactionOptions {
  /** Whether writes are refused; read-only transactions run at once, on a snapshot. */
  isReadOnly?: boolean;
  /** For the log. */
  hint?: string;
  /** What the commit must survive before `transaction` resolves; by default the database's own. */
  durability?: Durability | undefined;
}

/** What is known of a transaction. */
export class TransactionInfo {
  readonly id: string;
  readonly hint?: string;
  readonly isReadOnly: boolean;

  /** @internal */
  constructor(id: string, options: TransactionOptions) {
    this.id = id;
    if (options.hint !== undefined) this.hint = options.hint;
    this.isReadOnly = options.isReadOnly ?? false;
    Object.freeze(this);
  }
}

/** An open transaction; statements run in it see its own writes. */
export class Transaction implements QueryExecuting {
  readonly store: Store;
  readonly info: TransactionInfo;
  readonly #core: Core;
  readonly #number: number;
  readonly #durability: Durability | undefined;
  #ended = false;

  /** @internal */
  constructor(store: Store, info: TransactionInfo, engine: { core: Core; number: number; durability: Durability | undefined }) {
    this.store = store;
    this.info = info;
    this.#core = engine.core;
    this.#number = engine.number;
    this.#durability = engine.durability;
  }

  /** Runs a statement in the transaction. */
  async execute<T = any, U extends DQLQueryArguments = DQLQueryArguments>(query: string, queryArguments?: U): Promise<QueryResult<T>> {
    if (this.#ended) throw new DittoError('query/execution', 'The transaction has ended; run the statement inside its scope.');
    const statement = { query, args: queryArguments, durability: this.#durability, transaction: this.#number };
    try {
      return await executeOn<T>(this.#core, statement);
    } finally {
      this.#core.scope.enter();
    }
  }

  /** @internal */
  end(commit: boolean): Promise<void> {
    this.#ended = true;
    return this.#core.run(async (peer) => {
      await peer.end(this.#number, commit);
    });
  }
}

let detectsDeadlocks = true;

/** @internal */
export const deadlockDetection = {
  get isEnabled(): boolean {
    return detectsDeadlocks;
  },
  disable(): void {
    detectsDeadlocks = false;
  },
};

/** @internal */
export async function runTransaction<T>(
  store: Store,
  core: Core,
  scope: (transaction: Transaction) => Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  const { durability } = options;
  checkDurability(durability);
  const number = await core.run((peer) => peer.begin(options.isReadOnly ?? false) as Promise<number>);
  const transaction = new Transaction(store, new TransactionInfo(String(number), options), { core, number, durability });
  const quiet = core.on('transactionOpen', (open) => {
    if (open.transaction === number && detectsDeadlocks) warn(options.hint, open.openMs);
  });
  let result: T;
  try {
    result = await core.scope.start(() => scope(transaction));
  } catch (cause) {
    // What the scope threw is the news, not that a closed store has nothing to take back.
    await transaction.end(false).catch(() => undefined);
    throw cause;
  } finally {
    quiet();
    core.scope.leave();
  }
  await transaction.end(result !== 'rollback');
  const rest = core.rest();
  if (rest !== undefined) await rest;
  return result;
}

function warn(hint: string | undefined, openMs: number): void {
  const which = hint === undefined ? 'A transaction' : `The transaction "${hint}"`;
  Logger.warning(`${which} has been open for ${Math.round(openMs / 1000)} s. If its scope awaits store.execute, it waits for itself: use the transaction's execute.`);
}
