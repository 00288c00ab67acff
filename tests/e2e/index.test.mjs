// Indexes in a real IndexedDB: built while the page writes, kept across reloads, tabs and pages that are closed, and dropped.

import assert from 'node:assert/strict';
import { eventually, scenario } from './harness.mjs';

const total = 20_000;
const colours = ['amber', 'blue', 'coral', 'denim', 'ecru'];
const statement = "SELECT _id FROM cars WHERE colour = 'coral' AND year > 1990";

scenario('an index is built while the page writes, used, kept through a reload, and dropped', async (stage) => {
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { start: false });
  await fill(peer);
  const before = await ids(peer);
  assert.deepEqual(await operators(peer), ['sequence', 'scan', 'filter', 'projection', 'finalProjection']);

  const seen = await peer.page.evaluate(buildBesideWrites);
  assert.ok(seen.writes > 0, `writes were acknowledged before the index was ready: ${JSON.stringify(seen)}`);
  assert.ok(seen.steps.length > 2 && seen.steps.every((documents, step) => documents >= (seen.steps[step - 1] ?? 0)), `${seen.steps}`);
  assert.equal(await usesIndex(peer), true);
  const after = await ids(peer);
  assert.deepEqual(after, [...before, ...seen.inserted].sort(), 'what was written during the build is in the index');
  const built = await listing(peer);
  assert.deepEqual({ ...built, documents: 0 }, { ...description, documents: 0, state: 'ready' });
  await sound(peer, total + seen.writes);

  await peer.reload();
  // The first look is the first statement of the page: nothing has had time to build.
  assert.deepEqual(await listing(peer), built);
  assert.equal(await usesIndex(peer), true);
  assert.deepEqual(await ids(peer), after);

  await peer.rows('DROP INDEX by_colour ON cars');
  assert.deepEqual(await peer.rows('SELECT * FROM system:indexes'), []);
  assert.equal(await usesIndex(peer), false);
  assert.deepEqual(await ids(peer), after);
  assert.equal((await peer.mistake('DROP INDEX by_colour ON cars')).code, 'query/index-not-found');
  await peer.reload();
  assert.deepEqual(await peer.rows('SELECT * FROM system:indexes'), []);
  await eventually('its rows are gone', async () => (await peer.page.evaluate(() => window.ditto.storage.verify())).ok);
});

scenario('two tabs share an index, and each keeps it right with its writes', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  const first = await stage.peer(context, site, { start: false });
  await fill(first, 3_000);
  const second = await stage.peer(context, site, { start: false });
  await first.rows(create);
  for (const tab of [first, second]) await eventually('both use it', () => usesIndex(tab));

  await second.rows("INSERT INTO cars DOCUMENTS ({'_id': 'second', 'colour': 'coral', 'year': 2020})");
  await first.rows("UPDATE cars SET colour = 'coral', year = 2050 WHERE _id = '00001'");
  await second.rows("DELETE FROM cars WHERE _id = '00002'");
  await Promise.all([first, second].map((tab, number) => tab.page.evaluate(async (name) => {
    for (let round = 0; round < 40; round += 1) {
      const document = { _id: `${name}-${round}`, colour: round % 2 ? 'coral' : 'blue', year: 2000 };
      await window.ditto.store.execute('INSERT INTO cars DOCUMENTS (:document)', { document });
      await window.ditto.store.execute('UPDATE cars SET year = year + 1 WHERE _id = :shared', { shared: '00007' });
    }
  }, number)));
  for (const tab of [first, second]) {
    await eventually('the same answer as without it', async () => {
      const [by, walked] = [await ids(tab), await ids(tab, "SELECT _id FROM cars USE INDEX '' WHERE colour = 'coral' AND year > 1990")];
      return by.includes('second') && by.includes('00001') && by.filter((id) => /^[01]-/.test(id)).length === 40 && by.join() === walked.join();
    });
    assert.deepEqual(await ids(tab, "SELECT _id FROM cars WHERE colour = 'coral' AND year = 2050"), ['00001']);
    await sound(tab, 3_000 + 80);
  }

  await second.rows('DROP INDEX by_colour ON cars');
  await eventually('the other tab does not use it any more', () => usesIndex(first), false);
});

