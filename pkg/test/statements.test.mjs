// Statements beyond reading and writing, as the package hands on their answers: RETURNING, plans, profiles, parameters, what the peer
// tells of itself, indexes, and live queries over several collections.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Ditto, DittoConfig } from '../dist/index.js';
import { failure } from '../testing/failure.mjs';

let count = 0;

/** Opens a database of its own with cars and their makers, and closes it afterwards. */
async function open(t) {
  const ditto = await Ditto.open(new DittoConfig(`statements-${(count += 1)}`, { mode: 'smallPeersOnly' }));
  t.after(() => ditto.close());
  const makers = [{ _id: 'm1', name: 'Amphi', land: 'DE' }, { _id: 'm2', name: 'Bolide', land: 'FR' }];
  const cars = [{ _id: 'c1', maker: 'm1', year: 1967 }, { _id: 'c2', maker: 'm2', year: 1980 }, { _id: 'c3', maker: 'm1', year: 1985 }];
  await ditto.store.execute('INSERT INTO makers DOCUMENTS (:makers)', { makers });
  await ditto.store.execute('INSERT INTO cars DOCUMENTS (:cars)', { cars });
  const rows = async (statement, args) => (await ditto.store.execute(statement, args)).items.map((item) => item.value);
  return { ditto, store: ditto.store, rows };
}

async function until(condition) {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
}

/** The names of a plan's operators, from the outside in. */
function operators([{ plan }]) {
  const names = [];
  JSON.stringify(plan, (_, value) => {
    if (value?.['#operator'] !== undefined) names.push(value['#operator']);
    return value;
  });
  return names;
}

test('a mutation with RETURNING has items, and tells which documents it changed like any other', async (t) => {
  const { store, rows } = await open(t);
  const inserted = await store.execute("INSERT INTO cars DOCUMENTS ({'_id': 'c4', 'year': 1990}), ({'_id': 'c5', 'year': 1991}) RETURNING _id, year + 1 AS next");
  assert.deepEqual(inserted.items.map((item) => item.value), [{ _id: 'c4', next: 1991 }, { _id: 'c5', next: 1992 }]);
  assert.deepEqual(inserted.mutatedDocumentIDsV2(), ['c4', 'c5']);
  assert.equal(typeof inserted.commitID, 'bigint');
  const updated = await store.execute("UPDATE cars SET colour = 'green' WHERE year > 1988 RETURNING *");
  assert.deepEqual(updated.items.map((item) => item.value), [{ _id: 'c4', year: 1990, colour: 'green' }, { _id: 'c5', year: 1991, colour: 'green' }]);
  const deleted = await store.execute("DELETE FROM cars WHERE _id = 'c4' RETURNING _id, colour");
  assert.deepEqual(deleted.items.map((item) => item.jsonString()), ['{"_id":"c4","colour":"green"}']);
  assert.deepEqual(deleted.mutatedDocumentIDsV2(), ['c4']);
  const none = await store.execute("DELETE FROM cars WHERE _id = 'nobody' RETURNING *");
  assert.deepEqual([none.items, none.mutatedDocumentIDsV2(), none.commitID], [[], [], null]);
  const plain = await store.execute("UPDATE cars SET colour = 'red' WHERE _id = 'c5'");
  assert.deepEqual([plain.items, plain.mutatedDocumentIDsV2()], [[], ['c5']]);
  await store.transaction(async (transaction) => {
    const inside = await transaction.execute("UPDATE cars SET colour = 'blue' WHERE _id = 'c5' RETURNING colour");
    assert.deepEqual([inside.items[0].value, inside.mutatedDocumentIDsV2(), inside.commitID], [{ colour: 'blue' }, ['c5'], null]);
    return 'rollback';
  });
  assert.deepEqual(await rows("SELECT colour FROM cars WHERE _id = 'c5'"), [{ colour: 'red' }]);
});

