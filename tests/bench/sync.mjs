// `bench sync`: who takes part, what is measured, what is drawn. docs/benchmarks.md defines every figure.

import { bigPeerBinary } from './server/big-peer.mjs';
import { store } from './store.mjs';
import { sizes, SyncRounds } from './sync-rounds.mjs';

const goals = {
  field_change_bytes: { unit: 'bytes', goal: 60, title: 'The message that carries a change of one field' },
  sync_10k_ms: { unit: 'ms', goal: 600, title: '10,000 documents to an empty browser' },
  sync_100k_ms: { unit: 'ms', goal: 5000, title: '100,000 documents to an empty browser' },
  sync_bytes_ratio: { unit: 'ratio', goal: 0.4, title: 'Bytes from the server for 10,000 documents' },
  idle_reconnect_bytes: { unit: 'bytes', goal: 300, title: 'A reconnect with nothing new' },
  reconcile_equal_100k_bytes: { unit: 'bytes', goal: 1000, title: 'Two equal replicas of 100,000 meet' },
  reconcile_100_diff_bytes: { unit: 'bytes', goal: 10_000, title: 'With 100 changed, beside the documents' },
  propagate_ws_p50_ms: { unit: 'ms', goal: 6, title: 'A change seen in another browser, p50' },
  propagate_ws_p99_ms: { unit: 'ms', goal: 25, title: 'A change seen in another browser, p99' },
  history_ratio: { unit: 'ratio', goal: 1.3, title: 'On the device after 100 rounds of updates' },
};

const extras = {
  field_change_other_bytes: { unit: 'bytes', title: 'Acknowledgements and the like, a change' },
  sync_wire_bytes: { unit: 'bytes', title: 'All bytes both ways for 10,000 documents' },
  idle_reconnect_wire_bytes: { unit: 'bytes', title: 'A reconnect with everything that TCP carries' },
  reconcile_100_diff_total_bytes: { unit: 'bytes', title: 'With 100 changed, documents and all' },
  history_bytes: { unit: 'bytes', title: 'Bytes on the device after 100 rounds of updates' },
  history_fresh_bytes: { unit: 'bytes', title: 'Bytes on the device of a fresh copy' },
};

const charts = [
  {
    name: 'time',
    kind: 'points',
    title: 'Times: less is better',
    note: 'Median of the rounds, with a line from the least to the greatest; logarithmic',
    figures: ['sync_10k_ms', 'sync_100k_ms', 'propagate_ws_p50_ms', 'propagate_ws_p99_ms'],
  },
  {
    name: 'bytes',
    kind: 'points',
    title: 'Bytes on the wire: less is better',
    note: 'Median of the rounds, with a line from the least to the greatest; logarithmic',
    figures: ['field_change_bytes', 'idle_reconnect_bytes', 'reconcile_equal_100k_bytes', 'reconcile_100_diff_bytes'],
  },
  {
    name: 'space',
    kind: 'bars',
    title: 'Ratios: less is better',
    note: 'Over the bytes of the documents’ JSON; history over a fresh copy',
    figures: ['sync_bytes_ratio', 'history_ratio'],
  },
];

const page = { operations: './sync/operations.mjs', contestants: './sync' };
const everybody = ['shoal', 'yjs', 'rxdb', 'pouchdb'];

export const sync = {
  name: 'sync',
  contestants: { full: everybody, quick: everybody, smoke: everybody },
  /**
   * The scripts of the pages. `reader` is the same on another origin, so with a storage of its own, as another person's browser has it; the two
   * stores of the history are those of `bench store`.
   */
  page,
  otherPages: { reader: page, old: store.page, fresh: store.page },
  packages: { yjs: ['y-websocket', '@y/websocket-server', 'y-leveldb'], rxdb: ['ws'], pouchdb: ['pouchdb-core', 'pouchdb-adapter-leveldb'] },
  needed: [{ file: bigPeerBinary, install: 'cargo build --release --package big-peer --bin shoal-big-peer' }],
  goals,
  extras,
  sizes,
  Rounds: SyncRounds,
  charts,
};
