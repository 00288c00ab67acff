// The examples of both READMEs about statements and storage are run as they stand.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

import * as Y from 'yjs';

import { Ditto, DittoConfig } from '../dist/index.js';

const AsyncFunction = (async () => undefined).constructor;

/** The blocks of JavaScript that work on an open `ditto`. */
async function examples(file) {
  const text = await readFile(new URL(file, import.meta.url), 'utf8');
  const blocks = [...text.matchAll(/^```js\n([^]*?)^```/gm)].map(([, code]) => code);
  assert.ok(blocks.length > 0, `${file} has examples`);
  return blocks.map((code) => code.replace(/^import .*\n/gm, '').replace(/^const ditto = .*\n/gm, ''));
}

for (const file of ['../../README.md', '../README.md']) {
  test(`the examples of ${file} work`, async (t) => {
    const ditto = await Ditto.open(new DittoConfig(file, { mode: 'smallPeersOnly' }));
    t.after(() => ditto.close());
    const tables = [];
    const console = { log: () => undefined, table: (rows) => tables.push(rows) };
    const orders = [10, 90].map((price) => ({ _id: price, car: 'c1', price, paid: false, at: '2024-07-01T10:00Z' }));
    await ditto.store.execute('INSERT INTO orders DOCUMENTS (:orders)', { orders });
    const car = { _id: 'c1', Name: 'amphicar', Year: '1967' };
    await ditto.store.execute('INSERT INTO cars DOCUMENTS (:car)', { car });
    for (const code of await examples(file)) {
      if (code.includes('INSERT INTO cars')) await ditto.store.execute('EVICT FROM cars');
      await new AsyncFunction('ditto', 'console', 'Y', code)(ditto, console, Y);
    }
    const note = await ditto.store.execute("SELECT body FROM notes WHERE _id = 'n1'");
    if (file.startsWith('../../')) assert.equal(note.items[0].value.body, 'Bye, world');
    while (tables.length < 2) await new Promise((resolve) => setImmediate(resolve));
    const dear = { Name: 'amphicar', price: 90, at: '2024-07-01 12:00', place: 1 };
    assert.deepEqual(tables.slice(0, 2), [[dear], [{ car: 'c1', orders: 2, total: 100 }]]);
    const [{ value }] = (await ditto.store.execute("EXPLAIN SELECT Name FROM cars WHERE Year = '1967'")).items;
    assert.equal(value.plan.children[0]['#operator'], 'indexScan');
  });
}
