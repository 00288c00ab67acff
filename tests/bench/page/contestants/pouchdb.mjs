// PouchDB on the adapter that it chooses by itself, `idb`: `bulkDocs` for many documents, `allDocs` with `include_docs` for a scan (its
// documentation prefers it to map/reduce where an index does not exist), the live changes feed for observers; that feed crosses tabs.

import PouchDB from 'pouchdb-browser';

export async function open(name) {
  return storeOf(await openDatabase(name));
}

/** Opens a database. */
export async function openDatabase(name) {
  const database = new PouchDB(name);
  await database.info();
  return database;
}

/** The operations of every contestant, over an open database. */
export function storeOf(database) {
  return {
    async bulk(documents) {
      const results = await database.bulkDocs(documents);
      const refused = results.find((result) => result.error);
      if (refused) throw new Error(`a document was not inserted: ${refused.message}`);
    },
    insert: (document) => database.put(document),
    get: (id) => database.get(id),
    async where(field, value) {
      const { rows } = await database.allDocs({ include_docs: true });
      return rows.filter((row) => row.doc[field] === value).map((row) => row.doc);
    },
    set: async (id, change) => database.put({ ...(await database.get(id)), ...change }),
    /** Many documents at once, in one call as for `bulk`. */
    async setAll(changes) {
      const { rows } = await database.allDocs({ keys: changes.map(([id]) => id), include_docs: true });
      const refused = (await database.bulkDocs(changes.map(([, change], index) => ({ ...rows[index].doc, ...change })))).find((result) => result.error);
      if (refused) throw new Error(`a document was not changed: ${refused.message}`);
    },
    observe(id, seen) {
      const feed = database.changes({ since: 'now', live: true, include_docs: true, doc_ids: [id] });
      feed.on('change', ({ doc }) => seen(doc));
      return () => feed.cancel();
    },
    /** Takes away the bodies of old revisions. */
    compact: () => database.compact(),
    close: () => database.close(),
  };
}
