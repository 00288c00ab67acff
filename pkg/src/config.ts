/** What a database is called, where it is kept and whom it syncs with. */

import { DittoError, unsupported } from './error.js';
import { absolutePath, hasFiles } from './node.js';

/** Sync with a Big Peer, and with other peers of the same database. */
export interface DittoConfigConnectServer {
  mode: 'server';
  /** Address of the Big Peer: `http(s):` or `ws(s):`. */
  url: string;
}

/** Sync with other peers only. */
export interface DittoConfigConnectSmallPeersOnly {
  mode: 'smallPeersOnly';
  /** Shared key of the mesh; not supported yet. Absent: an unauthenticated mesh. */
  privateKey?: string | null;
}

/** Whom a database syncs with. */
export type DittoConfigConnect = DittoConfigConnectServer | DittoConfigConnectSmallPeersOnly;

const DATABASE_ID_BYTES_MAX = 256;

/** The configuration of a database. */
export class DittoConfig {
  /** The all-zero UUID. */
  static readonly DEFAULT_DATABASE_ID = '00000000-0000-0000-0000-000000000000';

  /** A database without a Big Peer, under the default id. */
  static get default(): DittoConfig {
    return new DittoConfig(DittoConfig.DEFAULT_DATABASE_ID, { mode: 'smallPeersOnly' });
  }

  /** Names the database; peers of other databases are refused. */
  databaseID: string;
  /** Whom it syncs with. */
  connect: DittoConfigConnect;
  /**
   * In a browser: names the store within this origin; tabs that use the same name share it.
   *
   * Under Node: the directory that the store is kept in, made if it is not there, for one process at a time. Without one the store is
   * in memory and gone with the process.
   */
  persistenceDirectory?: string;

  constructor(databaseID: string, connect: DittoConfigConnect, persistenceDirectory?: string) {
    this.databaseID = databaseID;
    this.connect = { ...connect };
    if (persistenceDirectory !== undefined) this.persistenceDirectory = persistenceDirectory;
  }

  /** Whether it can no longer be changed. */
  get isFrozen(): boolean {
    return Object.isFrozen(this);
  }

  /** Makes it unchangeable and returns it. */
  freeze(): DittoConfig {
    Object.freeze(this.connect);
    Object.freeze(this);
    return this;
  }

  /** Returns a copy that can be changed. */
  copy(): DittoConfig {
    return new DittoConfig(this.databaseID, this.connect, this.persistenceDirectory);
  }
}

/**
 * Throws when a configuration cannot be opened.
 *
 * @internal
 */
export function checkConfig(config: DittoConfig): void {
  const { databaseID, connect } = config;
  if (typeof databaseID !== 'string' || databaseID.length === 0 || databaseID.length > DATABASE_ID_BYTES_MAX) {
    throw invalid(`databaseID must be text of 1 to ${DATABASE_ID_BYTES_MAX} characters`);
  }
  if (config.persistenceDirectory === '') throw invalid('persistenceDirectory must not be empty');
  if (connect.mode === 'server') endpoint(connect.url, databaseID);
  else if (connect.mode !== 'smallPeersOnly') throw invalid('connect.mode must be server or smallPeersOnly');
  // Ignoring the key would open a mesh that its owner believes closed.
  else if (typeof connect.privateKey === 'string' && connect.privateKey !== '') throw unsupported('A mesh with a privateKey');
}

/**
 * Returns the name of the store.
 *
 * @internal
 */
export function directoryOf(config: DittoConfig): string {
  return config.persistenceDirectory ?? `ditto-${config.databaseID.toLowerCase()}`;
}

/**
 * Returns the path of the directory that the store is kept in; `undefined` where there are no files, or none was named.
 *
 * @internal
 */
export function pathOf(config: DittoConfig): string | undefined {
  const { persistenceDirectory } = config;
  return persistenceDirectory !== undefined && hasFiles() ? absolutePath(persistenceDirectory) : undefined;
}

/**
 * Returns the Big Peer's sync endpoint: `<url>/sync?db=<database>`, over `ws:` or `wss:`.
 *
 * @internal
 */
export function endpoint(address: string, databaseID: string): string {
  const secure: Record<string, string> = { 'http:': 'ws:', 'https:': 'wss:', 'ws:': 'ws:', 'wss:': 'wss:' };
  let url: URL;
  try {
    url = new URL(address);
  } catch (cause) {
    throw invalid(`connect.url is not an address: ${String(address)}`, cause);
  }
  const protocol = secure[url.protocol];
  if (protocol === undefined) throw invalid(`connect.url must begin with https:, http:, wss: or ws:, not ${url.protocol}`);
  // The URL class does not change http: into ws: in place.
  const base = `${protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`;
  return `${base}/sync?db=${encodeURIComponent(databaseID)}`;
}

function invalid(message: string, cause?: unknown): DittoError {
  return new DittoError('validation/invalid-ditto-config', `${message}.`, { cause });
}
