import assert from 'node:assert/strict';
import { clockTick, eventually, scenario } from './harness.mjs';
import { takesOver } from './take-over.mjs';

const worker = true;
const ids = 'SELECT _id FROM movies ORDER BY _id';

scenario('with worker: true the engine runs in a worker, and the API answers as in the page', async (stage) => {
  const site = await stage.site();
  const answers = [];
  for (const where of [false, true]) {
    const peer = await stage.peer(await stage.context(), site, { worker: where, start: false });
    assert.equal(peer.page.workers().length, where ? 1 : 0);
    answers.push(await peer.page.evaluate(useEverything));
    await peer.page.evaluate(() => window.ditto.close());
    await eventually('the worker has ended', () => peer.page.workers().length, 0);
    assert.equal((await peer.mistake('SELECT * FROM movies')).code, 'store/closed');
  }
  assert.deepEqual(answers[1], answers[0]);
  assert.equal(answers[1].mode, 'indexeddb');
});

scenario('openSync in a worker queues what is asked, and close waits for what was written', async (stage) => {
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { worker, start: false, directory: 'other' });
  const answers = await peer.page.evaluate(async () => {
    const { Ditto, DittoConfig } = window.shoal;
    const config = new DittoConfig('e2e', { mode: 'smallPeersOnly' }, 'replica');
    const ditto = Ditto.openSync(config, { worker: true });
    const seen = new Promise((resolve) => ditto.store.registerObserver('SELECT _id FROM a', ({ items }) => items.length === 1 && resolve(items[0].value)));
    const insert = ditto.store.execute("INSERT INTO a DOCUMENTS ({'_id': '1'})");
    const observed = await seen;
    await insert;
    const last = ditto.store.execute("INSERT INTO a DOCUMENTS ({'_id': '2'})");
    const closed = ditto.close();
    const again = await Ditto.open(config, { worker: true });
    const answers = [observed, (await last).mutatedDocumentIDsV2(), (await again.store.execute('SELECT _id FROM a ORDER BY _id')).items.map((item) => item.value)];
    await closed;
    await again.close();
    await Ditto.openSync(config, { worker: true }).close();
    return answers;
  });
  assert.deepEqual(answers, [{ _id: '1' }, ['2'], [{ _id: '1' }, { _id: '2' }]]);
  await eventually('their workers have ended', () => peer.page.workers().length, 1);
});

scenario('what is wrong with a live query is thrown in the page and told by a worker, and the database goes on', async (stage) => {
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { worker, start: false });
  const told = await peer.page.evaluate(async () => {
    const lines = [];
    await window.shoal.Logger.setCustomLogCallback((level, message) => lines.push(`${level} ${message}`));
    window.ditto.store.registerObserver('SELEC * FROM movies', () => lines.push('called'));
    window.ditto.sync.registerSubscription('DELETE FROM movies');
    await window.ditto.store.execute('SELECT * FROM movies');
    return lines;
  });
  assert.equal(told.length, 2);
  assert.match(told[0], /^Error query\/invalid: /);
  assert.match(told[1], /^Error query\//);
});

scenario('worker tabs log in, sync with a Big Peer, and the next one takes over the link', (stage) => takesOver(stage, { worker }));

scenario('a worker without IndexedDB means a memory store that says so', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  const blocked = "Object.defineProperty(self, 'indexedDB', { get() { throw new DOMException('Storage is blocked in this test.', 'SecurityError'); } });\n";
  await context.route('**/worker.js', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: blocked + (await response.text()) });
  });
  const peer = await stage.peer(context, site, { worker, start: false });
  const { mode, reason } = await peer.page.evaluate(() => ({ mode: window.ditto.storage.mode, reason: window.ditto.storage.reason }));
  assert.equal(mode, 'memory');
  assert.ok(reason, 'with a reason');
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  assert.equal(await peer.count(), 1);
});

