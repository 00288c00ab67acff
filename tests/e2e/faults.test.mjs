// What browsers do to a store: no space, a database that is deleted, blocked, newer or cleared, and how each is told.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { eventually, scenario } from './harness.mjs';

const database = 'shoal:replica';

scenario('a full disk is a condition with an event; reads go on, and it is over when a write succeeds again', async (stage) => {
  const site = await stage.site();
  const { context } = await stage.killableBrowser(await stage.folder());
  const page = await stage.page(context, `${site.address}/e2e/test.html`);
  const devtools = await context.newCDPSession(page);
  const quota = (quotaSize) => devtools.send('Storage.overrideQuotaForOrigin', { origin: site.address, ...(quotaSize && { quotaSize }) });
  await quota(6_000_000);
  const peer = await stage.peer(context, site, { start: false });
  await watchConditions(peer);
  const insert = (id, bytes) => peer.mistake('INSERT INTO movies DOCUMENTS (:doc)', { doc: { _id: id, text: randomBytes(bytes).toString('base64') } });

  // Until nothing more fits; the log is flushed every ten documents or so, into the same space.
  const kept = [];
  let refused = null;
  for (let n = 0; refused === null && n < 200; n += 1) {
    refused = await insert(`n${n}`, 100_000);
    if (refused === null) kept.push(`n${n}`);
  }
  assert.equal(refused?.code, 'store/quota-exceeded');
  await eventually('the condition tells', () => condition(peer), 'full');
  assert.equal(await peer.page.evaluate(() => window.ditto.storage.mode), 'indexeddb');
  assert.deepEqual(await ids(peer), [...kept].sort(), 'everything that was acknowledged is there, nothing else');

  await quota(200_000_000);
  assert.equal(await insert('after', 100_000), null, 'the next write succeeds');
  for (let n = 0; n < 20; n += 1) assert.equal(await insert(`more${n}`, 100_000), null);
  await eventually('the condition is over', () => condition(peer), 'ok');
  const told = await peer.page.evaluate(() => window.conditions);
  assert.ok(told.includes('full') && told.at(-1) === 'ok', told.join());
  const expected = [...kept, 'after', ...Array.from({ length: 20 }, (_, n) => `more${n}`)].sort();
  await peer.reload();
  assert.deepEqual(await ids(peer), expected, 'flushes that were refused have lost nothing');
  assert.deepEqual(await verified(peer), { ok: true, findings: [] });
});

scenario('a database that another page deletes is let go by every tab, says so, and is fresh when it is opened again', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  const tabs = [await stage.peer(context, site, { start: false }), await stage.peer(context, site, { start: false })];
  await tabs[0].rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  await tabs[1].eventually('SELECT _id FROM movies', {}, [{ _id: '1' }]);
  for (const tab of tabs) await watchConditions(tab);
  const other = await stage.page(context, `${site.address}/e2e/test.html`);
  assert.equal(await other.evaluate(remove, database), 'deleted');
  for (const tab of tabs) {
    await eventually('the condition tells', () => condition(tab), 'lost');
    assert.deepEqual(await tab.page.evaluate(() => window.conditions), ['lost']);
    assert.match(await tab.page.evaluate(() => window.ditto.storage.reason), /deleted.*open it again/);
    for (const query of ['SELECT * FROM movies', "INSERT INTO movies DOCUMENTS ({'_id': '2'})"]) {
      const mistake = await tab.mistake(query);
      assert.equal(mistake?.code, 'store/closed', query);
      assert.match(mistake.message, /open it again/);
    }
    assert.equal(await tab.page.evaluate(() => window.ditto.storage.usage().then(() => null, (cause) => cause.code)), 'store/closed');
  }
  assert.deepEqual(await other.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name)), [], 'nobody makes it again');
  await tabs[0].page.evaluate(() => window.ditto.close());
  await tabs[0].open();
  assert.deepEqual(await tabs[0].rows('SELECT * FROM movies'), []);
  await tabs[0].rows("INSERT INTO movies DOCUMENTS ({'_id': '3'})");
  assert.equal((await tabs[1].mistake('SELECT * FROM movies'))?.code, 'store/closed', 'the other tab does not mix with the new store');
  await tabs[1].reload();
  assert.deepEqual(await tabs[1].rows('SELECT _id FROM movies'), [{ _id: '3' }]);
});

scenario('an origin whose data was cleared is lost too, and half a store is not made again', async (stage) => {
  const { peer } = await cleared(stage);
  const mistake = await peer.mistake("INSERT INTO movies DOCUMENTS ({'_id': '2'})");
  assert.equal(mistake?.code, 'store/closed');
  await eventually('the condition tells', () => condition(peer), 'lost');
  await peer.reload();
  assert.deepEqual(await peer.rows('SELECT * FROM movies'), []);
});

