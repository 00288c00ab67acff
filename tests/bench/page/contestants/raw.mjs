// IndexedDB by hand, as well as it can be done with one record a document: one transaction for a bulk, committed without waiting for
// the last request, relaxed durability, reads by `getAll` in pages. It is what any store on top of IndexedDB can be measured by.

const storeName = 'documents';
const pageSize = 10_000;
const relaxed = { durability: 'relaxed' };

/** Opens or creates a database with one object store, keyed by `_id`. */
export async function open(name) {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(storeName, { keyPath: '_id' });
  return new RawStore(await answer(request));
}

class RawStore {
  #database;

  constructor(database) {
    this.#database = database;
  }

  bulk(documents) {
    return this.#write((store) => {
      for (const document of documents) store.put(document);
    });
  }

  insert(document) {
    return this.#write((store) => store.put(document));
  }

  get(id) {
    return answer(this.#database.transaction(storeName, 'readonly').objectStore(storeName).get(id));
  }

  async where(field, value) {
    const store = this.#database.transaction(storeName, 'readonly').objectStore(storeName);
    const found = [];
    let range = null;
    for (;;) {
      const page = await answer(store.getAll(range, pageSize));
      for (const document of page) if (document[field] === value) found.push(document);
      if (page.length < pageSize) return found;
      range = IDBKeyRange.lowerBound(page[page.length - 1]._id, true);
    }
  }

  async close() {
    this.#database.close();
  }

  #write(work) {
    return new Promise((resolve, reject) => {
      const transaction = this.#database.transaction(storeName, 'readwrite', relaxed);
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
      work(transaction.objectStore(storeName));
      transaction.commit();
    });
  }
}

function answer(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
