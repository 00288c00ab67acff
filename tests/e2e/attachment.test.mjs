// Attachments between browsers and the Big Peer: large ones, over reloads, with and without the server, and with the engine in a worker.
import assert from 'node:assert/strict';
import { eventually, scenario, token } from './harness.mjs';

const MEGABYTE = 1024 * 1024;
const subscriptions = ['files'];

/** Creates an attachment of that size from a stream, in the page, and a document that names it. */
function create(peer, megabytes, id) {
  return peer.page.evaluate(
    async ([megabytes, id]) => {
      let made = 0;
      const stream = new ReadableStream({
        pull(controller) {
          if (made === megabytes) return controller.close();
          const bytes = new Uint32Array(262144);
          for (let n = 0, state = made + 1; n < bytes.length; n++) bytes[n] = state = (Math.imul(state, 1664525) + 1013904223) | 0;
          made += 1;
          controller.enqueue(new Uint8Array(bytes.buffer));
        },
      });
      const attachment = await window.ditto.store.newAttachment(stream, { name: id });
      await window.ditto.store.execute('INSERT INTO files DOCUMENTS (:doc)', { doc: { _id: id, f: attachment } });
      return { id: attachment.id, len: attachment.len };
    },
    [megabytes, id],
  );
}

/** Starts a fetch of what a document names; `window.fetched` has its end, `window.progress` how far it is. */
function fetchNamed(peer, id) {
  return peer.page.evaluate(async (id) => {
    const { items } = await window.ditto.store.execute('SELECT f FROM files WHERE _id = :id', { id });
    window.progress = [];
    window.fetched = null;
    window.fetcher = window.ditto.store.fetchAttachment(items[0].value.f, (event) => {
      if (event.type === 'Progress') window.progress.push(Number(event.downloadedBytes));
    });
    window.fetcher.attachment.then((attachment) => (window.fetched = attachment));
  }, id);
}

const progress = (peer) => peer.page.evaluate(() => window.progress.at(-1) ?? 0);
const isFetched = (peer) => peer.page.evaluate(() => window.fetched !== null);

/** The bytes as the page reads them, hashed piece by piece: a sum that tells order and content. */
function checksum(peer) {
  return peer.page.evaluate(async () => {
    let sum = 0;
    let length = 0;
    for (const reader = window.fetched.stream().getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) return { sum, length };
      const words = new Uint32Array(value.buffer, value.byteOffset, value.length >> 2);
      for (let n = 0; n < words.length; n++) sum = (Math.imul(sum, 31) + words[n]) | 0;
      length += value.length;
    }
  });
}

/** What `create` makes. */
function expected(megabytes) {
  let sum = 0;
  for (let made = 0; made < megabytes; made++) {
    for (let n = 0, state = made + 1; n < 262144; n++) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      sum = (Math.imul(sum, 31) + (state >>> 0)) | 0;
    }
  }
  return { sum, length: megabytes * MEGABYTE };
}

const bytesSent = async (bigPeer) => Number(/^\S*sent_bytes_total(?:\{\S*\})? (\d+)/m.exec(await (await fetch(`http://127.0.0.1:${bigPeer.port}/metrics`)).text())[1]);

function download(bigPeer, id, headers = {}) {
  return fetch(`http://127.0.0.1:${bigPeer.port}/api/v4/attachments/${id}`, { headers: { authorization: `Bearer ${token}`, ...headers } });
}