scenario('a database that is being deleted while another page holds it answers blocked, and opens when it is let go', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  const holder = await stage.page(context, `${site.address}/e2e/test.html`);
  await holder.evaluate(
    (name) =>
      new Promise((resolve) => {
        const request = indexedDB.open(name, 1);
        request.onsuccess = () => resolve((window.held = request.result));
      }).then(() => undefined),
    database,
  );
  const remover = await stage.page(context, `${site.address}/e2e/test.html`);
  await remover.evaluate((name) => void indexedDB.deleteDatabase(name), database);
  const page = await stage.page(context, `${site.address}/e2e/test.html`);
  assert.equal(await page.evaluate(open), 'store/blocked');
  await holder.evaluate(() => window.held.close());
  assert.equal(await page.evaluate(open), 'open');
});

scenario('a store of a newer format, and a database of a newer version, are refused and not touched', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  const peer = await stage.peer(context, site, { start: false });
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  await peer.page.evaluate(() => window.ditto.close());
  const before = await peer.page.evaluate(newer, database);
  assert.equal(await peer.page.evaluate(open), 'store/newer-format');
  assert.deepEqual(await peer.page.evaluate(dump, database), before);
  await peer.page.evaluate(
    (name) =>
      new Promise((resolve) => {
        indexedDB.open(name, 2).onsuccess = (event) => resolve(event.target.result.close());
      }),
    database,
  );
  assert.equal(await peer.page.evaluate(open), 'store/newer-format');
  assert.deepEqual(await peer.page.evaluate(dump, database), before);
});

scenario('memory mode is told by the mode, the reason and an event', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  await context.addInitScript(() => Object.defineProperty(window, 'indexedDB', { value: undefined, configurable: true }));
  const page = await stage.page(context, `${site.address}/e2e/test.html`);
  const told = await page.evaluate(async () => {
    const { init, Ditto, DittoConfig } = window.shoal;
    await init({ webAssemblyModule: window.wasmAddress });
    const ditto = Ditto.openSync(new DittoConfig('e2e', { mode: 'smallPeersOnly' }, 'replica'));
    const event = new Promise((resolve) => ditto.storage.observe(resolve));
    return { event: await event, mode: ditto.storage.mode };
  });
  assert.deepEqual(told.mode, 'memory');
  assert.equal(told.event.mode, 'memory');
  assert.match(told.event.reason, /IndexedDB/);
});

scenario('persistence is asked for once, at the first write, and the answer is shown', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  await context.addInitScript(() => {
    window.asked = 0;
    navigator.storage.persist = async () => {
      window.asked += 1;
      return true;
    };
  });
  const peer = await stage.peer(context, site, { start: false });
  assert.equal(await peer.page.evaluate(() => window.asked), 0, 'not before there is something to keep');
  assert.equal(await peer.page.evaluate(() => window.ditto.storage.persistent), false);
  for (const id of ['1', '2', '3']) await peer.rows('INSERT INTO movies DOCUMENTS (:doc)', { doc: { _id: id } });
  await eventually('the answer is shown', () => peer.page.evaluate(() => window.ditto.storage.persistent));
  assert.equal(await peer.page.evaluate(() => window.asked), 1);
});

scenario('verification finds a flipped bit of every kind of record in IndexedDB', async (stage) => {
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { start: false });
  await peer.page.evaluate(async () => {
    for (let n = 0; n < 12; n += 1) {
      const batch = Array.from({ length: 200 }, (_, index) => ({ _id: `${n}-${index}`, text: `${Math.random()}`.repeat(30) }));
      await window.ditto.store.execute('INSERT INTO movies DOCUMENTS (:batch)', { batch });
    }
  });
  await eventually('segments were written', async () => (await peer.page.evaluate(() => window.ditto.storage.usage())).segmentBytes > 0);
  assert.deepEqual(await verified(peer), { ok: true, findings: [] });
  for (const [store, kind] of [['wal', 'log'], ['seg', 'block'], ['meta', 'manifest']]) {
    await peer.page.evaluate(flip, { name: database, store });
    const { ok, findings } = await verified(peer);
    assert.equal(ok, false, store);
    assert.ok(findings.some((finding) => finding.kind === kind && finding.name && finding.problem), `${store}: ${JSON.stringify(findings.slice(0, 3))}`);
    await peer.page.evaluate(flip, { name: database, store });
  }
  assert.deepEqual(await verified(peer), { ok: true, findings: [] });
});

