/** Shoal: edge sync for the browser, with the API of the Ditto platform v5. */

export * from './attachment.js';
export { Authenticator, type AuthenticationExpirationHandler, type AuthenticationStatus, type LoginResult } from './auth.js';
export type { ImportResult } from './backup.js';
export type { StorageMode, StorageUsage, SyncLink, SyncStatus, VerifyFinding, VerifyReport } from './bindings.js';
export { CBOR } from './cbor.js';
export * from './compat.js';
export { DittoConfig, type DittoConfigConnect, type DittoConfigConnectServer, type DittoConfigConnectSmallPeersOnly } from './config.js';
export { Differ, Diff } from './differ.js';
export { DiskUsage, type DiskUsageItem } from './disk-usage.js';
export { Ditto, type ConditionSource, type TransportCondition } from './ditto.js';
export { DittoError, ERROR_CODES, type ErrorCode } from './error.js';
export { init, type InitOptions, type WebAssemblyModule } from './init.js';
export { Logger, type CustomLogCallback, type LogLevel } from './logger.js';
export type { ConflictPolicy, ImportCollectionOptions, ImportCollectionResult } from './ndjson.js';
export {
  Observer,
  type ObserverOptions,
  type StoreObservationHandler,
  type StoreObservationHandlerWithSignalNext,
  StoreObserver,
  SyncSubscription,
} from './observer.js';
export {
  type Connection,
  ConnectionRequest,
  type ConnectionRequestAuthorization,
  type ConnectionRequestHandler,
  type ConnectionType,
  type Peer,
  type PeerOS,
  Presence,
  type PresenceGraph,
} from './presence.js';
export type { EncryptionSecret } from './encryption.js';
export type { DittoOptions, Durability } from './options.js';
export { QueryResult, QueryResultItem } from './query-result.js';
export { SmallPeerInfo } from './small-peer-info.js';
export { Storage, type StorageState } from './storage.js';
export { type DQLQueryArguments, type DQLQueryArgumentValue, type ExecuteOptions, type QueryExecuting, Store } from './store.js';
export type { ByteSource, TransferOptions, TransferProgress } from './stream.js';
export { Sync } from './sync.js';
export { Transaction, type TransactionCompletionAction, TransactionInfo, type TransactionOptions } from './transaction.js';
export * from './transport-config.js';
export { YDocBinding, type YDocOptions } from './y-doc.js';
export type { YAwareness, YAwarenessChange, YDocument, YKind, YModule } from './y-types.js';
