// Shoal as its users have it: the package as built, statements with arguments, the durability that is its default (relaxed).
//
// Two tricks that an application has no use for: the module is compiled ahead of everything, so that its time is known; and its memory,
// which the package does not export, is taken by `watch.mjs`.

import { Ditto, DittoConfig, init } from 'shoal';
import { moduleBytes, startMs } from '../watch.mjs';

export { moduleBytes };

let compileMs;

/** Loads the module. */
export async function start() {
  const asked = performance.now();
  const module = await WebAssembly.compileStreaming(fetch('shoal.wasm'));
  compileMs = performance.now() - asked;
  await init({ webAssemblyModule: module });
}

/** How long the module took; complete when a store is open. */
export const times = () => ({ compileMs, startMs: startMs() });

export const open = (name) => openWith(name, {});

/** Opens a database with options of `Ditto.open`. */
export const openDitto = (name, options) => Ditto.open(new DittoConfig('bench', { mode: 'smallPeersOnly' }, name), options);

/** Opens a store with options of `Ditto.open`. */
export const openWith = async (name, options) => storeOf(await openDitto(name, options));

/** The operations of every contestant, over an open database. */
export function storeOf(ditto) {
  const { store } = ditto;
  const rows = async (statement, given) => (await store.execute(statement, given)).items;
  return {
    bulk: (documents) => store.execute('INSERT INTO documents DOCUMENTS (:documents)', { documents }),
    insert: (document) => store.execute('INSERT INTO documents DOCUMENTS (:document)', { document }),
    get: async (id) => (await rows('SELECT * FROM documents WHERE _id = :id', { id }))[0]?.value,
    where: async (field, value) => (await rows(`SELECT * FROM documents WHERE ${field} = :value`, { value })).map((row) => row.value),
    set: (id, change) => {
      const [[field, value]] = Object.entries(change);
      return store.execute(`UPDATE documents SET ${field} = :value WHERE _id = :id`, { id, value });
    },
    observe(id, seen) {
      const observer = store.registerObserver('SELECT * FROM documents WHERE _id = :id', ({ items }) => seen(items[0]?.value), { id });
      return () => observer.cancel();
    },
    /** Everything that the store keeps on the device, the log included. */
    async storedBytes() {
      const { logBytes, segmentBytes, metaBytes = 0 } = await ditto.storage.usage();
      return logBytes + segmentBytes + metaBytes;
    },
    close: () => ditto.close(),
  };
}
