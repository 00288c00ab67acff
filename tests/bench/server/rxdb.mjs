// The server of RxDB: its own open WebSocket replication server over a database in memory, since its free storages for Node keep nothing.

import { createRxDatabase } from 'rxdb/plugins/core';
import { startWebsocketServer } from 'rxdb/plugins/replication-websocket';
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory';
import { schema } from '../page/contestants/rxdb-schema.mjs';

export async function start() {
  const database = await createRxDatabase({ name: 'server', storage: getRxStorageMemory(), multiInstance: false, eventReduce: true });
  const { documents: collection } = await database.addCollections({ documents: { schema } });
  const { server } = startWebsocketServer({ database, port: 0, host: '127.0.0.1' });
  if (server.address() === null) await new Promise((resolve) => server.once('listening', resolve));
  return {
    port: server.address().port,
    async load(documents) {
      const { error } = await collection.bulkInsert(documents);
      if (error.length > 0) throw new Error(`${error.length} documents were not inserted`);
    },
    async change(ids, value) {
      for (const id of ids) await (await collection.findOne(id).exec()).incrementalPatch({ quantity: value });
    },
  };
}