scenario('a worker learns from its page when it is hidden or shown, and asks it to keep the data', async (stage) => {
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { worker, start: false });
  const [thread] = peer.page.workers();
  const heard = thread.evaluate(() => new Promise((resolve) => {
    const told = [];
    const hear = (event) => told.push(`${event.type} ${document.hidden}`) === 3 && resolve(told);
    document.addEventListener('visibilitychange', hear);
    for (const type of ['pagehide', 'pageshow']) self.addEventListener(type, hear);
  }));
  await thread.evaluate(() => undefined);
  await peer.page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { value: true, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
    window.dispatchEvent(new PageTransitionEvent('pagehide'));
    delete document.hidden;
    window.dispatchEvent(new PageTransitionEvent('pageshow'));
  });
  assert.deepEqual(await heard, ['visibilitychange true', 'pagehide true', 'pageshow false']);
  assert.equal(await thread.evaluate(() => navigator.storage.persist()), await peer.page.evaluate(() => navigator.storage.persist()));
});

scenario('a statement with very many documents is sent in slices, and later statements stay behind it', async (stage) => {
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { worker, start: false });
  const answer = await peer.page.evaluate(async () => {
    const { store } = window.ditto;
    const given = Array.from({ length: 20_000 }, (_, number) => ({ _id: number, text: `text ${number}`.repeat(20), nested: { list: [number, null, 1.5] } }));
    const [inserted, updated, refused] = await Promise.all([
      store.execute('INSERT INTO a DOCUMENTS (:given)', { given, nothing: undefined }),
      store.execute('UPDATE a SET late = true WHERE _id >= 19999'),
      store.execute('INSERT INTO a DOCUMENTS (:given)', { given: [...Array(40).fill({ _id: 1 }), { _id: 2, bad: NaN }] }).catch((error) => error.code),
    ]);
    const last = await store.execute('SELECT * FROM a WHERE _id = 19999');
    const [{ value }] = last.items;
    return { inserted: inserted.mutatedDocumentIDsV2().length, updated: updated.mutatedDocumentIDsV2(), refused, late: value.late, nested: value.nested, text: value.text.length };
  });
  assert.deepEqual(answer, { inserted: 20_000, updated: [19_999], refused: 'query/arguments-invalid', late: true, nested: { list: [19_999, null, 1.5] }, text: 200 });
});

scenario('a wrong token is a typed error in worker mode too', async (stage) => {
  const bigPeer = await stage.bigPeer();
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { bigPeer, worker, token: 'wrong' });
  await eventually('login reports the refusal', () => peer.page.evaluate(() => window.logins[0]), 'authentication/failed-to-authenticate');
});

scenario('an engine in a worker and one in a page link over WebRTC, and large documents pass its queue', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  const first = await stage.peer(context, site, { directory: 'first', worker });
  const second = await stage.peer(context, site, { directory: 'second' });
  await first.linked();
  await second.linked();
  for (const peer of [first, second]) {
    await eventually('presence shows the other', () => peer.page.evaluate(() => window.ditto.presence.graph.remotePeers.length), 1);
  }
  const text = 'x'.repeat(1_000_000);
  for (const number of [1, 2, 3, 4]) {
    await first.rows('INSERT INTO movies DOCUMENTS (:doc)', { doc: { _id: `${number}`, text } });
  }
  await second.eventually('SELECT _id FROM movies WHERE text = :text ORDER BY _id', { text }, ['1', '2', '3', '4'].map((_id) => ({ _id })));
  await clockTick();
  await second.rows("UPDATE movies SET text = 'short' WHERE _id = '1'");
  await first.eventually("SELECT text FROM movies WHERE _id = '1'", {}, [{ text: 'short' }]);
  await second.page.evaluate(() => window.ditto.close());
  await eventually('the link is gone', async () => (await first.status()).links.length, 0);
});

