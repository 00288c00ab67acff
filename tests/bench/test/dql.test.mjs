// The tests of `bench dql`: what is right, and a little of everything in a real browser.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { dql } from '../dql.mjs';
import { documents } from '../page/documents.mjs';
import { answer, answers, given, limit } from '../page/query/statements.mjs';

const folder = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const smokeLimitMs = 180_000;

test('right answers have the rows of the documents', () => {
  const list = documents(0, 2000);
  const right = answers(list);
  assert.equal(right.equal.reduce((sum, { rows }) => sum + rows, 0), list.length);
  assert.deepEqual([right.filterSort.rows, right.count.rows, right.group.rows], [limit, 1, 5]);
});

test('a checksum tells the order where it is promised, and another value everywhere', () => {
  const [a, b] = documents(0, 2);
  assert.notDeepEqual(answer('filterSort', [a, b]), answer('filterSort', [b, a]));
  assert.deepEqual(answer('equal', [a, b]), answer('equal', [b, a]));
  assert.notDeepEqual(answer('group', [{ state: 'open', n: 1, total: 2 }]), answer('group', [{ state: 'open', n: 1, total: 3 }]));
  assert.notDeepEqual(answer('count', [{ n: 1 }]), answer('count', [{ n: 2 }]));
});

test('the parameters of every turn differ and select the same documents', () => {
  const amounts = Array.from({ length: 50_000 }, (_, turn) => given.filterSort(turn).amount);
  assert.equal(new Set(amounts).size, amounts.length);
  // Amounts of documents are whole cents.
  assert.ok(Math.min(...amounts.slice(0, 1000)) >= 5000 && amounts.every((amount) => amount < 5000.01));
});

test('one order is right: no two of the newest documents have one time', () => {
  const selected = documents(0, 100_000).filter(({ paid, amount }) => paid && amount > 5000);
  const times = selected.map(({ createdAt }) => createdAt).sort().reverse();
  assert.equal(new Set(times.slice(0, limit + 1)).size, limit + 1);
});

test('a smoke run measures every figure, says what a peer has not and draws the charts', { timeout: smokeLimitMs }, async () => {
  const out = await mkdtemp(path.join(tmpdir(), 'shoal-bench-test-'));
  try {
    const json = path.join(out, 'figures.json');
    await promisify(execFile)(process.execPath, ['run.mjs', 'dql', '--smoke', '--json', json], { cwd: folder });
    const report = JSON.parse(await readFile(json, 'utf8'));
    for (const name of Object.keys(dql.goals)) {
      assert.equal(typeof report[name]?.value, 'number', name);
      for (const [peer, figures] of Object.entries(report.peers)) {
        assert.ok(typeof figures[name]?.value === 'number' || figures[name]?.reason?.length > 0, `${peer} ${name}`);
      }
    }
    assert.deepEqual(Object.keys(report.peers), ['sqlite', 'sqlite-opfs', 'dexie', 'rxdb']);
    assert.ok(report.filter_sort_100k_ms.value > 0 && report.peers.sqlite.group_by_100k_ms.value > 0);
    assert.deepEqual([report.bench, report.run.mode, report.run.failures], ['dql', 'smoke', []]);
    for (const chart of ['time', 'space']) assert.match(await readFile(path.join(out, `figures-${chart}.svg`), 'utf8'), /^<svg .*<\/svg>\n$/s);
  } finally {
    await rm(out, { recursive: true, force: true });
  }
});
