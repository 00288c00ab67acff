// Dexie as its documentation advises: `bulkAdd` for many documents, `liveQuery` for observers, relaxed durability asked for by name
// (dexie.org, "Dexie.Table.bulkAdd()", "liveQuery()", option `chromeTransactionDurability`). The scan is `toArray()` and a filter on the
// array, which is faster than a filtered collection: that one walks a cursor.

import { Dexie, liveQuery } from 'dexie';

/** Opens a database with these fields indexed. */
export async function openDatabase(name, indexed = []) {
  const database = new Dexie(name, { chromeTransactionDurability: 'relaxed' });
  database.version(1).stores({ documents: ['_id', ...indexed].join(', ') });
  await database.open();
  return { database, table: database.table('documents') };
}

export async function open(name) {
  const { database, table } = await openDatabase(name);
  return {
    bulk: (documents) => table.bulkAdd(documents),
    insert: (document) => table.add(document),
    get: (id) => table.get(id),
    where: async (field, value) => (await table.toArray()).filter((document) => document[field] === value),
    set: (id, change) => table.update(id, change),
    observe(id, seen) {
      const subscription = liveQuery(() => table.get(id)).subscribe({ next: (document) => seen(document), error: (cause) => console.error(cause) });
      return () => subscription.unsubscribe();
    },
    close: async () => database.close(),
  };
}