test('a profile is the last row, with times, and the statement is carried out', async (t) => {
  const { store } = await open(t);
  const read = await store.execute('PROFILE SELECT _id FROM cars WHERE year > 1970');
  assert.deepEqual(read.items.slice(0, -1).map((item) => item.value), [{ _id: 'c2' }, { _id: 'c3' }]);
  const profile = read.items.at(-1).value['~request_profile'];
  assert.ok(profile.times.plan > 0 && profile.times.execute > 0, JSON.stringify(profile.times));
  assert.deepEqual(profile['#stats'], { documentsIn: 3, documentsOut: 2, mutated: 0 });
  assert.deepEqual(operators([profile]), ['sequence', 'scan', 'filter', 'projection', 'finalProjection']);
  const write = await store.execute('PROFILE UPDATE cars SET year = 2000 WHERE year < 1970 RETURNING year');
  assert.deepEqual(write.items[0].value, { year: 2000 });
  assert.deepEqual(write.items.at(-1).value['~request_profile']['#stats'], { documentsIn: 3, documentsOut: 1, mutated: 1 });
  assert.deepEqual(write.mutatedDocumentIDsV2(), ['c1']);
});

test('an index is advised, made, explained, listed and dropped', async (t) => {
  const { store, rows } = await open(t);
  const query = "SELECT _id FROM cars WHERE maker = 'm1' AND year > 1970";
  assert.deepEqual(operators(await rows(`EXPLAIN ${query}`)), ['sequence', 'scan', 'filter', 'projection', 'finalProjection']);
  const [{ advice }] = await rows(`ADVISE ${query}`);
  assert.match(advice.suggestedIndexes[0].statement, /^CREATE INDEX IF NOT EXISTS \w+ ON cars \(maker, year\)$/);
  assert.deepEqual(await rows('SELECT * FROM system:indexes'), []);
  await rows(`ADVISE AND PROVISION ${query}`);
  const ready = async () => (await rows('SELECT state FROM system:indexes'))[0].state === 'ready';
  await until(ready);
  const [listed] = await rows('SELECT collection, name, documents, fields FROM system:indexes');
  const fields = ['maker', 'year'].map((name) => ({ direction: 'asc', key: [name] }));
  assert.deepEqual({ ...listed, name: '' }, { collection: 'cars', name: '', documents: 3, fields });
  assert.equal(operators(await rows(`EXPLAIN ${query}`))[1], 'indexScan');
  assert.deepEqual(await rows(query), [{ _id: 'c3' }]);
  await assert.rejects(store.execute(`CREATE INDEX ${listed.name} ON cars (year)`), failure('query/index-exists'));
  await store.execute(`DROP INDEX ${listed.name} ON cars`);
  await assert.rejects(store.execute(`DROP INDEX ${listed.name} ON cars`), failure('query/index-not-found'));
  assert.ok(operators(await rows(`EXPLAIN ${query}`)).includes('scan'));
});

test('verification compares the rows of indexes with the documents', async (t) => {
  const { ditto, store, rows } = await open(t);
  const report = async () => {
    const { ok, findings, counts } = await ditto.storage.verify();
    return { ok, findings, indexRows: counts.indexRows };
  };
  assert.deepEqual(await report(), { ok: true, findings: [], indexRows: 0 });
  await store.execute('CREATE INDEX by_year ON cars (year DESC)');
  await store.execute('CREATE INDEX by_land ON makers (land)');
  await store.execute("DELETE FROM cars WHERE _id = 'c1'");
  await until(async () => (await rows("SELECT * FROM system:indexes WHERE state = 'ready'")).length === 2);
  assert.deepEqual(await report(), { ok: true, findings: [], indexRows: 4 });
  const documents = Array.from({ length: 5_000 }, (_, year) => ({ year }));
  const written = store.execute('INSERT INTO cars DOCUMENTS (:documents)', { documents });
  assert.equal((await report()).ok, true, 'also while documents are written');
  await written;
  assert.deepEqual(await report(), { ok: true, findings: [], indexRows: 5_004 });
});

