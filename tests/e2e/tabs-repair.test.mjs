// Bytes of a real IndexedDB are damaged; the store stays usable, and a Big Peer that has the data brings it back.

import assert from 'node:assert/strict';
import { eventually, scenario } from './harness.mjs';

const query = 'SELECT * FROM movies ORDER BY _id';

scenario('damaged and lost segments are given up, told, and fetched again', async (stage) => {
  const { bigPeer, site, context } = await synced(stage);
  const bare = await stage.page(context, `${site.address}/e2e/test.html`);
  const hurt = await bare.evaluate(damageStore, { store: 'seg', flip: 1, remove: 3 });
  assert.ok(hurt.count > 4, `there are ${hurt.count} segments`);
  const peer = await stage.peer(context, site, { bigPeer, start: false });
  const left = await peer.count();
  assert.ok(left < 3000, `${left}`);
  assert.match(await damaged(peer), /^segment \d+$/);
  await peer.rows("INSERT INTO notes DOCUMENTS ({'_id': '1'})");
  await peer.start();
  await everythingIsThere(peer, bigPeer);
  await peer.page.close();
  const again = await stage.peer(context, site, { bigPeer });
  await everythingIsThere(again, bigPeer);
});

scenario('a damaged log record is stepped over, told, and what it held is fetched again', async (stage) => {
  const { bigPeer, site, context } = await synced(stage);
  const bare = await stage.page(context, `${site.address}/e2e/test.html`);
  await bare.evaluate(damageStore, { store: 'wal', flip: -1 });
  const peer = await stage.peer(context, site, { bigPeer });
  await eventually('it is told', () => damaged(peer).then((what) => /^log record \d+$/.test(what)));
  await everythingIsThere(peer, bigPeer);
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': 'new'})");
  await everythingIsThere(peer, bigPeer, 3001);
  await peer.reload();
  assert.equal(await damaged(peer), null, 'it is repaired once');
  await everythingIsThere(peer, bigPeer, 3001);
});

async function synced(stage) {
  const bigPeer = await stage.bigPeer();
  const documents = Array.from({ length: 3000 }, (_, number) => ({ _id: String(number).padStart(5, '0'), number, padding: noise(number, 900) }));
  await bigPeer.load('movies', documents);
  const site = await stage.site();
  const context = await stage.context();
  const peer = await stage.peer(context, site, { bigPeer });
  await eventually('everything is here', () => peer.count(), 3000);
  await peer.inSync();
  const segmentBytes = () => peer.page.evaluate(async () => (await window.ditto.storage.usage()).segmentBytes);
  await eventually('most of it is in segments', async () => (await segmentBytes()) > 1_000_000);
  // What a reload reads back from the log does not need the segments.
  await peer.page.close();
  return { bigPeer, site, context };
}

/** Text that does not become smaller when it is packed. */
function noise(seed, length) {
  let state = seed + 1;
  const digit = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 16) % 36;
  };
  return Array.from({ length }, () => digit().toString(36)).join('');
}

function damaged(peer) {
  return peer.page.evaluate(() => window.ditto.storage.damaged);
}

async function everythingIsThere(peer, bigPeer, count = 3000) {
  await eventually('every document is here', () => peer.count(), count);
  await peer.inSync();
  const [here, there] = await Promise.all([peer.rows(query), bigPeer.rows(query)]);
  assert.deepEqual(here, there);
}

/** Flips a byte of one record of an object store and removes another; -1 is the last. */
async function damageStore({ store, flip, remove }) {
  const answer = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const open = await answer(indexedDB.open('shoal:replica'));
  const objects = open.transaction(store, 'readwrite').objectStore(store);
  const keys = await answer(objects.getAllKeys());
  const key = keys.at(flip);
  const bytes = new Uint8Array(await answer(objects.get(key)));
  bytes[bytes.length >> 1] ^= 1;
  await answer(objects.put(bytes, key));
  if (remove !== undefined) await answer(objects.delete(keys.at(remove)));
  open.close();
  return { count: keys.length };
}
