// PouchDB's replication in both directions, live, over HTTP.

import PouchDB from 'pouchdb-browser';
import { openDatabase, storeOf } from '../contestants/pouchdb.mjs';
import { room } from './access.mjs';

/** Documents a request: its default of 100 takes many more requests. */
const batch_size = 1000;

export async function open(name, port) {
  const database = await openDatabase(name);
  const remote = new PouchDB(`http://127.0.0.1:${port}/${room}`);
  const directions = ['pull', 'push'];
  const resting = new Set();
  let replication;
  let received = 0;
  const told = new EventTarget();
  const tell = () => told.dispatchEvent(new Event('change'));
  const until = (condition) =>
    new Promise((resolve) => {
      const check = () => condition() && resolve();
      told.addEventListener('change', check);
      check();
    });
  return {
    ...storeOf(database),
    sync() {
      replication = database.sync(remote, { live: true, retry: true, batch_size });
      for (const direction of directions) {
        replication[direction].on('active', () => resting.delete(direction));
        replication[direction].on('paused', (error) => {
          if (!error) resting.add(direction);
          tell();
        });
      }
      replication.on('error', (error) => console.error(error));
      // A batch is told when it is stored.
      replication.pull.on('change', ({ docs_written }) => {
        received = docs_written;
        tell();
      });
    },
    arrived: (count) => until(() => received >= count),
    durable: async () => undefined,
    inSync: () => until(() => directions.every((direction) => resting.has(direction))),
    async close() {
      replication?.cancel();
      await replication?.catch(() => undefined);
      await database.close();
    },
  };
}

/** By a replication within the browser, which keeps revisions. */
export async function copy(from, name) {
  const source = await openDatabase(from);
  const database = await openDatabase(name);
  await source.replicate.to(database, { batch_size });
  await database.close();
  await source.close();
}
