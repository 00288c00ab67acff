// The tests of the driver and of `bench store`. The last one measures a little of everything in a real browser, so that the benchmark
// cannot rot unseen.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { median, met, Samples } from '../figures.mjs';
import { document, documents, jsonBytes, keptQuantity } from '../page/documents.mjs';
import { store } from '../store.mjs';

const folder = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const smokeLimitMs = 180_000;

test('a document depends on its index alone and has ten fields', () => {
  assert.deepEqual(documents(40, 3)[2], document(42));
  assert.equal(Object.keys(document(42)).length, 10);
});

test('documents have about 300 bytes, ids of their own, and one in a hundred is kept by the scan', () => {
  const list = documents(0, 10_000);
  const bytes = jsonBytes(list) / list.length;
  assert.ok(bytes > 285 && bytes < 325, `${bytes} bytes`);
  assert.equal(new Set(list.map(({ _id }) => _id)).size, list.length);
  const kept = list.filter(({ quantity }) => quantity === keptQuantity).length;
  assert.ok(kept > 70 && kept < 130, `${kept} kept`);
});

test('a figure is the median of its rounds, with the least and the greatest', () => {
  const samples = new Samples(store);
  for (const value of [3, 1, 2]) samples.add('shoal', 'bulk_10k_ms', value);
  samples.add('dexie', 'bulk_10k_ms', 5);
  const report = samples.report('shoal', ['dexie']);
  assert.deepEqual(report.bulk_10k_ms, { value: 2, unit: 'ms', goal: 300, rounds: 3, min: 1, max: 3 });
  assert.equal(report.peers.dexie.bulk_10k_ms.value, 5);
  assert.equal(report.cold_open_10k_ms, undefined);
  assert.equal(median([4, 1, 3, 2]), 2.5);
});

test('what a contestant has not is null with the reason, and what was not measured is absent', () => {
  const samples = new Samples(store);
  samples.lacks('dexie', 'scan_100k_ms', 'no scans');
  samples.add('dexie', 'wasm_start_ms', 1);
  const { dexie } = samples.report('shoal', ['dexie']).peers;
  assert.deepEqual(Object.keys(dexie), ['scan_100k_ms', 'extra']);
  assert.deepEqual(dexie.scan_100k_ms, { value: null, unit: 'ms', reason: 'no scans' });
  assert.throws(() => samples.add('dexie', 'nothing', 1), /there is no figure nothing/);
});

test('a goal is a greatest value, or a least one where more is better', () => {
  assert.ok(met({ goal: 300 }, 300) && !met({ goal: 300 }, 301));
  assert.ok(met({ goal: 20, over: true }, 20) && !met({ goal: 20, over: true }, 19));
});

test('a smoke run measures every figure and draws the charts', { timeout: smokeLimitMs }, async () => {
  const out = await mkdtemp(path.join(tmpdir(), 'shoal-bench-test-'));
  try {
    const json = path.join(out, 'figures.json');
    await promisify(execFile)(process.execPath, ['run.mjs', 'store', '--smoke', '--json', json], { cwd: folder });
    const report = JSON.parse(await readFile(json, 'utf8'));
    for (const name of Object.keys(store.goals)) assert.equal(typeof report[name]?.value, 'number', name);
    assert.ok(report.bulk_10k_ms.value > 0 && report.scan_100k_ms.value > 0);
    assert.ok(report.peers.raw.scan_100k_ms.value > 0 && report.peers.dexie.other_tab_p50_ms.value > 0);
    assert.deepEqual([report.run.mode, report.run.failures], ['smoke', []]);
    for (const chart of ['time', 'space']) assert.match(await readFile(path.join(out, `figures-${chart}.svg`), 'utf8'), /^<svg .*<\/svg>\n$/s);
  } finally {
    await rm(out, { recursive: true, force: true });
  }
});
