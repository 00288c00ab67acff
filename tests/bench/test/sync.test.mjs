// The tests of `bench sync`: a little of everything with every server in a real browser.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { sync } from '../sync.mjs';

const folder = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const smokeLimitMs = 180_000;
const figureKeys = ['value', 'unit', 'goal', 'rounds', 'min', 'max'];

test('a smoke run measures every figure of everybody and draws the charts', { timeout: smokeLimitMs }, async () => {
  const out = await mkdtemp(path.join(tmpdir(), 'shoal-bench-test-'));
  try {
    const json = path.join(out, 'figures.json');
    await promisify(execFile)(process.execPath, ['run.mjs', 'sync', '--smoke', '--json', json], { cwd: folder });
    const report = JSON.parse(await readFile(json, 'utf8'));
    assert.deepEqual(Object.keys(report), ['bench', ...Object.keys(sync.goals), 'extra', 'peers', 'run']);
    assert.deepEqual(Object.keys(report.peers), ['yjs', 'rxdb', 'pouchdb']);
    for (const figures of [report, ...Object.values(report.peers)]) {
      for (const [name, { unit, goal }] of Object.entries(sync.goals)) {
        assert.deepEqual(Object.keys(figures[name]), figureKeys, name);
        assert.deepEqual([figures[name].unit, figures[name].goal], [unit, goal]);
        assert.ok(figures[name].value > 0 || name === 'reconcile_100_diff_bytes', `${name}: ${figures[name].value}`);
      }
      assert.deepEqual(Object.keys(figures.extra), Object.keys(sync.extras));
      assert.ok(figures.propagate_ws_p50_ms.value <= figures.propagate_ws_p99_ms.value);
      assert.ok(figures.idle_reconnect_bytes.value <= figures.extra.idle_reconnect_wire_bytes.value);
    }
    // Nobody compresses, so that all of the documents' text has passed.
    assert.ok(report.peers.pouchdb.sync_bytes_ratio.value > 1 && report.peers.pouchdb.sync_bytes_ratio.value < 3);
    assert.deepEqual([report.bench, report.run.mode, report.run.failures], ['sync', 'smoke', []]);
    assert.equal(typeof report.run.versions['@y/websocket-server'], 'string');
    for (const { name } of sync.charts) assert.match(await readFile(path.join(out, `figures-${name}.svg`), 'utf8'), /^<svg .*<\/svg>\n$/s);
  } finally {
    await rm(out, { recursive: true, force: true });
  }
});
