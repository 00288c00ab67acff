// RxDB with its open WebSocket replication, on its free storage, which is Dexie.

import { replicateWithWebsocketServer } from 'rxdb/plugins/replication-websocket';
import { openDatabase, storeOf } from '../contestants/rxdb.mjs';

/** As many documents a message as the server's storage is quick with; RxDB's own default is 100 a message. */
const batchSize = 1000;
const copied = 10_000;

export async function open(name, port) {
  const { database, collection } = await openDatabase(name);
  let replication;
  return {
    ...storeOf({ database, collection }),
    async sync() {
      const options = { collection, url: `ws://127.0.0.1:${port}`, replicationIdentifier: 'bench', live: true, batchSize };
      replication = await replicateWithWebsocketServer(options);
      replication.error$.subscribe((error) => console.error(error));
    },
    /** The first replication ends when everything is written to the storage. */
    async arrived(count) {
      await replication.awaitInitialReplication();
      const found = await collection.count().exec();
      if (found !== count) throw new Error(`${found} documents came instead of ${count}`);
    },
    durable: async () => undefined,
    async inSync() {
      await replication.awaitInitialReplication();
      await replication.awaitInSync();
    },
    close: () => database.close(),
  };
}

/** As documents, which is what its export holds. */
export async function copy(from, name) {
  const source = await openDatabase(from);
  const documents = (await source.collection.find().exec()).map((document) => document.toJSON());
  await source.database.close();
  const { database, collection } = await openDatabase(name);
  for (let first = 0; first < documents.length; first += copied) await collection.bulkInsert(documents.slice(first, first + copied));
  await database.close();
}
