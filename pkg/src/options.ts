/** How a database is opened beside its configuration; extensions of the original. */

import { type EncryptionSecret, rawSecret } from './encryption.js';
import { DittoError } from './error.js';

/** What a write must survive before `execute` resolves; docs/storage.md has the table. */
export type Durability = 'memory' | 'relaxed' | 'strict';

/** Options of `Ditto.open`; none of them is stored, so give the same ones at every opening. */
export interface DittoOptions {
  /** The durability of writes that do not name their own: `relaxed` unless said otherwise. */
  durability?: Durability | undefined;
  /** Whether the engine runs in a dedicated worker, so that it never blocks the page; docs/worker.md tells what differs. */
  worker?: boolean | undefined;
  /**
   * Encrypts the store on disk; docs/storage.md says what stays readable. A store is encrypted from its first opening or never,
   * and every later opening needs the same secret.
   */
  encryption?: EncryptionSecret | undefined;
}

const DURABILITIES: readonly unknown[] = ['memory', 'relaxed', 'strict'];

/** Refuses what is not a durability, since a misspelt `strict` would promise less than was asked for. @internal */
export function checkDurability(durability: Durability | undefined): void {
  if (durability !== undefined && !DURABILITIES.includes(durability)) {
    throw new DittoError('validation/invalid-ditto-config', `durability is 'memory', 'relaxed' or 'strict', not ${String(durability)}.`);
  }
}

/** Checks the options before anything is opened. @internal */
export function checkOptions(options: DittoOptions): void {
  checkDurability(options.durability);
  const { worker } = options;
  if (worker !== undefined && typeof worker !== 'boolean') {
    throw new DittoError('validation/invalid-ditto-config', `worker is true or false, not ${String(worker)}.`);
  }
  if (worker === true && typeof Worker !== 'function') {
    throw new DittoError('unsupported', 'This host has no web workers (Node has none): open without worker: true.');
  }
  if (options.encryption !== undefined) rawSecret(options.encryption);
}
