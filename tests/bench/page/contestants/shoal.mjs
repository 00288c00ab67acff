// Shoal as its users have it: the package as built, statements with arguments, the durability that is its default (relaxed).
//
// Two tricks that an application has no use for. The module is compiled and started in two timed steps, where `init()` alone would do
// both; and its memory, which the package does not export, is taken from what `WebAssembly.instantiate` returns.

import { Ditto, DittoConfig, init } from 'shoal';

let memory;
const instantiate = WebAssembly.instantiate.bind(WebAssembly);
WebAssembly.instantiate = async (...given) => {
  const made = await instantiate(...given);
  memory = (made.instance ?? made).exports.memory;
  return made;
};

/** Loads the module; returns how long that took. */
export async function start() {
  const asked = performance.now();
  const module = await WebAssembly.compileStreaming(fetch('shoal.wasm'));
  const compiled = performance.now();
  await init({ webAssemblyModule: module });
  return { compileMs: compiled - asked, startMs: performance.now() - compiled };
}

/** Bytes of the module's memory, which never shrinks. */
export function moduleBytes() {
  if (memory === undefined) throw new Error('the memory of the WebAssembly module was not seen');
  return memory.buffer.byteLength;
}

export async function open(name) {
  const ditto = await Ditto.open(new DittoConfig('bench', { mode: 'smallPeersOnly' }, name));
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
