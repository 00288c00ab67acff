/**
 * The border to the WebAssembly module: the shapes that cross it.
 *
 * Rows and arguments cross as CBOR bytes, small objects as plain objects. Failures cross as `{code, message}`.
 */

import { Peer } from '../dist/wasm/shoal.js';
import type { ErrorCode } from './error.js';

export { Peer };

/** Rows in one buffer: row `i` ends at `ends[i]` and starts where the one before ends. */
export interface RawRows {
  readonly bytes: Uint8Array;
  readonly ends: Uint32Array;
  /** A CBOR array of `_id`s; empty for a SELECT. */
  readonly mutated: Uint8Array;
  readonly commit: bigint | undefined;
}

/** What `Peer.open` takes. */
export interface OpenOptions {
  /** Name of the database. */
  database: string;
  /** Names the store of this origin. */
  directory: string;
  /** `ws:` or `wss:` endpoint of the Big Peer. */
  bigPeerUrl?: string;
  deviceName: string;
  version: string;
}

/** One peer of the presence graph. */
export interface RawPeer {
  key: string;
  deviceName: string;
  /** CBOR. */
  metadata: Uint8Array;
  isBigPeer: boolean;
  version: string;
  links: { peer: string; transport: 'WebSocket' | 'WebRTC' }[];
}

/** Who is in reach. */
export interface RawPresence {
  local: RawPeer;
  remotes: RawPeer[];
}

/** The state of sync, as applications see it. */
export interface SyncStatus {
  /** Whether a tab of this store has started sync. */
  readonly isOn: boolean;
  /** Whether the Big Peer accepted the credentials. */
  readonly authenticated: boolean;
  /** The link to the Big Peer. */
  readonly bigPeer: 'off' | 'connecting' | 'authentication-required' | 'backing-off' | 'live';
  /** Why the link is backing off. */
  readonly reason: ErrorCode | null;
  /** Own commits that no Big Peer has acknowledged yet. */
  readonly pendingCommits: number;
  /** Subscriptions still catching up. */
  readonly catchingUp: number;
  /** Documents received since sync was started. */
  readonly documentsReceived: number;
  /** The live links. */
  readonly links: readonly SyncLink[];
}

/** One live link. */
export interface SyncLink {
  readonly peerKey: string;
  readonly isBigPeer: boolean;
  readonly transport: 'WebSocket' | 'WebRTC';
  /** The last of this store's commits that the other end has saved. */
  readonly acknowledged: bigint;
}

/** How much space the store uses, in bytes. */
export interface StorageUsage {
  /** The commit log. */
  readonly logBytes: number;
  /** Sorted segments. */
  readonly segmentBytes: number;
  /** Everything of this origin, as the browser estimates it; `null` where it does not tell. */
  readonly originUsage: number | null;
  /** What the browser would allow this origin; `null` where it does not tell. */
  readonly originQuota: number | null;
}

/** What a peer tells without being asked. */
export interface EngineEvents {
  /** Credentials are needed; 0: now. Answers whether a handler took care of it. */
  authenticationRequired: number;
  /** A live query that had to wait for storage turned out to be wrong. */
  failed: { code: string; message: string };
  presence: RawPresence;
  status: SyncStatus;
  /** Where the data is kept. */
  storage: { mode: 'indexeddb' | 'memory'; persistent: boolean; reason: string | null; damaged: string | null };
}
