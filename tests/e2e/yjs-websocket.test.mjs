// The stock y-websocket provider of npm against a Big Peer.

import assert from 'node:assert/strict';
import { WebSocket } from 'ws';
import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';
import { eventually, scenario, token } from './harness.mjs';

const protocolsOf = (secret) => ['shoal-yjs', `token.${Buffer.from(secret).toString('base64url')}`];
const body = 'SELECT body FROM notes ORDER BY _id';

/** A provider bound to a field; `address` is what follows the database. */
function provide(stage, bigPeer, address, { user, secret = token, params } = {}) {
  const doc = new Y.Doc();
  const options = { WebSocketPolyfill: WebSocket, protocols: protocolsOf(secret), params, disableBc: true, maxBackoffTime: 200 };
  const provider = new WebsocketProvider(`${bigPeer.url}/yjs/e2e`, address, doc, options);
  if (user) provider.awareness.setLocalStateField('user', user);
  stage.defer(async () => {
    provider.destroy();
    provider.awareness.destroy();
  });
  return { doc, provider, users: () => usersOf(provider), get text() { return doc.getText('default'); } };
}

const usersOf = ({ awareness }) => [...awareness.getStates().values()].map(({ user }) => user).filter(Boolean).sort();

scenario('y-websocket clients edit a field, see each other, and come back after a loss', async (stage) => {
  const bigPeer = await stage.bigPeer();
  const [a, b] = ['ann', 'bob'].map((user) => provide(stage, bigPeer, 'notes/n1/body', { user }));
  for (const { provider } of [a, b]) await eventually('synced', () => provider.synced);
  assert.deepEqual(await bigPeer.rows(body), [], 'coming makes no document');

  a.text.insert(0, 'from ann.');
  b.text.insert(0, 'from bob.');
  await eventually('one text', () => a.text.length === 18 && a.text.toString() === b.text.toString());
  await eventually('it is stored', () => bigPeer.rows(body), [{ body: a.text.toString() }]);
  for (const { users } of [a, b]) await eventually('they see each other', users, ['ann', 'bob']);

  a.provider.disconnect();
  await eventually('ann has left', b.users, ['bob']);
  a.text.insert(0, 'offline ');
  b.text.delete(0, 4);
  await bigPeer.ask("UPDATE COLLECTION notes (body TEXT) APPLY body SPLICE (0, 0, 'from the server: ')");
  a.provider.connect();
  await eventually('one text again', () => a.text.toString() === b.text.toString() && a.text.toString().includes('offline ') && a.text.toString().includes('from the server: '));
  await eventually('it is stored', () => bigPeer.rows(body), [{ body: a.text.toString() }]);
  await eventually('ann is back', b.users, ['ann', 'bob']);
});

scenario('y-websocket clients and an application with Shoal edit one field', async (stage) => {
  const bigPeer = await stage.bigPeer();
  const { openEditor } = await import('./editor-page.mjs');
  const peer = await stage.peer(await stage.context(), await stage.site(), { bigPeer, subscriptions: ['notes'] });
  await peer.inSync();
  const editor = await openEditor(peer, { collection: 'notes', id: 'n1', path: 'body', user: 'shoal' });
  const client = provide(stage, bigPeer, 'notes/n1/body', { user: { name: 'yjs' } });
  await eventually('synced', () => client.provider.synced);
  await editor.type('start', 'typed in a browser');
  await eventually('it arrives', () => client.text.toString(), 'typed in a browser');
  client.text.insert(0, 'and ');
  await eventually('and the other way', () => editor.shown(), 'and typed in a browser');
  await eventually('the browser sees the client', () => editor.users(), ['shoal', 'yjs']);
  await eventually('the client sees the browser', () => usersOf(client.provider).map(({ name }) => name).sort(), ['shoal', 'yjs']);
});

scenario('y-websocket binds lists, XML, fields below and ids that are no strings', async (stage) => {
  const bigPeer = await stage.bigPeer();
  const list = provide(stage, bigPeer, 'notes/7/deep/list', { params: { kind: 'list', id: 'json' } });
  const xml = provide(stage, bigPeer, 'notes/n%202/x', { params: { kind: 'xml' } });
  for (const { provider } of [list, xml]) await eventually('synced', () => provider.synced);
  list.doc.getArray('default').insert(0, [1, { a: 'b' }]);
  xml.doc.getXmlFragment('default').insert(0, [new Y.XmlElement('p')]);
  await eventually('they are stored', () => bigPeer.rows('SELECT * FROM notes ORDER BY _id'), [
    { _id: 7, deep: { list: [1, { a: 'b' }] } },
    { _id: 'n 2', x: '<p></p>' },
  ]);
});

scenario('a Yjs client without the token, of a field that is gone, or that talks nonsense is refused', async (stage) => {
  const bigPeer = await stage.bigPeer();
  const address = `${bigPeer.url}/yjs/e2e/notes/n1/body`;
  const status = (url, protocols, headers) => new Promise((resolve) => {
    const socket = new WebSocket(url, protocols, { headers });
    socket.once('unexpected-response', (_, response) => resolve(response.statusCode));
    socket.once('open', () => {
      resolve(socket.protocol || 'open');
      socket.terminate();
    });
    socket.once('error', () => undefined);
  });
  assert.equal(await status(address, []), 401);
  assert.equal(await status(address, protocolsOf('wrong')), 401);
  assert.equal(await status(address, protocolsOf('')), 401);
  assert.equal(await status(`${address}?token=${token}`, []), 401);
  assert.equal(await status(address, [], { authorization: `Bearer ${token}` }), 'open');
  assert.equal(await status(address, protocolsOf(token)), 'shoal-yjs');
  assert.notEqual(await status(`${bigPeer.url}/yjs/nowhere/notes/n1/body`, protocolsOf(token)), 'shoal-yjs');
  assert.notEqual(await status(`${bigPeer.url}/yjs/e2e/notes/n1/_id`, protocolsOf(token)), 'shoal-yjs');
  assert.equal(await status(`${bigPeer.url}/yjs/nowhere/notes/n1/body`, protocolsOf('wrong')), 401);

  for (const nonsense of [[0, 2, 9, 1], [0, 2, 3, 1, 1, 7], [0, 0, 5, 9], [255]]) {
    const socket = new WebSocket(address, protocolsOf(token));
    const code = new Promise((resolve) => socket.once('close', resolve));
    socket.once('open', () => socket.send(new Uint8Array(nonsense)));
    assert.equal(await code, 1008, String(nonsense));
  }

  const client = provide(stage, bigPeer, 'notes/n1/body');
  await eventually('synced', () => client.provider.synced);
  client.text.insert(0, 'gone soon');
  await eventually('it is stored', () => bigPeer.rows(body), [{ body: 'gone soon' }]);
  const closed = new Promise((resolve) => client.provider.once('connection-close', (event) => resolve(event.reason)));
  client.provider.shouldConnect = false;
  await bigPeer.ask('DELETE FROM notes');
  assert.equal(String(await closed), 'store/crdt');
});
