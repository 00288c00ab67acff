import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import { eventually, scenario } from './harness.mjs';

scenario('a wrong token is a typed error and a state, and data stays usable', async (stage) => {
  const bigPeer = await stage.bigPeer();
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { bigPeer, token: 'wrong' });
  await eventually('login reports the refusal', () => peer.page.evaluate(() => window.logins[0]), 'authentication/failed-to-authenticate');
  await eventually('the state tells', async () => (await peer.status()).bigPeer, 'authentication-required');
  assert.equal((await peer.status()).authenticated, false);
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  assert.equal(await peer.count(), 1);
});

scenario('a Big Peer that is down is a state with a reason, and the link comes when it is up', async (stage) => {
  const bigPeer = await stage.bigPeer();
  await bigPeer.kill();
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { bigPeer });
  await eventually('the state tells', async () => (await peer.status()).bigPeer, 'backing-off');
  assert.ok((await peer.status()).reason, 'with a reason');
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  await bigPeer.start();
  await eventually('the write arrives', () => bigPeer.rows('SELECT * FROM movies'), [{ _id: '1' }], 60_000);
  await peer.inSync();
});

scenario('a Big Peer of another protocol version is a state with that reason', async (stage) => {
  const strange = await rejectingServer(stage, 'sync/version', 'speaks version 99');
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { bigPeer: strange });
  await eventually('the state tells', async () => {
    const { bigPeer, reason } = await peer.status();
    return { bigPeer, reason };
  }, { bigPeer: 'backing-off', reason: 'sync/version' });
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  assert.equal(await peer.count(), 1);
});

scenario('a blocked IndexedDB means a memory store that says so', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  await context.addInitScript(() => {
    const refuse = () => {
      throw new DOMException('Storage is blocked in this test.', 'SecurityError');
    };
    Object.defineProperty(window, 'indexedDB', { get: refuse, configurable: true });
  });
  // What is blocked is the page's; worker.test.mjs blocks a worker's.
  const peer = await stage.peer(context, site, { start: false, worker: false });
  assert.equal(await peer.page.evaluate(() => window.ditto.storage.mode), 'memory');
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  assert.equal(await peer.count(), 1);
});

scenario('a full disk is a typed error, and nothing is shown that was not saved', async (stage) => {
  const site = await stage.site();
  // Chromium bounds the quota only of a profile on disk, and remembers the room it has found: so it is small from the start. Random text, since it compresses.
  const { context } = await stage.killableBrowser(await stage.folder());
  const page = await stage.page(context, `${site.address}/e2e/test.html`);
  const devtools = await context.newCDPSession(page);
  await devtools.send('Storage.overrideQuotaForOrigin', { origin: site.address, quotaSize: 2_000_000 });
  const peer = await stage.peer(context, site, { start: false });
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': 'before'})");
  const doc = { _id: 'too-much', text: randomBytes(3_000_000).toString('base64') };
  const mistake = await peer.mistake('INSERT INTO movies DOCUMENTS (:doc)', { doc });
  assert.equal(mistake?.isDittoError, true, 'the write is refused');
  assert.equal(mistake.code, 'store/quota-exceeded');
  assert.deepEqual(await peer.rows('SELECT _id FROM movies'), [{ _id: 'before' }]);
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': 'after'})");
  await peer.reload();
  assert.deepEqual(await peer.rows('SELECT _id FROM movies ORDER BY _id'), [{ _id: 'after' }, { _id: 'before' }]);
});

/** A server that accepts every WebSocket and answers with one REJECT (`docs/wire.md`), as a Big Peer of another version does. */
async function rejectingServer(stage, code, detail) {
  const text = (value) => [Buffer.from([value.length]), Buffer.from(value)];
  const frame = Buffer.concat([Buffer.from([0, 3]), ...text(code), ...text(detail)]);
  const server = http.createServer();
  server.on('upgrade', (request, socket) => {
    const key = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${key}`];
    const [protocol] = (request.headers['sec-websocket-protocol'] ?? '').split(',');
    if (protocol) head.push(`Sec-WebSocket-Protocol: ${protocol}`);
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    socket.write(Buffer.concat([Buffer.from([0x82, frame.length]), frame]));
    socket.on('error', () => socket.destroy());
    stage.defer(() => socket.destroy());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  stage.defer(() => server.close());
  return { url: `ws://127.0.0.1:${server.address().port}` };
}
