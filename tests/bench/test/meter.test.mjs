// The meter counts what is known to have passed.

import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { difference, Meter } from '../meter.mjs';
import { Wire } from '../wire.mjs';

const quietMs = 50;
const limitMs = 5000;

test('messages of a WebSocket are counted by their payload, whatever their length, and pings are not among them', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await new Promise((resolve) => server.once('listening', resolve));
  server.on('connection', (socket) => socket.on('message', () => socket.send(Buffer.alloc(7))));
  const meter = await Meter.before(server.address().port);
  const socket = new WebSocket(`ws://127.0.0.1:${meter.port}`);
  try {
    await new Promise((resolve) => socket.once('open', resolve));
    const before = meter.read();
    assert.equal(difference({ up: {}, down: {} }, before).carried, 0);
    assert.ok(before.up.upgrade > 100 && before.down.upgrade > 100);
    for (const bytes of [5, 126, 70_000]) socket.send(Buffer.alloc(bytes));
    socket.send(Buffer.alloc(3), { fin: false });
    socket.send(Buffer.alloc(4), { fin: true });
    socket.ping('alive');
    await meter.quiet(quietMs, limitMs);
    const after = meter.read();
    const { up, down, carried, wireDown } = difference(before, after);
    assert.deepEqual({ up, down, carried }, { up: 5 + 126 + 70_000 + 7, down: 4 * 7, carried: 70_166 });
    // Heads of frames: 2 and a mask of 4, and 2 or 8 for a longer length. The ping and its pong: 2 (and 4) and 5.
    assert.equal(after.up.frame, 6 + 8 + 14 + 6 + 6);
    assert.deepEqual([after.up.control, after.down.control], [11, 7]);
    assert.equal(wireDown, 4 * (7 + 2) + 7);
    assert.equal(meter.takeGreatestUp(), 70_000);
    assert.equal(meter.takeGreatestUp(), 0);
  } finally {
    socket.terminate();
    await meter.stop();
    server.close();
  }
});

test('HTTP is counted by heads and bodies, with a length or in chunks, and a preflight is apart', async () => {
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => {
      if (request.method === 'OPTIONS') response.writeHead(204).end();
      else if (request.method === 'GET') response.write('abc', () => response.end('defg'));
      else response.writeHead(200, { 'content-length': 5 }).end('hello');
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const meter = await Meter.before(server.address().port);
  const address = `http://127.0.0.1:${meter.port}/`;
  try {
    await (await fetch(address, { method: 'POST', body: 'x'.repeat(1000) })).text();
    await (await fetch(address, { method: 'OPTIONS' })).text();
    await (await fetch(address)).text();
    await meter.quiet(quietMs, limitMs);
    const { up, down } = meter.read();
    assert.deepEqual([up.body, down.body], [1000, 5 + 7]);
    assert.ok(up.preflight > 0 && down.preflight > 0 && up.head > 0 && down.head > 0);
    assert.equal(meter.takeGreatestUp(), 1000);
  } finally {
    await meter.stop();
    server.closeAllConnections();
    server.close();
  }
});

test('bytes may be cut anywhere', () => {
  const counts = (step) => {
    const found = {};
    const tell = { count: (kind, bytes) => (found[kind] = (found[kind] ?? 0) + bytes), ended: (kind) => (found[`${kind}s`] = (found[`${kind}s`] ?? 0) + 1) };
    const wire = new Wire({ up: true, methods: [] }, tell);
    const head = 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n';
    const upgrade = 'GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n';
    const all = Buffer.concat([Buffer.from(`${head}3\r\nabc\r\n0\r\n\r\n${upgrade}`), Buffer.from([0x82, 0x83, 1, 2, 3, 4, 5, 6, 7])]);
    for (let at = 0; at < all.length; at += step) wire.push(all.subarray(at, at + step));
    return found;
  };
  assert.deepEqual([1, 2, 3, 7].map(counts), Array(4).fill(counts(10_000)));
  assert.deepEqual([counts(1).bodys, counts(1).messages, counts(1).body, counts(1).message], [1, 1, 3, 3]);
});
