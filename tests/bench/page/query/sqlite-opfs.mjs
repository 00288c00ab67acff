// SQLite's own WebAssembly build with a database that is kept: in a worker, on the VFS "opfs-sahpool", the quickest of those that it
// recommends (sqlite.org/wasm, "persistence"). Its page cache is its default.

import { library, moduleBytes, over, start } from './sqlite.mjs';

export { moduleBytes, start };

/** Room for the databases of a run with their journals. */
const files = 32;

export async function open(name) {
  const pool = await library().installOpfsSAHPoolVfs({ initialCapacity: files });
  const { close, ...store } = over(new pool.OpfsSAHPoolDb(`/${name}`));
  return {
    ...store,
    close() {
      close();
      pool.pauseVfs();
    },
  };
}