const condition = (peer) => peer.page.evaluate(() => window.ditto.storage.condition);
const ids = async (peer) => (await peer.rows('SELECT _id FROM movies')).map((row) => row._id).sort();

async function verified(peer) {
  const { ok, findings } = await peer.page.evaluate(() => window.ditto.storage.verify());
  return { ok, findings };
}

function watchConditions(peer) {
  return peer.page.evaluate(() => {
    window.conditions = [];
    window.ditto.storage.observe((state) => {
      if (state.condition !== (window.conditions.at(-1) ?? 'ok')) window.conditions.push(state.condition);
    });
  });
}

scenario('a tab whose data was cleared does not mix with the store that another tab has made since', async (stage) => {
  const { site, context, peer } = await cleared(stage);
  const other = await stage.peer(context, site, { start: false });
  await other.rows("INSERT INTO movies DOCUMENTS ({'_id': '9'})");
  assert.equal((await peer.mistake("INSERT INTO movies DOCUMENTS ({'_id': '2'})"))?.code, 'store/closed');
  assert.deepEqual(await ids(other), ['9']);
  await other.reload();
  assert.deepEqual(await ids(other), ['9']);
});

scenario('a store of the format before is opened with what it holds, and marked so that older programs refuse it', async (stage) => {
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { start: false });
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  await peer.page.evaluate(() => window.ditto.close());
  assert.equal(await peer.page.evaluate(format, 1), 2, 'the format of now');
  await peer.reload();
  assert.deepEqual(await ids(peer), ['1']);
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': '2'})");
  await peer.page.evaluate(() => window.ditto.close());
  assert.equal(await peer.page.evaluate(format, 2), 2, 'it was marked');
});

/** Runs in a page: sets the format of the closed store and returns what it was. */
async function format(next) {
  const read = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
  const held = await read(indexedDB.open('shoal:replica'));
  const meta = held.transaction('meta', 'readwrite').objectStore('meta');
  const before = await read(meta.get('format'));
  await read(meta.put(new Uint8Array([next]), 'format'));
  held.close();
  return before[0];
}

/** A tab with one document whose origin the browser has cleared under it. */
async function cleared(stage) {
  const site = await stage.site();
  const context = await stage.context();
  const peer = await stage.peer(context, site, { start: false });
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  const devtools = await context.newCDPSession(peer.page);
  await devtools.send('Storage.clearDataForOrigin', { origin: site.address, storageTypes: 'indexeddb' });
  return { site, context, peer };
}

/** Runs in a page: what deleting a database ends in. */
function remove(name) {
  return new Promise((resolve) => {
    const request = indexedDB.deleteDatabase(name);
    let blocked = false;
    request.onblocked = () => (blocked = true);
    request.onsuccess = () => resolve(blocked ? 'deleted, after it was blocked' : 'deleted');
    request.onerror = () => resolve(request.error.name);
  });
}

/** Runs in a page: what opening the store ends in. */
async function open() {
  const { init, Ditto, DittoConfig } = window.shoal;
  await init({ webAssemblyModule: window.wasmAddress });
  return Ditto.open(new DittoConfig('e2e', { mode: 'smallPeersOnly' }, 'replica')).then(() => 'open', (cause) => cause.code);
}

/** Runs in a page: marks the store as one of a newer format, and returns what it holds then. */
async function newer(name) {
  const read = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
  const held = await read(indexedDB.open(name));
  const transaction = held.transaction(['wal', 'seg', 'meta', 'blob'], 'readwrite');
  await read(transaction.objectStore('meta').put(new Uint8Array([9]), 'format'));
  const all = [];
  for (const store of held.objectStoreNames) all.push([store, ...(await read(transaction.objectStore(store).getAll())).map((value) => [...value].join())]);
  held.close();
  return all;
}

/** Runs in a page: everything that a database holds. */
async function dump(name) {
  const read = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
  const held = await read(indexedDB.open(name));
  const all = [];
  for (const store of held.objectStoreNames) all.push([store, ...(await read(held.transaction(store).objectStore(store).getAll())).map((value) => [...value].join())]);
  held.close();
  return all;
}

/** Runs in a page: flips one bit in the middle of a record; twice is none. */
async function flip({ name, store }) {
  const read = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
  const held = await read(indexedDB.open(name));
  const records = held.transaction(store, 'readwrite').objectStore(store);
  const key = store === 'meta' ? 'manifest' : (await read(records.getAllKeys()))[0];
  const bytes = await read(records.get(key));
  bytes[bytes.length >> 1] ^= 4;
  await read(records.put(bytes, key));
  held.close();
}