test('parameters are shown and set', async (t) => {
  const { store, rows } = await open(t);
  const shown = await rows('SHOW ALL');
  assert.ok(shown.length > 10 && shown.every((row) => typeof row.name === 'string' && 'value' in row && 'default' in row));
  await store.execute('ALTER SYSTEM SET dql_strict_mode = true');
  assert.equal((await rows('SHOW dql_strict_mode'))[0].value, true);
  await store.execute('ALTER SYSTEM RESET dql_strict_mode');
  assert.equal((await rows('SHOW dql_strict_mode'))[0].value, false);
  await assert.rejects(store.execute('SHOW no_such_parameter'), failure('query/parameter'));
});

test('the peer tells of itself in system collections', async (t) => {
  const { rows, store } = await open(t);
  assert.deepEqual(await rows('SELECT name FROM system:collections ORDER BY name'), [{ name: 'cars' }, { name: 'makers' }]);
  assert.equal((await rows("SELECT * FROM system:vitals WHERE state = 'healthy'")).length, 1);
  assert.ok((await rows('SELECT key, value FROM system:system_info')).some((row) => row.key === 'database_id'));
  const [last] = await rows("SELECT statement, state FROM system:request_history WHERE statement LIKE '%system_info%'");
  assert.deepEqual(last, { statement: 'SELECT key, value FROM system:system_info', state: 'completed' });
  await assert.rejects(store.execute('DELETE FROM system:collections'), failure('query/unsupported'));
});

test('a live query over a join hears of changes on both sides, and of no others', async (t) => {
  const { store } = await open(t);
  const heard = [];
  const query = 'SELECT c._id AS car, m.name AS maker FROM cars c JOIN makers m ON c.maker = m._id WHERE c.year > :year ORDER BY c._id';
  store.registerObserver(query, ({ items }) => heard.push(items.map(({ value }) => `${value.car} ${value.maker}`)), { year: 1970 });
  await until(() => heard.length === 1);
  await store.execute("UPDATE makers SET name = 'Corsair' WHERE _id = 'm2'");
  await until(() => heard.length === 2);
  await store.execute("UPDATE makers SET land = 'IT' WHERE _id = 'm2'");
  await store.execute("UPDATE cars SET year = 1990 WHERE _id = 'c1'");
  await until(() => heard.length === 3);
  await store.execute("DELETE FROM makers WHERE _id = 'm1'");
  await until(() => heard.length === 4);
  assert.deepEqual(heard, [
    ['c2 Bolide', 'c3 Amphi'],
    ['c2 Corsair', 'c3 Amphi'],
    ['c1 Amphi', 'c2 Corsair', 'c3 Amphi'],
    ['c2 Corsair'],
  ]);
});

test('whatever waits for the end of a transaction is rejected inside its scope', async (t) => {
  const { store } = await open(t);
  const waits = [
    "PROFILE DELETE FROM cars WHERE _id = 'c1'",
    '/* a */ PROFILE -- b\n UPDATE cars SET year = 1',
    'CREATE INDEX i ON cars (year)',
    'drop index i ON cars',
    'ADVISE AND PROVISION SELECT * FROM cars WHERE year = 1',
  ];
  for (const statement of waits) {
    await store.transaction(() => assert.rejects(store.execute(statement), failure('query/execution', /inside the scope/)));
  }
  const reads = ['/* a */ SELECT * /* b */ FROM cars', 'PROFILE SELECT * FROM cars', 'EXPLAIN DELETE FROM cars', 'ADVISE SELECT * FROM cars WHERE year = 1', 'SHOW ALL'];
  for (const statement of reads) {
    await store.transaction(async () => assert.ok((await store.execute(statement)).items.length > 0, statement));
  }
  await store.transaction((transaction) => assert.rejects(transaction.execute(waits[2]), failure('query/unsupported', /store\.execute/)));
});
