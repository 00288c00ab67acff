// `bench dql`: who takes part, what is measured, what is drawn.

import { DqlRounds, sizes } from './dql-rounds.mjs';

const goals = {
  point_read_us: { unit: 'us', goal: 50, title: 'A read by _id' },
  indexed_1pct_10k_ms: { unit: 'ms', goal: 0.5, title: 'An indexed field, 1 % of 10,000' },
  filter_sort_100k_ms: { unit: 'ms', goal: 60, title: 'WHERE, ORDER BY and LIMIT over 100,000' },
  filter_sort_vs_sqlite: { unit: 'ratio', goal: 1, title: 'The same over SQLite’s time' },
  count_us: { unit: 'us', goal: 50, title: 'COUNT(*) of 100,000' },
  group_by_100k_ms: { unit: 'ms', goal: 120, title: 'GROUP BY over 100,000' },
  parse_plan_us: { unit: 'us', goal: 10, title: 'Parse and plan a new statement' },
  parse_plan_cached_us: { unit: 'us', goal: 1, title: 'Parse and plan a known statement' },
  observer_miss_us: { unit: 'us', goal: 1000, title: '100 observers that a write does not touch' },
  bytes_per_doc: { unit: 'bytes', title: 'WebAssembly memory a document' },
};

const extras = {
  point_read_api_us: { unit: 'us', title: 'A read by _id, awaited, as an object' },
  indexed_1pct_10k_api_ms: { unit: 'ms', title: 'An indexed field, awaited, as objects' },
  statement_floor_us: { unit: 'us', title: 'A statement with nothing to parse or plan' },
  plain_write_us: { unit: 'us', title: 'A write of one field without observers' },
  observed_write_us: { unit: 'us', title: 'A write of one field with 100 observers' },
  load_100k_ms: { unit: 'ms', title: '100,000 documents in ten bulks' },
};

const charts = [
  {
    name: 'time',
    kind: 'points',
    title: 'Queries: less is better',
    note: 'Median of the rounds, with a line from the least to the greatest; logarithmic',
    figures: Object.keys(goals).filter((name) => !['bytes_per_doc', 'filter_sort_vs_sqlite'].includes(name)),
  },
  { name: 'space', kind: 'bars', title: 'Memory: less is better', note: 'After loading 100,000 documents and a scan; median', figures: ['bytes_per_doc'] },
];

export const dql = {
  name: 'dql',
  contestants: {
    full: ['shoal', 'sqlite', 'sqlite-opfs', 'dexie', 'rxdb'],
    quick: ['shoal', 'sqlite'],
    smoke: ['shoal', 'sqlite', 'sqlite-opfs', 'dexie', 'rxdb'],
  },
  /** The scripts of the pages. */
  page: { operations: './query/operations.mjs', contestants: './query' },
  goals,
  extras,
  sizes,
  Rounds: DqlRounds,
  charts,
};
