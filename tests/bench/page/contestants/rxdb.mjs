// RxDB on its free storage, which is Dexie: `bulkInsert` for many documents, queries by selector, `multiInstance` (its default) so that
// tabs hear of each other, `eventReduce` as its documentation advises. Without the development mode, which is slow by design.

import { createRxDatabase } from 'rxdb/plugins/core';
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie';
import { schema } from './rxdb-schema.mjs';

/** Opens a database with changes to the schema, for an index. */
export async function openDatabase(name, change = {}) {
  const database = await createRxDatabase({ name, storage: getRxStorageDexie(), multiInstance: true, eventReduce: true });
  const { documents: collection } = await database.addCollections({ documents: { schema: { ...schema, ...change } } });
  return { database, collection };
}

/** The fields of the schema by name. */
export const { properties } = schema;

export async function open(name) {
  return storeOf(await openDatabase(name));
}

/** The operations of every contestant, over an open database. */
export function storeOf({ database, collection }) {
  return {
    async bulk(documents) {
      const { error } = await collection.bulkInsert(documents);
      if (error.length > 0) throw new Error(`${error.length} documents were not inserted: ${JSON.stringify(error[0])}`);
    },
    insert: (document) => collection.insert(document),
    get: (id) => collection.findOne(id).exec(),
    where: (field, value) => collection.find({ selector: { [field]: value } }).exec(),
    set: async (id, change) => (await collection.findOne(id).exec()).incrementalPatch(change),
    observe(id, seen) {
      const subscription = collection.findOne(id).$.subscribe((document) => seen(document?.toJSON()));
      return () => subscription.unsubscribe();
    },
    close: () => database.close(),
  };
}