async function heap(peer) {
  const session = await peer.page.context().newCDPSession(peer.page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  return usedSize;
}

scenario('100 MB go from a stream in one browser through the Big Peer into another, which is reloaded in the middle', async (stage) => {
  const megabytes = Number(process.env.SHOAL_ATTACHMENT_MB ?? 100);
  const bigPeer = await stage.bigPeer();
  const site = await stage.site();
  const a = await stage.peer(await stage.context(), site, { bigPeer, subscriptions });
  await a.inSync();
  const before = await heap(a);
  const started = performance.now();
  const { id, len } = await create(a, megabytes, 'large');
  const created = performance.now();
  assert.equal(len, megabytes * MEGABYTE);
  await eventually('the Big Peer has all of it', async () => (await download(bigPeer, id, { range: 'bytes=0-0' })).status, 206, 120_000);
  const pulled = performance.now();
  const grown = (await heap(a)) - before;
  assert.ok(grown < 20 * MEGABYTE, `the heap of the creating page grew by ${grown} bytes`);

  // Else the other browser fetches from this one as well, over WebRTC.
  await a.page.close();
  const b = await stage.peer(await stage.context(), site, { bigPeer, subscriptions });
  await b.eventually('SELECT _id FROM files', {}, [{ _id: 'large' }]);
  const sentBefore = await bytesSent(bigPeer);
  await fetchNamed(b, 'large');
  await eventually('a third of it is there', async () => (await progress(b)) > len / 3, true, 120_000);
  await b.page.reload();
  await b.open();
  await fetchNamed(b, 'large');
  await eventually('it goes on where it was', async () => (await progress(b)) > len / 3, true, 5_000);
  const fetchStarted = performance.now();
  await eventually('it is complete', () => isFetched(b), true, 120_000);
  const sent = (await bytesSent(bigPeer)) - sentBefore;
  assert.ok(sent > len && sent < len * 1.1, `${sent} bytes were sent of an attachment of ${len}: some of them twice`);
  assert.deepEqual(await checksum(b), expected(megabytes));
  assert.ok((await heap(b)) < 60 * MEGABYTE, 'the heap of the fetching page is bounded');
  stage.note(`created in ${created - started} ms, pulled ${pulled - created} ms later, the rest fetched in ${performance.now() - fetchStarted} ms; ${sent} bytes sent; heap grew ${grown}`);
  console.log(`# created in ${Math.round(created - started)} ms, at the Big Peer ${Math.round(pulled - created)} ms later; ${sent} bytes sent for ${len}; the heap grew by ${grown}`);
}, 300_000);

scenario('with the Big Peer killed an attachment goes from browser to browser over WebRTC', async (stage) => {
  const bigPeer = await stage.bigPeer();
  const site = await stage.site();
  const context = await stage.context();
  const a = await stage.peer(context, site, { bigPeer, subscriptions, directory: 'a' });
  const b = await stage.peer(context, site, { bigPeer, subscriptions, directory: 'b' });
  await a.linked();
  await b.linked();
  await bigPeer.kill();
  const { len } = await create(a, 4, 'small');
  await b.eventually('SELECT _id FROM files', {}, [{ _id: 'small' }]);
  await fetchNamed(b, 'small');
  await eventually('it is complete', () => isFetched(b));
  assert.deepEqual(await checksum(b), expected(4));
  assert.equal(await progress(b).then((bytes) => bytes <= len), true);
  // Who has fetched it hands it on.
  await bigPeer.start();
  await a.page.close();
  await b.inSync();
  const third = await stage.peer(await stage.context(), site, { bigPeer, subscriptions });
  await third.eventually('SELECT _id FROM files', {}, [{ _id: 'small' }]);
  await fetchNamed(third, 'small');
  await eventually('the third has it', () => isFetched(third));
  assert.deepEqual(await checksum(third), expected(4));
});

scenario('a tab without the links fetches through the one that has them, and a worker as the page does', async (stage) => {
  const bigPeer = await stage.bigPeer();
  const site = await stage.site();
  const a = await stage.peer(await stage.context(), site, { bigPeer, subscriptions, worker: true });
  await a.inSync();
  await create(a, 3, 'from-a-worker');
  const context = await stage.context();
  const holder = await stage.peer(context, site, { bigPeer, subscriptions });
  await holder.inSync();
  const other = await stage.peer(context, site, { bigPeer, subscriptions });
  await other.eventually('SELECT _id FROM files', {}, [{ _id: 'from-a-worker' }]);
  await fetchNamed(other, 'from-a-worker');
  await eventually('it is complete', () => isFetched(other));
  assert.deepEqual(await checksum(other), expected(3));
  await create(other, 1, 'of-a-tab');
  await a.eventually("SELECT _id FROM files WHERE _id = 'of-a-tab'", {}, [{ _id: 'of-a-tab' }]);
  await fetchNamed(a, 'of-a-tab');
  await eventually('what a tab without links has made is served by the one with them', () => isFetched(a));
  assert.deepEqual(await checksum(a), expected(1));
});

scenario('a chunk that is damaged in IndexedDB is found by verification and comes again from the Big Peer, in the page and in a worker', async (stage) => {
  const bigPeer = await stage.bigPeer();
  const site = await stage.site();
  for (const worker of [false, true]) {
    const peer = await stage.peer(await stage.context(), site, { bigPeer, subscriptions, worker });
    await peer.inSync();
    const { id, len } = await create(peer, 2, `damaged-${worker}`);
    await eventually('the Big Peer has all of it', async () => (await download(bigPeer, id, { range: 'bytes=0-0' })).status, 206, 30_000);
    await peer.page.evaluate(damageChunk, 3);
    const verify = () => peer.page.evaluate(() => window.ditto.storage.verify());
    const { ok, findings, counts } = await verify();
    assert.equal(ok, false);
    assert.deepEqual(findings.map(({ kind, name }) => [kind, name]), [['attachment', `chunk 3 of ${id}`]]);
    assert.equal(counts.attachmentBytes, len - 256 * 1024);
    await eventually('it is whole again, without being asked for', async () => (await verify()).counts.attachmentBytes, len);
    await fetchNamed(peer, `damaged-${worker}`);
    await eventually('it is here', () => isFetched(peer));
    assert.deepEqual(await checksum(peer), expected(2));
    await peer.page.close();
  }
});

/** Runs in the page: flips a bit of a chunk of the only attachment. */
async function damageChunk(part) {
  const { name } = (await indexedDB.databases())[0];
  const database = await new Promise((resolve, reject) => {
    const request = indexedDB.open(name);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const transaction = database.transaction('blob', 'readwrite');
  const blobs = transaction.objectStore('blob');
  const done = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
  const key = (await done(blobs.getAllKeys())).find((key) => new Uint8Array(key)[11] === part);
  const bytes = new Uint8Array(await done(blobs.get(key)));
  bytes[99] ^= 1;
  await done(blobs.put(bytes, key));
  database.close();
}

scenario('a write of one field is not held up by an attachment under way', async (stage) => {
  const bigPeer = await stage.bigPeer();
  const site = await stage.site();
  const a = await stage.peer(await stage.context(), site, { bigPeer, subscriptions });
  const b = await stage.peer(await stage.context(), site, { bigPeer, subscriptions });
  await a.inSync();
  await create(a, 60, 'large');
  await b.eventually('SELECT _id FROM files', {}, [{ _id: 'large' }]);
  await b.page.evaluate(() => {
    window.seen = [];
    window.ditto.store.registerObserver("SELECT at FROM files WHERE _id = 'clock'", ({ items }) => items[0] && window.seen.push(Date.now() - items[0].value.at));
  });
  await bigPeer.ask("INSERT INTO files DOCUMENTS ({'_id': 'clock', 'at': 0})");
  await eventually('the clock is there', () => b.page.evaluate(() => window.seen.length), 1);
  const median = async (count, goesOn) => {
    await b.page.evaluate(() => (window.seen = []));
    for (let n = 1; n <= count && (await goesOn()); n++) {
      await bigPeer.ask("UPDATE files SET at = :at WHERE _id = 'clock'", { at: Date.now() });
      await eventually('it is seen', () => b.page.evaluate(() => window.seen.length), n);
    }
    const seen = (await b.page.evaluate(() => window.seen)).sort((x, y) => x - y);
    return { median: seen[seen.length >> 1], seen };
  };
  const alone = await median(15, () => true);
  await fetchNamed(b, 'large');
  const beside = await median(30, async () => !(await isFetched(b)));
  console.log(`# one field, ms: ${alone.median} alone (${alone.seen}), ${beside.median} while an attachment is fetched (${beside.seen})`);
  await eventually('it is complete', () => isFetched(b), true, 120_000);
  assert.ok(beside.seen.length >= 3, `${beside.seen.length} changes were seen`);
  assert.ok(beside.median < alone.median + 100, `${beside.median} ms, and ${alone.median} ms without an attachment`);
}, 240_000);
