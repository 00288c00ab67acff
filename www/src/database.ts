// The open replica: opens Shoal, logs in, subscribes, and hands the parts that the page needs to its panels.

import { Authenticator, Ditto, DittoConfig, DittoError, init } from 'shoal';
import { collections } from './collection.js';
import type { PageConfig } from './config.js';

export type SyncStatus = Ditto['sync']['status'];
export type Graph = Ditto['presence']['graph'];

export interface Database {
  ditto: Ditto;
  hasBigPeer: boolean;
  /** Why the last login was refused. */
  refusal: Failure | undefined;
  /** Called when `refusal` has changed. */
  refusalChanged: () => void;
}

/** Opens the replica and starts to sync; throws only when the replica itself cannot be opened. */
export async function openDatabase(config: PageConfig): Promise<Database> {
  await init({ webAssemblyModule: new URL('shoal.wasm', document.baseURI) });
  const connect = config.bigPeer ? ({ mode: 'server', url: config.bigPeer.url } as const) : ({ mode: 'smallPeersOnly' } as const);
  const ditto = await Ditto.open(new DittoConfig(config.database, connect, config.directory));
  const database: Database = { ditto, hasBigPeer: config.bigPeer !== undefined, refusal: undefined, refusalChanged: () => undefined };
  const token = config.bigPeer?.token;
  if (token !== undefined) {
    await ditto.auth.setExpirationHandler(async (expiring) => {
      const { error } = await expiring.auth.login(token, Authenticator.DEVELOPMENT_PROVIDER);
      if (error) console.warn('login refused:', error.code, error.message);
      database.refusal = error ? failureOf(error) : undefined;
      database.refusalChanged();
    });
  }
  ditto.deviceName = deviceName(config.directory);
  for (const collection of collections) ditto.sync.registerSubscription(`SELECT * FROM ${collection.name}`);
  ditto.sync.start();
  return database;
}

/** What other peers see: the browser, and the directory where there are several; 24 bytes at most. */
function deviceName(directory: string | undefined): string {
  const browsers: [RegExp, string][] = [[/Firefox\//, 'Firefox'], [/Edg\//, 'Edge'], [/Chrome\//, 'Chrome'], [/Safari\//, 'Safari']];
  const browser = browsers.find(([pattern]) => pattern.test(navigator.userAgent))?.[1] ?? 'Browser';
  const plainDirectory = directory?.replace(/[^\x20-\x7e]/g, '');
  return (plainDirectory ? `${browser} (${plainDirectory})` : browser).slice(0, 24);
}

export interface Failure {
  code: string;
  message: string;
}

/** Every error as a code and a text; the text of a DQL mistake carries its caret line. */
export function failureOf(error: unknown): Failure {
  if (error instanceof DittoError) return { code: error.code, message: error.message };
  if (error instanceof Error) return { code: error.name, message: error.message };
  return { code: 'unknown', message: String(error) };
}
