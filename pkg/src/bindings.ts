/**
 * The border to the WebAssembly module: the shapes that cross it.
 *
 * Rows and arguments cross as CBOR bytes, small objects as plain objects. Failures cross as `{code, message}`.
 */

import { Peer as ModulePeer } from '../dist/wasm/shoal.js';
import type { RawSecret } from './encryption.js';
import type { ErrorCode } from './error.js';
import type { Folder } from './node-folder.js';
import type { DQLQueryArguments } from './store.js';

export { ModulePeer };

type Methods = Omit<ModulePeer, 'free' | typeof Symbol.dispose>;

/** Bytes that the module returns at once are a message away when it is in a worker. */
type Across<M> = M extends (...args: infer A) => Uint8Array ? (...args: A) => Uint8Array | Promise<Uint8Array> : M;

/** An open store with its engine: the module's own class, or its likeness in front of a worker. */
export type Peer = { [M in Exclude<keyof Methods, 'blobBegin'>]: Across<Methods[M]> } & {
  /** Begins to write an attachment: its number, which a worker tells in a message. */
  blobBegin(): number | Promise<number>;
  /** Like `execute`; the arguments are encoded in slices. Only in front of a worker, since the engine in the page would block it anyway. */
  executeSliced?(transaction: number | undefined, text: string, args: DQLQueryArguments, durability?: string): Promise<RawRows>;
};

/** Rows in one buffer: row `i` ends at `ends[i]` and starts where the one before ends. Without rows there is neither. */
export interface RawRows {
  readonly bytes?: Uint8Array;
  readonly ends?: Uint32Array;
  /** A CBOR array of `_id`s; none where nothing was touched. */
  readonly mutated?: Uint8Array;
  readonly commit?: bigint;
}

/** Documents as a section of an export; `after` is missing on the last page. */
export interface StatePage {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly documents: number;
  readonly after?: Uint8Array;
}

/** An attachment as a section of an export; its chunks are to follow. */
export interface AttachmentHead {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly id: string;
  readonly chunks: number;
}

/** A chunk as a section of an export; `lost`: it cannot be read, and the section says that the attachment ends here. */
export interface ChunkSection {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly lost: boolean;
}

/** What a section of an export was. An attachment that is here already has no `number`. */
export type ImportedSection =
  | { kind: 'abandoned' }
  | { kind: 'attachment'; chunks: number; number?: number }
  | { kind: 'chunk' }
  | { kind: 'head'; database: string; time: number; version: string }
  | { kind: 'documents'; documents: number; changed: number }
  | { kind: 'end'; documents: number; sections: number };

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
  /** What the store is locked with. */
  encryption?: RawSecret;
  /** Where a host with files keeps the store; the folder itself is opened by `Core`. */
  path?: string;
  folder?: Folder;
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
  /** Documents still to come for subscriptions that catch up, as far as their senders have said; 0 when unknown. */
  readonly documentsExpected: number;
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

/** What keeps the data: IndexedDB; memory, lost with the page or process; files, under Node. */
export type StorageMode = 'indexeddb' | 'memory' | 'files';

/** How much space the store uses, in bytes. */
export interface StorageUsage {
  /** The commit log. */
  readonly logBytes: number;
  /** Sorted segments. */
  readonly segmentBytes: number;
  /** The manifest and small records. */
  readonly metaBytes: number;
  /** What is here of attachments. */
  readonly blobBytes: number;
  /** Everything of this origin, as the browser estimates it; `null` where it does not tell. */
  readonly originUsage: number | null;
  /** What the browser would allow this origin; `null` where it does not tell. */
  readonly originQuota: number | null;
}

/** Is told what happens; answers whether it took care of it. */
export type EventSink = <K extends keyof EngineEvents>(kind: K, value: EngineEvents[K]) => boolean;

/** One thing that is not as it should be. */
export interface VerifyFinding {
  /**
   * `orphan`: a block that nothing needs; it wastes space and harms nothing. `index`: an index whose rows are not those of the documents;
   * drop it and create it again. `attachment`: a part of an attachment; it was given up, and is fetched again from a peer that has it.
   */
  readonly kind: 'attachment' | 'block' | 'index' | 'log' | 'manifest' | 'orphan' | 'row';
  /** Which one. */
  readonly name: string;
  /** What is wrong with it. */
  readonly problem: string;
}

/** What a walk over the whole store has found. */
export interface VerifyReport {
  /** Whether everything can be read. */
  readonly ok: boolean;
  /** At most 1,000. */
  readonly findings: readonly VerifyFinding[];
  readonly counts: {
    readonly logRecords: number;
    readonly segments: number;
    readonly segmentBytes: number;
    /** Tombstones and superseded rows included. */
    readonly rows: number;
    readonly orphans: number;
    /** Rows of indexes that were compared with the documents; 0 where something else is wrong with the store. */
    readonly indexRows: number;
    /** Attachments of which something is here. */
    readonly attachments: number;
    /** What is here of them and fits its hash. */
    readonly attachmentBytes: number;
    /** Findings beyond the 1,000. */
    readonly untold: number;
  };
}

/** What a peer tells without being asked. */
export interface EngineEvents {
  /** Credentials are needed; 0: now. Answers whether a handler took care of it. */
  authenticationRequired: number;
  /** More of an attachment is here that is being fetched. */
  blobProgress: { id: string; haveBytes: number };
  /** A live query that had to wait for storage turned out to be wrong. */
  failed: { code: string; message: string };
  presence: RawPresence;
  /** The space in use may have changed; told after `watchSpace(true)`. */
  space: undefined;
  status: SyncStatus;
  /** Where the data is kept, and how that is doing. */
  storage: { mode: StorageMode; persistent: boolean; condition: 'ok' | 'full' | 'lost'; reason: string | null; damaged: string | null };
  /** A transaction is open for longer than `transaction_duration_before_logging_ms`. */
  transactionOpen: { transaction: number; openMs: number };
  /** Blocks and parts of attachments that `verify` has walked. */
  verifying: { done: number; total: number };
}
