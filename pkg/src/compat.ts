/** Names of the original's exports that have no work to do here. */

import { CBOR } from './cbor.js';
import { Ditto } from './ditto.js';
import { toDittoError } from './error.js';
import { deadlockDetection } from './transaction.js';
import { TransportConfig } from './transport-config.js';

/** Keeps a process alive; a page needs nothing of the kind. */
export class KeepAlive {
  #count = 0;

  /** Whether someone has retained it. */
  get isActive(): boolean {
    return this.#count > 0;
  }

  /** Counts one up. */
  retain(): void {
    this.#count += 1;
  }

  /** Counts one down. */
  release(): void {
    this.#count = Math.max(0, this.#count - 1);
  }
}

/** Throws when this host lacks what the engine needs. */
export function checkAPIs(): void {
  if (!Ditto.isEnvironmentSupported()) throw toDittoError({ code: 'unsupported', message: 'This host lacks WebAssembly, BigInt or Web Crypto.' });
}

/** Switches off the warning about transactions that stay open. */
export function disableDeadlockTimeoutWhenDebugging(): void {
  deadlockDetection.disable();
}

/** Decodes CBOR. */
export function fromFFICBORData(data: Uint8Array): unknown {
  return CBOR.decode(data);
}

/** There is no bridge. */
export function getBridgeLoad(): Record<string, never> {
  return {};
}

/** Returns the default transports: all off. */
export function getDefaultTransportConfigFromCore(): TransportConfig {
  return new TransportConfig();
}

/** Runs a function; what it throws becomes a `DittoError`. */
export function mapFFIErrors<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw toDittoError(cause);
  }
}

/** Runs a function; what it rejects with becomes a `DittoError`. */
export async function mapFFIErrorsAsync<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw toDittoError(cause);
  }
}
