// The server of Yjs: `@y/websocket-server` with one Y.Doc. Updates go to LevelDB by y-leveldb, as that server does it, without anybody waiting
// for them; but the document stays loaded when nobody is connected, so that a reconnect does not pay for reading it.

import { getYDoc, setupWSConnection } from '@y/websocket-server/utils';
import { WebSocketServer } from 'ws';
import { LeveldbPersistence } from 'y-leveldb';
import * as Y from 'yjs';
import { room } from '../page/sync/access.mjs';

export async function start(folder) {
  const kept = new LeveldbPersistence(folder);
  const root = getYDoc(room);
  root.on('update', (update) => void kept.storeUpdate(room, update));
  const map = root.getMap('documents');
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  server.on('connection', (socket, request) => setupWSConnection(socket, request, { docName: room }));
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    port: server.address().port,
    load: async (documents) => root.transact(() => documents.forEach((document) => map.set(document._id, new Y.Map(Object.entries(document))))),
    async change(ids, value) {
      for (const id of ids) map.get(id).set('quantity', value);
    },
  };
}
