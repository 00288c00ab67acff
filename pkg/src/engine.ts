/** Where the engine runs: in the page, or in a worker of its own. */

import { type EventSink, ModulePeer, type OpenOptions, type Peer } from './bindings.js';
import type { DittoError } from './error.js';
import { start } from './init.js';
import { WorkerPeer } from './worker-peer.js';

/** Where it runs. */
export type Place = 'page' | 'worker';

/** Who hears of it. */
export interface Listener {
  event: EventSink;
  /** It broke down after it was opened. */
  lost(error: DittoError): void;
}

/**
 * Opens a store and starts its engine.
 *
 * @internal
 */
export async function openEngine(options: OpenOptions, place: Place, listener: Listener): Promise<Peer> {
  if (place === 'worker') return WorkerPeer.open(options, listener);
  await start();
  return ModulePeer.open(options, listener.event);
}