scenario('a build that was interrupted by the end of its page goes on in the next', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  const peer = await stage.peer(context, site, { start: false });
  await fill(peer);
  await peer.rows(create);
  // Not awaited inside the page: the page goes as soon as the build is seen half way.
  const through = await peer.page.evaluate(untilHalfWay);
  await peer.page.close();
  assert.ok(through > 0 && through < total, `${through} of ${total} documents when the page was closed`);

  const next = await stage.peer(context, site, { start: false });
  const found = await listing(next);
  assert.ok(found.documents >= through, `it goes on from ${through}, not from the start: ${JSON.stringify(found)}`);
  await eventually('it is ready', async () => (await listing(next)).state, 'ready');
  assert.equal((await listing(next)).documents, total);
  assert.equal(await usesIndex(next), true);
  await sound(next, total);
});

const create = 'CREATE INDEX by_colour ON cars (colour, year DESC)';
const description = {
  _id: 'cars.by_colour',
  collection: 'cars',
  documents: total,
  fields: [
    { direction: 'asc', key: ['colour'] },
    { direction: 'desc', key: ['year'] },
  ],
  name: 'by_colour',
};

async function fill(peer, count = total) {
  await peer.page.evaluate(async ([count, colours]) => {
    const document = (number) => ({
      _id: String(number).padStart(5, '0'),
      colour: colours[number % colours.length],
      year: 1960 + (number % 64),
      text: `car ${number} of ${count}, in no way special`,
    });
    for (let start = 0; start < count; start += 2_000) {
      const documents = Array.from({ length: Math.min(2_000, count - start) }, (_, index) => document(start + index));
      await window.ditto.store.execute('INSERT INTO cars DOCUMENTS (:documents)', { documents });
    }
  }, [count, colours]);
}

/** Runs in the page: creates the index and writes one document after the other until it is ready. */
async function buildBesideWrites() {
  const { store } = window.ditto;
  const state = async () => (await store.execute("SELECT * FROM system:indexes WHERE name = 'by_colour'")).items[0].value;
  await store.execute('CREATE INDEX by_colour ON cars (colour, year DESC)');
  const steps = [];
  const inserted = [];
  for (let number = 0; ; number += 1) {
    const { state: now, documents } = await state();
    if (documents !== steps.at(-1)) steps.push(documents);
    if (now === 'ready') return { writes: inserted.length, inserted, steps };
    // Some before the place of the build, some behind it.
    const _id = `${number % 2 ? '0' : 'z'}-${number}`;
    await store.execute('INSERT INTO cars DOCUMENTS (:document)', { document: { _id, colour: 'coral', year: 2000 } });
    inserted.push(_id);
  }
}

/** Runs in the page: waits until some of the documents are in the index. */
async function untilHalfWay() {
  for (;;) {
    const [{ value }] = (await window.ditto.store.execute("SELECT * FROM system:indexes WHERE name = 'by_colour'")).items;
    if (value.documents > 0 || value.state === 'ready') return value.documents;
  }
}

const ids = async (peer, query = statement) => (await peer.rows(query)).map((row) => row._id).sort();

async function listing(peer) {
  const [row] = await peer.rows("SELECT * FROM system:indexes WHERE name = 'by_colour'");
  return row;
}

async function operators(peer) {
  const [{ plan }] = await peer.rows(`EXPLAIN ${statement}`);
  const names = [];
  JSON.stringify(plan, (name, value) => {
    if (value?.['#operator'] !== undefined) names.push(value['#operator']);
    return value;
  });
  return names;
}

const usesIndex = async (peer) => (await operators(peer)).includes('indexScan');

/** Verification has compared so many rows of indexes, and all is well. */
async function sound(peer, rows) {
  const { ok, findings, counts } = await peer.page.evaluate(() => window.ditto.storage.verify());
  assert.deepEqual({ ok, findings, rows: counts.indexRows }, { ok: true, findings: [], rows });
}