scenario('a data channel of a worker counts what waits, tells when it is low, and loses nothing', async (stage) => {
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { worker, start: false });
  const [thread] = peer.page.workers();
  const { most, low, received, after } = await thread.evaluate(async () => {
    const ends = [1, 2].map(() => {
      const connection = new RTCPeerConnection({ iceServers: [] });
      const channel = connection.createDataChannel('test', { negotiated: true, id: 0 });
      channel.bufferedAmountLowThreshold = 256 * 1024;
      return { connection, channel, open: new Promise((resolve) => channel.addEventListener('open', resolve)) };
    });
    const [from, to] = ends;
    const known = [];
    for (const [own, other] of [[from, to], [to, from]]) {
      own.connection.addEventListener('icecandidate', ({ candidate }) => candidate && known.push(() => other.connection.addIceCandidate(candidate)));
    }
    const offer = await from.connection.createOffer();
    await from.connection.setLocalDescription({ type: 'offer', sdp: offer.sdp });
    await to.connection.setRemoteDescription({ type: 'offer', sdp: offer.sdp });
    const answer = await to.connection.createAnswer();
    await to.connection.setLocalDescription({ type: 'answer', sdp: answer.sdp });
    await from.connection.setRemoteDescription({ type: 'answer', sdp: answer.sdp });
    const add = setInterval(() => known.splice(0).forEach((candidate) => candidate()), 10);
    await Promise.all(ends.map(({ open }) => open));
    clearInterval(add);
    let received = 0;
    const all = new Promise((resolve) => to.channel.addEventListener('message', ({ data }) => (received += data.byteLength) === 4 << 20 && resolve()));
    const low = new Promise((resolve) => from.channel.addEventListener('bufferedamountlow', () => resolve(from.channel.bufferedAmount)));
    for (let sent = 0; sent < 4 << 20; sent += 64 << 10) from.channel.send(new Uint8Array(64 << 10));
    const most = from.channel.bufferedAmount;
    const answers = { most, low: await low };
    await all;
    const closed = new Promise((resolve) => to.channel.addEventListener('close', resolve));
    from.channel.close();
    await closed;
    return { ...answers, received, after: to.channel.readyState };
  });
  assert.deepEqual({ most, received, after }, { most: 4 << 20, received: 4 << 20, after: 'closed' });
  assert.ok(low <= 256 * 1024, `${low} bytes`);
});

scenario('a killed renderer keeps every write that a worker acknowledged', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  const victim = await stage.peer(context, site, { worker, start: false });
  const acknowledged = [];
  await victim.page.exposeFunction('acknowledged', (number) => acknowledged.push(number));
  await victim.page.evaluate(() => {
    void (async () => {
      for (let number = 0; ; number += 1) {
        await window.ditto.store.execute('INSERT INTO movies DOCUMENTS (:doc)', { doc: { _id: `n${number}`, number } });
        window.acknowledged(number);
      }
    })();
  });
  await eventually('many were acknowledged', () => acknowledged.length > 200);
  const devtools = await context.newCDPSession(victim.page);
  const crashed = new Promise((resolve) => victim.page.once('crash', resolve));
  void devtools.send('Page.crash').catch(() => undefined);
  await crashed;
  const survivor = await stage.peer(context, site, { worker, start: false });
  const kept = new Set((await survivor.rows('SELECT number FROM movies')).map((row) => row.number));
  assert.deepEqual(acknowledged.filter((number) => !kept.has(number)), []);
});

scenario('an engine that breaks down in its worker rejects what waits and what comes, and the database opens again', async (stage) => {
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { worker, start: false });
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  const waiting = peer.page.evaluate(async () => {
    // A transaction that is open keeps the pipeline, so the statement waits.
    await new Promise((opened) => {
      void window.ditto.store.transaction(async () => {
        opened();
        await new Promise(() => undefined);
      });
    });
    const statement = window.ditto.store.execute("INSERT INTO movies DOCUMENTS ({'_id': '2'})");
    window.isWaiting = true;
    return await statement.then(() => 'written', (error) => error.code);
  });
  await peer.page.waitForFunction(() => window.isWaiting);
  const [thread] = peer.page.workers();
  // A module of one function that is `unreachable`: what a panic of the engine looks like from outside.
  await thread.evaluate(() => {
    const bytes = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 5, 1, 3, 0, 0, 11];
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(bytes)));
    setTimeout(() => exports.f(), 0);
  });
  assert.equal(await waiting, 'internal');
  const later = await peer.mistake('SELECT * FROM movies');
  assert.equal(later.code, 'internal');
  assert.match(later.message, /worker broke down: RuntimeError/);
  await eventually('the worker has ended', () => peer.page.workers().length, 0);
  await peer.page.evaluate(() => window.ditto.close());
  await peer.open();
  assert.deepEqual(await peer.rows(ids), [{ _id: '1' }]);
});

