// A handful of real documents for a page that has no Big Peer to get them from.

import type { Ditto } from 'shoal';
import { collections, type Row } from './collection.js';

/** INITIAL documents: peers that add the same samples have made the same event, so nothing is doubled. */
export async function addSamples(ditto: Ditto): Promise<number> {
  const response = await fetch('samples.json');
  const samples = (await response.json()) as Record<string, Row[]>;
  let added = 0;
  for (const collection of collections) {
    const docs = samples[collection.name] ?? [];
    await ditto.store.execute(`INSERT INTO ${collection.name} INITIAL DOCUMENTS (:docs)`, { docs });
    added += docs.length;
  }
  return added;
}
