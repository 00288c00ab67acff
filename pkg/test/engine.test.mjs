// The package as Node loads it: the memory store, the API, the errors.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

import { CBOR, Differ, Ditto, DittoConfig, DittoError, ERROR_CODES, init, TransportConfig } from '../dist/index.js';
import { failure } from '../testing/failure.mjs';

let count = 0;

/** Opens a database of its own for a test, and closes it afterwards. */
async function open(t) {
  const ditto = await Ditto.open(new DittoConfig(`test-${(count += 1)}`, { mode: 'smallPeersOnly' }));
  t.after(() => ditto.close());
  return ditto;
}

/** Waits until a condition holds; the test's own time limit ends what never does. */
async function until(condition) {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

test('init may be called at once and again', async () => {
  await Promise.all([init(), init(), init()]);
  await init({ webAssemblyModule: await readFile(new URL('../dist/shoal.wasm', import.meta.url)) });
});

test('a worker is refused where there are none, and a misspelt wish for one is told', async () => {
  const config = new DittoConfig('worker', { mode: 'smallPeersOnly' });
  await assert.rejects(Ditto.open(config, { worker: true }), failure('unsupported', /Node/));
  await assert.rejects(Ditto.open(config, { worker: 'yes' }), failure('validation/invalid-ditto-config', /worker is true or false/));
  await (await Ditto.open(config, { worker: false })).close();
});

test('what is inserted is selected, and a commit has a place in the log', async (t) => {
  const { store } = await open(t);
  const document = { _id: '1', int: 7, big: 2n ** 60n, float: 1.5, text: 'żółw', bytes: new Uint8Array([1, 2]), list: [1, [null]], map: { deep: true } };
  const inserted = await store.execute('INSERT INTO a DOCUMENTS (:document)', { document });
  assert.deepEqual(inserted.mutatedDocumentIDsV2(), ['1']);
  assert.equal(typeof inserted.commitID, 'bigint');
  const selected = await store.execute('SELECT * FROM a WHERE int > :least', { least: 6 });
  assert.equal(selected.items.length, 1);
  assert.equal(selected.commitID, null);
  const [item] = selected.items;
  assert.equal(item.isMaterialized, false);
  assert.deepEqual(item.value, document);
  assert.equal(item.isMaterialized, true);
  item.dematerialize();
  assert.equal(item.isMaterialized, false);
  assert.deepEqual(CBOR.decode(item.cborData()), document);
  assert.equal(JSON.parse(item.jsonString()).text, 'żółw');
  assert.match(item.jsonString(), /"big":1152921504606846976/);
});

test('statements know the time and the time zones of the host', async (t) => {
  const { store } = await open(t);
  const query = `SELECT clock() AS now, tz_offset('Europe/Berlin', '2024-07-01') AS summer, tz_offset('Asia/Kolkata', 0) AS india,
    tz_offset('Nowhere/Land') AS nowhere, date_format('2024-12-31T23:30Z', '%F %R', 'Pacific/Auckland') AS there,
    date_trunc('2024-03-10T12:00Z', 'day', 'America/New_York') AS day, request_info().time_zone AS zone`;
  const before = Date.now();
  const { now, ...rest } = (await store.execute(query)).items[0].value;
  assert.ok(Date.parse(now) >= before && Date.parse(now) <= Date.now(), now);
  const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  assert.deepEqual(rest, { summer: '+02:00', india: '+05:30', there: '2025-01-01 12:30', day: '2024-03-10T00:00:00-05:00', zone });
  assert.throws(() => store.ditto.sync.registerSubscription('SELECT * FROM a WHERE at < clock()'), failure('query/unsupported', /clock/));
});

test('openSync queues what is asked before the store is open', async (t) => {
  const ditto = Ditto.openSync(new DittoConfig('sync', { mode: 'smallPeersOnly' }));
  t.after(() => ditto.close());
  const heard = [];
  ditto.store.registerObserver('SELECT * FROM a', (result) => heard.push(result.items.length));
  await ditto.store.execute("INSERT INTO a VALUES ({'_id': '1'})");
  assert.equal((await ditto.store.execute('SELECT * FROM a')).items.length, 1);
  await until(() => heard.at(-1) === 1);
});

test('an observer hears the first answer after it was registered, and every change', async (t) => {
  const { store } = await open(t);
  const heard = [];
  const observer = store.registerObserver('SELECT * FROM a', (result) => heard.push(result.items.map((item) => item.value._id)));
  assert.deepEqual(heard, []);
  assert.deepEqual(store.observers, [observer]);
  await until(() => heard.length === 1);
  await store.execute("INSERT INTO a VALUES ({'_id': '1'})");
  await until(() => heard.length === 2);
  assert.deepEqual(heard, [[], ['1']]);
  observer.cancel();
  observer.cancel();
  assert.equal(observer.isCancelled, true);
  assert.deepEqual(store.observers, []);
  await store.execute("INSERT INTO a VALUES ({'_id': '2'})");
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(heard.length, 2);
});

test('an observer with signalNext gets nothing until it asks, and then the latest', async (t) => {
  const { store } = await open(t);
  const heard = [];
  let next;
  store.registerObserverWithSignalNext('SELECT * FROM a', (result, signalNext) => {
    heard.push(result.items.length);
    next = signalNext;
  });
  await until(() => heard.length === 1);
  for (const _id of ['1', '2', '3']) await store.execute('INSERT INTO a DOCUMENTS (:document)', { document: { _id } });
  assert.deepEqual(heard, [0]);
  next();
  await until(() => heard.length === 2);
  assert.deepEqual(heard, [0, 3]);
});

test('an observer may call execute', async (t) => {
  const { store } = await open(t);
  let seen = 0;
  store.registerObserver('SELECT * FROM a', (result) => {
    seen = result.items.length;
    if (seen < 3) void store.execute('INSERT INTO a DOCUMENTS (:document)', { document: { _id: String(seen) } });
  });
  await until(() => seen === 3);
});

test('a count is observed after every change', async (t) => {
  const { store } = await open(t);
  let last;
  store.registerObserver('SELECT COUNT(*) AS n FROM a', (result) => (last = result.items[0].value.n));
  await until(() => last === 0);
  await store.execute("INSERT INTO a VALUES ({'_id': '1'})");
  await until(() => last === 1);
});

test('a transaction commits as one unit, and takes everything back on rollback and on a throw', async (t) => {
  const { store } = await open(t);
  const insert = (transaction, _id) => transaction.execute('INSERT INTO a DOCUMENTS (:document)', { document: { _id } });
  const ids = async () => (await store.execute('SELECT * FROM a')).items.map((item) => item.value._id);
  const result = await store.transaction(async (transaction) => {
    await insert(transaction, '1');
    await insert(transaction, '2');
    assert.equal((await transaction.execute('SELECT * FROM a')).items.length, 2);
    return 'commit';
  });
  assert.equal(result, 'commit');
  assert.deepEqual(await ids(), ['1', '2']);
  await store.transaction(async (transaction) => {
    await insert(transaction, '3');
    return 'rollback';
  });
  const thrown = store.transaction(async (transaction) => {
    await insert(transaction, '4');
    throw new Error('mine');
  });
  await assert.rejects(thrown, /mine/);
  assert.deepEqual(await ids(), ['1', '2']);
  const refused = store.transaction((transaction) => insert(transaction, '5'), { isReadOnly: true });
  await assert.rejects(refused, failure('store/transaction-read-only'));
});

test('a writing store.execute inside the scope of a transaction is rejected at once, and one outside is not', async (t) => {
  const { store } = await open(t);
  const waitsForItself = failure('query/execution', /inside the scope/);
  const write = (_id) => store.execute("INSERT INTO a DOCUMENTS (:document)", { document: { _id } });
  // At the start of the scope, after a statement, and behind a wrapper of it.
  await store.transaction(async () => {
    await assert.rejects(write('1'), waitsForItself);
  });
  const wrapped = async (transaction) => (await transaction.execute('SELECT * FROM a')).items;
  await store.transaction(async (transaction) => {
    await transaction.execute("INSERT INTO a DOCUMENTS ({'_id': '2'})");
    await assert.rejects(write('3'), waitsForItself);
    await wrapped(transaction);
    await assert.rejects(store.execute('/* x */ update a SET b = 1'), waitsForItself);
    // A read does not wait, and sees what was there before.
    assert.equal((await store.execute('SELECT * FROM a')).items.length, 0);
  });
  // Code outside that goes on at the same time writes when the transaction has ended.
  let asked;
  const isAsked = new Promise((done) => (asked = done));
  await Promise.all([
    store.transaction(async (transaction) => {
      await transaction.execute("INSERT INTO a DOCUMENTS ({'_id': '4'})");
      await isAsked;
    }),
    (async () => {
      for (let round = 0; round < 20; round += 1) await store.execute('SELECT * FROM a');
      const outside = write('5');
      asked();
      await outside;
    })(),
  ]);
  await write('6');
  assert.deepEqual((await store.execute('SELECT * FROM a')).items.map((item) => item.value._id), ['2', '4', '5', '6']);
});

test('errors carry a code, and those of the language a caret line', async (t) => {
  const { store, sync } = await open(t);
  await assert.rejects(store.execute('SELECT * FRM a'), failure('query/invalid', /\^/));
  await assert.rejects(store.execute('SELECT * FROM a WHERE x = :x', { x: NaN }), failure('query/arguments-invalid', /NaN/));
  await assert.rejects(store.execute('SELECT * FROM a WHERE x = :x', { x: [Infinity] }), failure('query/arguments-invalid'));
  await assert.rejects(store.execute('SELECT * FROM a WHERE x = :x', { x: () => 1 }), failure('query/arguments-invalid'));
  await store.execute("INSERT INTO a VALUES ({'_id': '1'})");
  await assert.rejects(store.execute("INSERT INTO a VALUES ({'_id': '1'})"), failure('store/identifier-conflict'));
  assert.throws(() => store.registerObserver("DELETE FROM a", () => {}), failure('query/unsupported'));
  assert.throws(() => sync.registerSubscription('SELECT x FROM a'), DittoError);
  assert.deepEqual(store.observers, []);
  assert.deepEqual(sync.subscriptions, []);
});

test('what is not built yet says so', async (t) => {
  const { store } = await open(t);
  await assert.rejects(store.newAttachment('/a/path'), failure('unsupported'));
  const config = new DittoConfig('x', { mode: 'smallPeersOnly', privateKey: 'AAAA' });
  await assert.rejects(Ditto.open(config), failure('unsupported'));
});

test('a wrong configuration is refused', async () => {
  await assert.rejects(Ditto.open(new DittoConfig('', { mode: 'smallPeersOnly' })), failure('validation/invalid-ditto-config'));
  await assert.rejects(Ditto.open(new DittoConfig('x', { mode: 'server', url: 'ftp://a' })), failure('validation/invalid-ditto-config'));
});

test('in server mode sync starts only with an expiration handler', async (t) => {
  const ditto = await Ditto.open(new DittoConfig('server', { mode: 'server', url: 'http://127.0.0.1:9' }));
  t.after(() => ditto.close());
  assert.throws(() => ditto.sync.start(), failure('authentication/expiration-handler-missing'));
  await ditto.auth.setExpirationHandler(() => {});
  ditto.sync.start();
  assert.equal(ditto.sync.isActive, true);
  ditto.sync.stop();
  assert.equal(ditto.sync.isActive, false);
});

test('a closed database answers store/closed', async () => {
  const ditto = await Ditto.open(new DittoConfig('closing', { mode: 'smallPeersOnly' }));
  const inFlight = ditto.store.execute("INSERT INTO a VALUES ({'_id': '1'})");
  await ditto.close();
  await inFlight;
  assert.equal(ditto.isClosed, true);
  await assert.rejects(ditto.store.execute('SELECT * FROM a'), failure('store/closed'));
  assert.throws(() => ditto.store.registerObserver('SELECT * FROM a', () => {}), failure('store/closed'));
  assert.throws(() => ditto.sync.start(), failure('store/closed'));
  await ditto.close();
});

test('presence shows this peer, and storage is memory', async (t) => {
  const ditto = await open(t);
  const graphs = [];
  const observer = ditto.presence.observe((graph) => graphs.push(graph));
  assert.equal(graphs.length, 1);
  await ditto.presence.setPeerMetadata({ colour: 'red' });
  await assert.rejects(ditto.presence.setPeerMetadata({ text: 'x'.repeat(5000) }), failure('validation/size-limit-exceeded'));
  assert.deepEqual(ditto.presence.peerMetadata, { colour: 'red' });
  observer.stop();
  assert.equal(observer.isStopped, true);
  assert.equal(ditto.storage.mode, 'memory');
  const usage = await ditto.storage.usage();
  assert.equal(typeof usage.logBytes, 'number');
  assert.equal(usage.originQuota, null);
});

test('the differ reports insertions, deletions, updates and the fewest moves', async (t) => {
  const { store } = await open(t);
  const differ = new Differ();
  const put = (_id, n) => store.execute('INSERT INTO a DOCUMENTS (:document) ON ID CONFLICT DO UPDATE', { document: { _id, n } });
  const diff = async () => {
    const { insertions, deletions, updates, moves } = differ.diff((await store.execute('SELECT * FROM a ORDER BY n')).items);
    return { insertions, deletions, updates, moves };
  };
  for (const [_id, n] of [['a', 1], ['b', 2], ['c', 3]]) await put(_id, n);
  assert.deepEqual(await diff(), { insertions: [0, 1, 2], deletions: [], updates: [], moves: [] });
  await put('a', 4);
  assert.deepEqual(await diff(), { insertions: [], deletions: [], updates: [2], moves: [{ from: 0, to: 2 }] });
  await store.execute("DELETE FROM a WHERE _id = 'b'");
  assert.deepEqual(await diff(), { insertions: [], deletions: [0], updates: [], moves: [] });
});

test('transport configurations are frozen copies', async (t) => {
  const ditto = await open(t);
  const config = new TransportConfig();
  config.connect.iceServers.push({ urls: 'stun:127.0.0.1' });
  ditto.setTransportConfig(config);
  config.connect.iceServers.length = 0;
  assert.equal(ditto.transportConfig.connect.iceServers.length, 1);
  assert.equal(ditto.transportConfig.isFrozen, true);
  assert.throws(() => ditto.transportConfig.connect.iceServers.push({ urls: 'x' }), TypeError);
  ditto.updateTransportConfig((copy) => (copy.connect.iceServers = []));
  assert.equal(ditto.transportConfig.connect.iceServers.length, 0);
});

test('the codes of the engine are all known here', async () => {
  const table = await readFile(new URL('../../src/value/src/error.rs', import.meta.url), 'utf8');
  const codes = [...table.matchAll(/^ {4}\w+ "([^"]+)" "/gm)].map(([, code]) => code);
  assert.ok(codes.length > 30);
  for (const code of codes) assert.ok(code in ERROR_CODES, `${code} is in ERROR_CODES`);
});