scenario('a worker that cannot start is a typed error that says what to do', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  const missing = await stage.page(context, `${site.address}/e2e/test.html`);
  await missing.waitForFunction(() => window.shoal !== undefined);
  const answer = await missing.evaluate(openInWorker, 'nowhere.js');
  assert.equal(answer.code, 'io/operation-failed');
  assert.match(answer.message, /worker\.js beside the bundle.*workerAddress.*worker-src/);

  const forbidden = await stage.page(context);
  await forbidden.route('**/test.html', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, headers: { ...response.headers(), 'content-security-policy': "worker-src 'none'" } });
  });
  await forbidden.goto(`${site.address}/e2e/test.html`);
  await forbidden.waitForFunction(() => window.shoal !== undefined);
  assert.equal((await forbidden.evaluate(openInWorker, null)).code, 'io/operation-failed');
});

async function openInWorker(workerAddress) {
  const { init, Ditto, DittoConfig } = window.shoal;
  await init({ webAssemblyModule: window.wasmAddress, ...(workerAddress ? { workerAddress: new URL(workerAddress, location.href) } : {}) });
  try {
    await Ditto.open(new DittoConfig('e2e', { mode: 'smallPeersOnly' }), { worker: true });
    return null;
  } catch (error) {
    return { code: error.code, message: error.message };
  }
}

/** Runs in the page: a bit of everything that crosses the border, as plain data. */
async function useEverything() {
  const { ditto } = window;
  const { store } = ditto;
  const mistake = async (work) => {
    try {
      await work();
      return null;
    } catch (error) {
      return { isDittoError: error instanceof window.shoal.DittoError, code: error.code, message: error.message };
    }
  };
  const doc = { _id: '1', int: 7, big: 2n ** 60n, float: 1.5, text: 'żółw', bytes: new Uint8Array([1, 2]), list: [1, [null]], map: { deep: true } };
  const seen = [];
  const answered = (count) => new Promise((resolve) => {
    const wait = () => (seen.length >= count ? resolve() : requestAnimationFrame(wait));
    wait();
  });
  const observer = store.registerObserver('SELECT int FROM a WHERE int > :least', (result) => seen.push(result.items.map((item) => item.value.int)), { least: 6 });
  await answered(1);
  const inserted = await store.execute('INSERT INTO a DOCUMENTS (:doc)', { doc });
  await answered(2);
  observer.cancel();
  const selected = await store.execute('SELECT * FROM a');
  const [item] = selected.items;
  const lazy = item.isMaterialized;
  const transaction = await store.transaction(async (scope) => {
    await scope.execute("UPDATE a SET int = 8 WHERE _id = '1'");
    return (await scope.execute('SELECT int FROM a')).items[0].value.int;
  });
  await store.transaction(async (scope) => {
    await scope.execute('DELETE FROM a');
    return 'rollback';
  });
  const strict = await store.execute("INSERT INTO a DOCUMENTS ({'_id': '2'})", {}, { durability: 'strict' });
  const graph = ditto.presence.graph;
  await ditto.presence.setPeerMetadata({ role: 'till' });
  return {
    seen,
    mutated: inserted.mutatedDocumentIDsV2(),
    commits: [typeof inserted.commitID, selected.commitID, typeof strict.commitID],
    lazy,
    json: item.jsonString(),
    cbor: [...item.cborData()],
    transaction,
    after: (await store.execute('SELECT _id, int FROM a ORDER BY _id')).items.map((row) => row.value),
    mistakes: [
      await mistake(() => store.execute('SELECT * FROM')),
      await mistake(() => store.execute('SELECT * FROM a WHERE int = :none')),
      await mistake(() => store.execute('SELECT * FROM a', { no: NaN })),
      await mistake(() => store.execute("INSERT INTO a DOCUMENTS ({'_id': '1'})")),
      await mistake(() => store.transaction((scope) => scope.execute("INSERT INTO a DOCUMENTS ({'_id': '3'})"), { isReadOnly: true })),
    ],
    mode: ditto.storage.mode,
    usage: Object.entries(await ditto.storage.usage()).map(([name, value]) => [name, typeof value]),
    peerKey: typeof graph.localPeer.peerKey,
    status: { ...ditto.sync.status, links: ditto.sync.status.links.length },
  };
}
