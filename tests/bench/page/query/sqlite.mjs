// SQLite's own WebAssembly build in the page, with a database in its memory: nothing is quicker there, and nothing is kept. A table with a
// column for each field, the nested object as JSON text. The engine's part is a prepared statement: bind, step through the rows, reset;
// `read` is the API as it is called without care, which prepares each time and makes objects.

import sqlite3InitModule from '@sqlite.org/sqlite-wasm';
import { statements, typical } from './statements.mjs';

const columns = ['_id', 'name', 'email', 'state', 'paid', 'quantity', 'amount', 'createdAt', 'address', 'note'];
const types = { _id: ' TEXT PRIMARY KEY', paid: ' INTEGER', quantity: ' INTEGER', amount: ' REAL' };

let sqlite3;

export async function start() {
  sqlite3 = await sqlite3InitModule({ print: () => undefined, printErr: (text) => console.error(text) });
}

/** The library. */
export const library = () => sqlite3;

/** Bytes of its memory. */
export const moduleBytes = () => sqlite3.wasm.heap8u().byteLength;

export const open = async () => over(new sqlite3.oo1.DB(':memory:'));

/** A store over an open database. */
export function over(database) {
  database.exec(`CREATE TABLE IF NOT EXISTS documents (${columns.map((name) => name + (types[name] ?? ' TEXT')).join(', ')})`);
  const prepared = new Map();
  const statement = (name) => {
    if (!prepared.has(name)) prepared.set(name, database.prepare(statements[name]));
    return prepared.get(name);
  };
  const bound = (given) => Object.fromEntries(Object.entries(given).map(([name, value]) => [`:${name}`, value]));
  return {
    load(documents) {
      const insert = database.prepare(`INSERT INTO documents VALUES (${columns.map(() => '?').join(', ')})`);
      const cell = (value) => (typeof value === 'object' ? JSON.stringify(value) : value);
      database.transaction(() => {
        for (const document of documents) insert.bind(columns.map((name) => cell(document[name]))).stepReset();
      });
      insert.finalize();
    },
    size: () => database.selectValue(statements.count),
    createIndex() {
      database.exec('CREATE INDEX IF NOT EXISTS documents_quantity ON documents (quantity)');
    },
    run(name, given) {
      const query = statement(name);
      if (query.parameterCount > 0) query.bind(bound(given));
      let rows = 0;
      while (query.step()) rows += 1;
      query.reset();
      return rows;
    },
    read: (name, given) => database.selectObjects(statements[name], Object.keys(given).length > 0 ? bound(given) : undefined),
    plan: { fresh: (turn) => database.prepare(typical(`d${turn}`)).finalize() },
    close() {
      for (const query of prepared.values()) query.finalize();
      database.close();
    },
  };
}
