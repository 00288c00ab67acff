// `bench store`: who takes part, what is measured, what is drawn. Ratios are to the bytes of the documents' JSON unless their title says
// otherwise.

import { sizes, StoreRounds } from './store-rounds.mjs';

const goals = {
  bulk_10k_ms: { unit: 'ms', goal: 300, title: '10,000 documents in bulk' },
  bulk_10k_vs_dexie: { unit: 'ratio', goal: 20, over: true, title: '10,000 documents in bulk, times faster than Dexie' },
  insert_p50_vs_raw_put: { unit: 'ratio', goal: 1.5, title: 'One awaited insert over a raw put, p50' },
  concurrent_1k_ms: { unit: 'ms', goal: 60, title: '1,000 inserts started at once' },
  cold_open_10k_ms: { unit: 'ms', goal: 60, title: 'Cold open and point read, 10,000 documents' },
  cold_open_100k_ms: { unit: 'ms', goal: 100, title: 'Cold open and point read, 100,000 documents' },
  scan_100k_ms: { unit: 'ms', goal: 400, title: 'Cold scan of 100,000 documents' },
  memory_100k_ratio: { unit: 'ratio', goal: 1.5, title: 'Memory after a scan of 100,000 documents' },
  disk_ratio: { unit: 'ratio', goal: 0.5, title: 'Bytes on the device, 10,000 documents' },
  other_tab_p50_ms: { unit: 'ms', goal: 6, title: 'A write seen in another tab, p50' },
};

const extras = {
  wasm_compile_ms: { unit: 'ms', title: 'Fetch and compile the module' },
  wasm_start_ms: { unit: 'ms', title: 'Start the module' },
  insert_p50_ms: { unit: 'ms', title: 'One awaited insert, p50' },
  raw_put_p50_ms: { unit: 'ms', title: 'A raw put beside it, p50' },
  load_100k_ms: { unit: 'ms', title: '100,000 documents in ten bulks' },
  disk_ratio_at_once: { unit: 'ratio', title: 'Bytes on the device before they settled, 10,000 documents' },
  disk_ratio_100k: { unit: 'ratio', title: 'Bytes on the device, 100,000 documents' },
  disk_origin_ratio: { unit: 'ratio', title: 'The browser’s count of them, 10,000 documents' },
  disk_origin_ratio_100k: { unit: 'ratio', title: 'The browser’s count of them, 100,000 documents' },
  memory_heap_100k_ratio: { unit: 'ratio', title: 'The JavaScript heap’s part of the memory' },
};

const charts = [
  {
    name: 'time',
    kind: 'points',
    title: 'Times: less is better',
    note: 'Median of the rounds, with a line from the least to the greatest; logarithmic',
    figures: ['bulk_10k_ms', 'concurrent_1k_ms', 'insert_p50_ms', 'cold_open_10k_ms', 'cold_open_100k_ms', 'scan_100k_ms', 'other_tab_p50_ms'],
  },
  {
    name: 'space',
    kind: 'bars',
    title: 'Space: less is better',
    note: 'Times the bytes of the documents’ JSON; median of the rounds',
    figures: ['disk_ratio', 'disk_ratio_100k', 'memory_100k_ratio'],
  },
];

export const store = {
  name: 'store',
  contestants: {
    // `shoal-worker` takes part where the package has a worker.
    full: ['shoal', 'shoal-worker', 'raw', 'dexie', 'rxdb', 'pouchdb', 'yjs'],
    quick: ['shoal', 'raw', 'dexie'],
    smoke: ['shoal', 'raw', 'dexie'],
  },
  /** The scripts of the pages. */
  page: { operations: './operations.mjs', contestants: './contestants' },
  goals,
  extras,
  sizes,
  Rounds: StoreRounds,
  charts,
};
