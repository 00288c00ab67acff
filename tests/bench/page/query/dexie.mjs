// Dexie: `get`, an indexed `where`, `count`; what has no index is `toArray()` and JavaScript, which is quicker than a filtered collection.

import { liveQuery } from 'dexie';
import { openDatabase } from '../contestants/dexie.mjs';
import { groups, limit } from './statements.mjs';

export async function open(name) {
  const { database, table } = await openDatabase(name, ['quantity']);
  const read = {
    point: async ({ id }) => [await table.get(id)],
    equal: ({ quantity }) => table.where('quantity').equals(quantity).toArray(),
    filterSort: async ({ amount }) => newest((await table.toArray()).filter((each) => each.paid && each.amount > amount)),
    count: async () => [{ n: await table.count() }],
    group: async () => groups(await table.toArray()),
  };
  return {
    load: (documents) => table.bulkAdd(documents),
    size: () => table.count(),
    run: async (name, given) => (await read[name](given)).length,
    read: (name, given) => read[name](given),
    set: (id, change) => table.update(id, change),
    watch(quantity, seen) {
      const subscription = liveQuery(() => read.equal({ quantity })).subscribe({ next: seen, error: (cause) => console.error(cause) });
      return () => subscription.unsubscribe();
    },
    close: async () => database.close(),
  };
}

/** ORDER BY createdAt DESC and LIMIT by hand. */
const newest = (list) => list.sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1)).slice(0, limit);
