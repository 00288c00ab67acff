// Yjs with y-websocket and y-indexeddb: one Y.Doc with a Y.Map a document.

import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';
import { openDatabase, storeOf, stored } from '../contestants/yjs.mjs';
import { room } from './access.mjs';

export async function open(name, port) {
  const { root, persistence } = await openDatabase(name);
  const map = root.getMap('documents');
  const provider = new WebsocketProvider(`ws://127.0.0.1:${port}`, room, root, { connect: false, disableBc: true });
  return {
    ...storeOf({ root, persistence }),
    sync: () => provider.connect(),
    arrived: (count) => until(() => map.size >= count, (check) => root.on('update', check)),
    durable: () => stored(persistence.db),
    inSync: () => until(() => provider.synced, (check) => provider.on('sync', check)),
    observe(id, seen) {
      const tell = () => seen(map.get(id)?.toJSON());
      map.get(id).observe(tell);
      return () => map.get(id).unobserve(tell);
    },
    async close() {
      provider.destroy();
      await persistence.destroy();
    },
  };
}

/** Resolves when the condition holds, looked at now and whenever it may have changed. */
function until(condition, changes) {
  return new Promise((resolve) => {
    const check = () => condition() && resolve();
    changes(check);
    check();
  });
}

/** As one update, the file format of Yjs. */
export async function copy(from, name) {
  const source = await openDatabase(from);
  const update = Y.encodeStateAsUpdate(source.root);
  await source.persistence.destroy();
  const { root, persistence } = await openDatabase(name);
  Y.applyUpdate(root, update);
  await stored(persistence.db);
  await persistence.destroy();
}
