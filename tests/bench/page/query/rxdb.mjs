// RxDB on its free storage, which is Dexie: selectors with sort and limit, an index of the quantities, `count()`; it has no grouping, so that
// is JavaScript over all documents. It answers a query that it has seen from a cache, which is emptied first: the query is measured.

import { openDatabase, properties } from '../contestants/rxdb.mjs';
import { groups, limit } from './statements.mjs';

const quantity = { type: 'integer', minimum: 0, maximum: 1000, multipleOf: 1 };
const change = { properties: { ...properties, quantity }, required: ['_id', 'quantity'], indexes: ['quantity'] };

export async function open(name) {
  const { database, collection } = await openDatabase(name, change);
  const all = async () => (await collection.find().exec()).map((found) => found._data);
  const queries = {
    point: async ({ id }) => [await collection.findOne(id).exec()],
    equal: (selector) => collection.find({ selector }).exec(),
    filterSort: ({ amount }) => collection.find({ selector: { paid: true, amount: { $gt: amount } }, sort: [{ createdAt: 'desc' }], limit }).exec(),
    count: async () => [{ n: await collection.count().exec() }],
    group: async () => groups(await all()),
  };
  const query = (name, given) => {
    collection._queryCache._map.clear();
    return queries[name](given);
  };
  return {
    async load(documents) {
      const { error } = await collection.bulkInsert(documents);
      if (error.length > 0) throw new Error(`${error.length} documents were not inserted: ${JSON.stringify(error[0])}`);
    },
    size: () => collection.count().exec(),
    run: async (name, given) => (await query(name, given)).length,
    read: query,
    set: async (id, change) => (await collection.findOne(id).exec()).incrementalPatch(change),
    watch(quantity, seen) {
      const subscription = collection.find({ selector: { quantity } }).$.subscribe(seen);
      return () => subscription.unsubscribe();
    },
    close: () => database.close(),
  };
}
