// Shoal as its users have it: statements with arguments. What the engine takes is told by many statements that are started at once; rows
// stay in their binary form there, and are objects in `read`.

import { moduleBytes, openDitto, start } from '../contestants/shoal.mjs';
import { statements, typical } from './statements.mjs';

export { moduleBytes, start };

const indexName = 'documents_quantity';
const readyMsMax = 30_000;

export async function open(name) {
  const ditto = await openDitto(name, {});
  const { store } = ditto;
  const rows = async (text, args) => (await store.execute(text, args)).items;
  return {
    load: (documents) => store.execute('INSERT INTO documents DOCUMENTS (:documents)', { documents }),
    size: async () => (await rows(statements.count))[0].value.n,
    createIndex: () => createIndex(rows),
    run: async (name, args) => (await rows(statements[name], args)).length,
    read: async (name, args) => (await rows(statements[name], args)).map((row) => row.value),
    plan: {
      // Over a collection that has nothing, so that next to nothing is carried out; that little is in the figures.
      fresh: (turn) => rows(planned(`d${turn}`)),
      known: () => rows(planned('d')),
      nothing: () => rows('SELECT 1'),
    },
    /** Without the device, which is `bench store`'s business. */
    set(id, change) {
      const [[field, value]] = Object.entries(change);
      return store.execute(`UPDATE documents SET ${field} = :value WHERE _id = :id`, { id, value }, { durability: 'memory' });
    },
    watch(quantity, seen) {
      const observer = store.registerObserver(statements.equal, seen, { quantity });
      return () => observer.cancel();
    },
    close: () => ditto.close(),
  };
}

const planned = (alias) => typical(alias).replace('FROM documents', 'FROM nothing');

/** Returns why there is no index, or nothing once it can be used. */
async function createIndex(rows) {
  const known = async () => (await rows('SELECT * FROM system:indexes')).map((row) => row.value).find(({ _id }) => _id === `documents.${indexName}`);
  try {
    if ((await known()) === undefined) await rows(`CREATE INDEX ${indexName} ON documents (quantity)`);
    for (const end = performance.now() + readyMsMax; (await known())?.state !== 'ready'; ) {
      if (performance.now() > end) throw new Error('the index did not become ready');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return undefined;
  } catch (error) {
    if (error.code === 'query/unsupported') return `it has no CREATE INDEX (${error.message.split('\n')[0]})`;
    throw error;
  }
}
