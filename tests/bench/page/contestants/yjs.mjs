// Yjs with y-indexeddb: one Y.Map a document inside one Y.Map, a bulk in one transaction. The nested object stays a plain value, which
// is quicker and smaller than a Y.Map of its own.
//
// y-indexeddb stores every update without telling when it is there. A write here is awaited as a careful application would: by an empty
// transaction on the same object store, which IndexedDB completes after those before it. Tabs do not hear of each other.

import { IndexeddbPersistence } from 'y-indexeddb';
import * as Y from 'yjs';

export async function open(name) {
  return storeOf(await openDatabase(name));
}

/** Opens a Y.Doc that is kept. */
export async function openDatabase(name) {
  const root = new Y.Doc();
  const persistence = new IndexeddbPersistence(name, root);
  await persistence.whenSynced;
  return { root, persistence };
}

/** The operations of every contestant, over an open Y.Doc. */
export function storeOf({ root, persistence }) {
  const map = root.getMap('documents');
  const put = (document) => map.set(document._id, new Y.Map(Object.entries(document)));
  const write = (work) => {
    root.transact(work);
    return stored(persistence.db);
  };
  return {
    bulk: (documents) => write(() => documents.forEach(put)),
    insert: (document) => write(() => put(document)),
    get: async (id) => map.get(id)?.toJSON(),
    async where(field, value) {
      const found = [];
      map.forEach((document) => {
        if (document.get(field) === value) found.push(document.toJSON());
      });
      return found;
    },
    /** Many documents at once, in one transaction as for `bulk`. */
    setAll: (changes) => write(() => changes.forEach(([id, change]) => Object.entries(change).forEach(([field, value]) => map.get(id).set(field, value)))),
    set: (id, change) => write(() => Object.entries(change).forEach(([field, value]) => map.get(id).set(field, value))),
    close: () => persistence.destroy(),
  };
}

/** Waits until every update so far is stored. */
export function stored(database) {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction('updates', 'readwrite');
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
    transaction.commit();
  });
}