test('a misspelt durability is refused instead of promising less', async () => {
  const refusal = { code: 'validation/invalid-ditto-config' };
  await assert.rejects(Ditto.open(new DittoConfig('d', { mode: 'smallPeersOnly' }), { durability: 'Strict' }), refusal);
  const ditto = await Ditto.open(new DittoConfig('d', { mode: 'smallPeersOnly' }), { durability: 'strict' });
  await assert.rejects(ditto.store.execute('SELECT * FROM a', {}, { durability: 'never' }), refusal);
  await assert.rejects(ditto.store.transaction(async () => 'commit', { durability: 'never' }), refusal);
  await ditto.store.transaction(async (tx) => tx.execute("INSERT INTO a DOCUMENTS ({'_id': '1'})"));
  assert.equal((await ditto.store.execute('SELECT * FROM a')).items.length, 1);
  await ditto.close();
});

test('code that awaits nothing but answers and failures leaves timers their turn', async (t) => {
  const { store } = await open(t);
  const works = [() => store.execute('SELECT 1'), () => assert.rejects(store.execute('SELECT FROM')), () => store.transaction(async () => 'commit')];
  for (const work of works) {
    let fired = false;
    setTimeout(() => (fired = true), 1);
    for (const end = performance.now() + 3000; !fired && performance.now() < end; ) await work();
    assert.ok(fired);
  }
});
