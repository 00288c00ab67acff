/**
 * Errors: one class, one union of codes.
 *
 * The codes are those of the engine's table (`src/value/src/error.rs`) and the rest of the original's, kept so that handlers compile.
 */

/** Every code and what it means, in one sentence. */
export const ERROR_CODES = {
  'activation/license-token-expired': "The original's licence check.",
  'activation/license-token-unsupported-future-version': "The original's licence check.",
  'activation/license-token-verification-failed': "The original's licence check.",
  'activation/not-activated': "The original's licence check.",
  'activation/unnecessary': "The original's licence check.",
  'authentication/expiration-handler-missing': 'Sync was started in server mode without an expiration handler.',
  'authentication/failed-to-authenticate': 'The Big Peer refused the token, or another peer the identity.',
  'differ/identity-key-path-invalid': 'An item has no _id to identify it by.',
  'encryption/extraneous-passphrase-given': 'A passphrase or key was given for a store that is not encrypted.',
  'encryption/passphrase-missing': 'The store is encrypted, and neither passphrase nor key was given.',
  'encryption/wrong-key': 'The passphrase or key is not the one that the store is locked with.',
  'internal': 'A rule that Shoal itself should have kept was broken.',
  'io/already-exists': 'A file or store of that name exists.',
  'io/not-found': 'A file or store of that name does not exist.',
  'io/operation-failed': 'The browser or the operating system refused an operation.',
  'io/permission-denied': 'The browser or the operating system denied access.',
  'query/arguments-invalid': 'An argument is missing, of an unsupported type, or not finite.',
  'query/evaluation': 'An expression could not be evaluated.',
  'query/execution': 'The statement was valid but could not be carried out.',
  'query/index-exists': 'The collection has an index of that name.',
  'query/index-limit': 'The collection has too many indexes, or the index too many fields or too long a name.',
  'query/index-not-found': 'The collection has no index of that name.',
  'query/invalid': 'The statement is not valid DQL.',
  'query/parameter': 'A system parameter is unknown or its value is out of range.',
  'query/unsupported': 'The statement is valid but not supported here.',
  'store/attachment-file-not-found': "The attachment's file does not exist.",
  'store/attachment-file-permission-denied': "The attachment's file may not be read.",
  'store/attachment-not-found': 'No peer in reach has the attachment.',
  'store/attachment-token-invalid': 'The attachment token is not valid.',
  'store/backend': 'The storage failed or holds data that cannot be read.',
  'store/blocked': "The database is blocked by another tab or by the browser's settings.",
  'store/closed': 'The database was closed.',
  'store/crdt': 'A change cannot be merged into the document.',
  'store/document-id': 'The _id is of a type that cannot identify, too long, or was changed.',
  'store/document-not-found': 'No document has that _id.',
  'store/failed-to-create-attachment': 'The attachment could not be created.',
  'store/failed-to-fetch-attachment': 'The attachment could not be fetched.',
  'store/identifier-conflict': 'A document with that _id exists and the policy is FAIL.',
  'store/import-invalid': 'What is imported is not of the expected form, damaged, or cut off.',
  'store/newer-format': 'The store was written by a newer version.',
  'store/persistence-directory-locked': 'Another process uses the directory.',
  'store/quota-exceeded': 'There is no space left for this write.',
  'store/transaction-conflict': 'Another tab changed what this transaction had read.',
  'store/transaction-read-only': 'A read-only transaction tried to write.',
  'sync/busy': 'The Big Peer or a peer has no room for another link.',
  'sync/clock-skew': "A peer's clock is more than a day ahead.",
  'sync/database': 'The peer belongs to another database.',
  'sync/duplicate-replica': 'Two live peers have one replica id: a profile was copied.',
  'sync/protocol': 'A peer sent bytes that are not the protocol.',
  'sync/unreachable': 'The Big Peer does not answer.',
  'sync/version': 'The peer speaks another major version of the protocol.',
  'unknown': 'An error without a code.',
  'unsupported': 'This build does not have that feature.',
  'validation/depth-limit-exceeded': 'A value is nested deeper than 64 levels.',
  'validation/invalid-cbor': 'Bytes are not a valid binary value.',
  'validation/invalid-ditto-config': 'The configuration is not valid.',
  'validation/invalid-json': 'Text is not valid JSON.',
  'validation/invalid-transport-config': 'The transport configuration is not valid.',
  'validation/not-an-object': 'An object was expected.',
  'validation/not-json-compatible': 'A value has no JSON form.',
  'validation/size-limit-exceeded': 'A document is larger than 5 MiB, or a name or statement too long.',
} as const;

/** A stable code; what handlers match on. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** What every operation of this package throws or rejects with. */
export class DittoError extends Error {
  override readonly name = 'DittoError';
  /** What handlers match on. */
  readonly code: ErrorCode;

  /** @internal */
  constructor(code: ErrorCode, message?: string, options?: ErrorOptions) {
    super(message ?? ERROR_CODES[code], options);
    this.code = code;
  }
}

/**
 * Makes a `DittoError` of whatever the engine or the browser threw.
 *
 * @internal
 */
export function toDittoError(cause: unknown): DittoError {
  if (cause instanceof DittoError) return cause;
  if (typeof cause === 'object' && cause !== null && 'code' in cause && typeof cause.code === 'string') {
    const message = 'message' in cause ? String(cause.message) : undefined;
    if (Object.hasOwn(ERROR_CODES, cause.code)) return new DittoError(cause.code as ErrorCode, message);
    return new DittoError('unknown', message ?? cause.code, { cause });
  }
  // A trap of the module: the instance is lost, and says so.
  const message = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  return new DittoError('internal', message, { cause });
}

/**
 * The error for what is not built yet.
 *
 * @internal
 */
export function unsupported(what: string): DittoError {
  return new DittoError('unsupported', `${what} is not supported by this build of Shoal.`);
}
