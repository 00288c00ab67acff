// Shoal with a Big Peer: one subscription to the whole collection.

import { Authenticator, Ditto, DittoConfig } from 'shoal';
import { openDitto, start, storeOf } from '../contestants/shoal.mjs';
import { database, token } from './access.mjs';

export { start };

export async function open(name, port) {
  const ditto = await Ditto.open(new DittoConfig(database, { mode: 'server', url: `ws://127.0.0.1:${port}` }, name));
  await ditto.auth.setExpirationHandler(async (expiring) => {
    const { error } = await expiring.auth.login(token, Authenticator.DEVELOPMENT_PROVIDER);
    if (error) throw error;
  });
  const { store, sync } = ditto;
  return {
    ...storeOf(ditto),
    sync() {
      sync.registerSubscription('SELECT * FROM documents');
      sync.start();
    },
    arrived: (count) =>
      new Promise((resolve) => {
        const observer = store.registerObserver('SELECT COUNT(*) AS n FROM documents', ({ items }) => {
          if (items[0].value.n < count) return;
          observer.cancel();
          resolve();
        });
      }),
    /** A write is in the log behind everything that came before it. */
    durable: () => store.execute("INSERT INTO barriers DOCUMENTS ({ '_id': '1' }) ON ID CONFLICT DO NOTHING"),
    inSync: () =>
      new Promise((resolve) => {
        const observer = sync.observeStatus(({ bigPeer, pendingCommits, catchingUp }) => {
          if (bigPeer !== 'live' || pendingCommits > 0 || catchingUp > 0) return;
          observer.stop();
          resolve();
        });
      }),
  };
}

/** By way of a file; the copy is a store of its own, without cursors. */
export async function copy(from, name) {
  const source = await openDitto(from, {});
  const file = await source.storage.export();
  await source.close();
  const ditto = await openDitto(name, {});
  await ditto.storage.import(file);
  await ditto.close();
}
