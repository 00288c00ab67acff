// Export and import of databases and collections, disk usage and verification, on the memory store.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';

import { Ditto, DittoConfig } from '../dist/index.js';
import { failure } from '../testing/failure.mjs';

let count = 0;

/** Opens a database of its own for a test, and closes it afterwards. */
async function open(t) {
  const ditto = await Ditto.open(new DittoConfig(`export-${(count += 1)}`, { mode: 'smallPeersOnly' }));
  t.after(() => ditto.close());
  return ditto;
}

async function filled(t, documents = 2000) {
  const ditto = await open(t);
  const all = Array.from({ length: documents }, (_, n) => ({ _id: n, name: `document ${n}`, text: `${n} `.repeat(100) }));
  await ditto.store.execute('INSERT INTO a DOCUMENTS (:all)', { all });
  await ditto.store.execute("INSERT INTO b DOCUMENTS ({'_id': 'gone'}), ({'_id': 'bytes', 'big': 1152921504606846976})");
  await ditto.store.execute('UPDATE b SET bytes = :bytes WHERE _id = :id', { bytes: new Uint8Array([1, 2, 3]), id: 'bytes' });
  await ditto.store.execute("DELETE FROM b WHERE _id = 'gone'");
  return ditto;
}

async function rows(ditto, query = 'SELECT * FROM a ORDER BY _id') {
  return (await ditto.store.execute(query)).items.map((item) => item.value);
}

const bytesOf = async (blob) => new Uint8Array(await blob.arrayBuffer());

test('an exported database is imported whole, and an import twice is an import once', async (t) => {
  const from = await filled(t);
  const progress = [];
  const file = await from.storage.export({ onProgress: (told) => progress.push(told) });
  assert.equal(file.type, 'application/vnd.shoal.export');
  assert.ok(progress.length >= 2, 'progress after every page');
  assert.equal(progress.at(-1).documents, 2002);
  const to = await open(t);
  await to.store.execute("INSERT INTO a DOCUMENTS ({'_id': 'own'})");
  const heard = [];
  const result = await to.storage.import(file, { onProgress: (told) => heard.push(told.documents) });
  assert.deepEqual({ ...result, exportedAt: undefined }, { database: from.config.databaseID, exportedAt: undefined, version: Ditto.VERSION, documents: 2002, changed: 2002, attachments: 0 });
  assert.ok(Math.abs(result.exportedAt - Date.now()) < 60_000);
  assert.equal(heard.at(-1), 2002);
  assert.deepEqual((await rows(to)).filter((row) => row._id !== 'own'), await rows(from));
  assert.deepEqual(await rows(to, 'SELECT * FROM b'), await rows(from, 'SELECT * FROM b'));
  assert.equal((await to.storage.import(file.stream())).changed, 0);
  assert.equal((await rows(to)).length, 2001);
});

test('an import over newer data changes nothing that is newer', async (t) => {
  const ditto = await filled(t, 3);
  const file = await ditto.storage.export();
  await ditto.store.execute("UPDATE a SET name = 'newer' WHERE _id = 1");
  await ditto.store.execute('DELETE FROM a WHERE _id = 2');
  const before = await rows(ditto);
  assert.equal((await ditto.storage.import(file)).changed, 0);
  assert.deepEqual(await rows(ditto), before);
});

test('a file without compression is read too, in pieces of any size', async (t) => {
  const from = await filled(t);
  const plain = gunzipSync(await bytesOf(await from.storage.export()));
  assert.equal(plain.subarray(0, 4).toString(), 'SHEX');
  const to = await open(t);
  await to.storage.import(new Blob([plain]));
  assert.deepEqual(await rows(to), await rows(from));
  const small = await open(t);
  const short = gunzipSync(await bytesOf(await (await filled(t, 5)).storage.export()));
  const byByte = new ReadableStream({
    start(controller) {
      for (const byte of short) controller.enqueue(new Uint8Array([byte]));
      controller.close();
    },
  });
  assert.equal((await small.storage.import(byByte)).documents, 7);
});

test('damage, an end too early and what is no export are told with their place, and what came before is kept', async (t) => {
  const from = await filled(t);
  const plain = new Uint8Array(gunzipSync(await bytesOf(await from.storage.export())));
  const attempt = async (bytes) => {
    const to = await open(t);
    const error = await to.storage.import(new Blob([bytes])).then(() => null, (cause) => cause);
    return { error, kept: (await rows(to)).length };
  };
  const flipped = plain.slice();
  flipped[plain.length - 2000] ^= 1;
  const damaged = await attempt(flipped);
  failure('store/import-invalid', /section 3, byte \d+: the checksum does not match\. The \d+ documents before it are imported/)(damaged.error);
  assert.ok(damaged.kept > 100 && damaged.kept < 2000);
  for (const length of [0, 3, 5, 100, plain.length - 5, plain.length - 1]) {
    const { error } = await attempt(plain.subarray(0, length));
    failure('store/import-invalid', /^At section \d+, byte \d+: /)(error);
  }
  failure('store/import-invalid', /cut off/)((await attempt(plain.subarray(0, plain.length - 40))).error);
  failure('store/import-invalid', /compressed data/)((await attempt(gzipSync(plain).subarray(0, 5000))).error);
  failure('store/import-invalid', /bytes follow/)((await attempt(Buffer.concat([plain, Buffer.from([1])]))).error);
  failure('store/import-invalid', /not an export/)((await attempt(Buffer.from('{"not": "an export"}'))).error);
  const newer = plain.slice();
  newer[4] = 3;
  failure('store/newer-format', /format 3.*Nothing was imported/)((await attempt(newer)).error);
});

test('a section that is missing is noticed at the end', async (t) => {
  const plain = gunzipSync(await bytesOf(await (await filled(t)).storage.export()));
  const lengthAt = (at) => 9 + plain.readUInt32BE(at + 1);
  const head = 5 + lengthAt(5);
  const without = Buffer.concat([plain.subarray(0, head), plain.subarray(head + lengthAt(head))]);
  const to = await open(t);
  await assert.rejects(to.storage.import(new Blob([without])), failure('store/import-invalid', /sections are missing/));
});

test('a signal ends an export and an import with its reason', async (t) => {
  const from = await filled(t);
  const reason = new Error('enough');
  const stopper = new AbortController();
  const stopped = from.storage.export({ signal: stopper.signal, onProgress: () => stopper.abort(reason) });
  await assert.rejects(stopped, (error) => error === reason);
  const file = await from.storage.export();
  const to = await open(t);
  const second = new AbortController();
  const importing = to.storage.import(file, { signal: second.signal, onProgress: ({ documents }) => documents > 0 && second.abort(reason) });
  await assert.rejects(importing, (error) => error === reason);
  const third = new AbortController();
  const silent = new ReadableStream({ pull: () => new Promise(() => {}) });
  const waiting = to.storage.import(silent, { signal: third.signal });
  third.abort(reason);
  await assert.rejects(waiting, (error) => error === reason);
});

test('a collection travels as lines of JSON, long integers included', async (t) => {
  const from = await filled(t);
  await from.store.execute('INSERT INTO c DOCUMENTS (:doc)', { doc: { _id: 'x', big: -(2n ** 60n), text: 'a\n"9007199254740993"', nested: [{ n: 9007199254740993n }] } });
  const text = await new Response(from.storage.exportCollection('c')).text();
  assert.equal(text.split('\n').length, 2);
  const to = await open(t);
  const result = await to.storage.importCollection('c', new Blob([text]));
  assert.deepEqual(result, { documents: 1, written: 1 });
  assert.deepEqual(await rows(to, 'SELECT * FROM c'), await rows(from, 'SELECT * FROM c'));
  const progress = [];
  await to.storage.importCollection('a', from.storage.exportCollection('a'), { onProgress: (told) => progress.push(told.documents) });
  assert.deepEqual(await rows(to), await rows(from));
  assert.deepEqual(progress, [500, 1000, 1500, 2000]);
  assert.equal(await new Response(from.storage.exportCollection('nothing')).text(), '');
});

test('a line that is wrong is told with its number, and the lines before it are there', async (t) => {
  const ditto = await open(t);
  const lines = (...all) => new Blob([all.join('\n')]);
  const wrong = async (code, pattern, ...all) => {
    await ditto.store.execute('DELETE FROM a');
    await assert.rejects(ditto.storage.importCollection('a', lines(...all)), failure(code, pattern));
    return (await rows(ditto)).length;
  };
  assert.equal(await wrong('validation/invalid-json', /^Line 3: .*The lines before it are imported/, '{"_id":"p"}', '', '{"_id":'), 1);
  assert.equal(await wrong('validation/not-an-object', /^Line 2: /, '{"_id":"q"}', '[1]', '{"_id":"r"}'), 1);
  assert.equal(await wrong('store/document-id', /^Lines 1 to 2 /, '{"_id":"s"}', '{"_id":1.5}'), 0);
  await assert.rejects(ditto.storage.importCollection('a', new Blob([new Uint8Array([0x7b, 0xff])])), failure('validation/invalid-json', /^Line 1: it is not UTF-8/));
});

test('a conflict is refused, written over, or left alone, as the policy says', async (t) => {
  const ditto = await open(t);
  const file = new Blob(['{"_id":1,"x":"file"}\n{"_id":2,"x":"file"}\n']);
  await ditto.store.execute("INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 'here'})");
  await assert.rejects(ditto.storage.importCollection('a', file), failure('store/identifier-conflict', /^Lines 1 to 2 were not imported/));
  assert.deepEqual(await ditto.storage.importCollection('a', file, { onConflict: 'nothing' }), { documents: 2, written: 1 });
  assert.deepEqual((await rows(ditto)).map((row) => row.x), ['here', 'file']);
  await ditto.storage.importCollection('a', file, { onConflict: 'update' });
  assert.deepEqual((await rows(ditto)).map((row) => row.x), ['file', 'file']);
  await assert.rejects(ditto.storage.importCollection('a', file, { onConflict: 'maybe' }), failure('query/arguments-invalid'));
});

test('a collection of any name can be exported and imported', async (t) => {
  const ditto = await open(t);
  const name = 'a `strange` name';
  await ditto.storage.importCollection(name, new Blob(['{"_id":1}']));
  assert.equal(await new Response(ditto.storage.exportCollection(name)).text(), '{"_id":1}\n');
});

test('disk usage is a tree whose sizes add up, and is told again when it has changed', async (t) => {
  const ditto = await open(t);
  const item = await ditto.diskUsage.exec();
  assert.equal(item.type, 'directory');
  assert.deepEqual(item.children.map((child) => child.path.split('/').at(-1)), ['log', 'segments', 'meta', 'attachments']);
  assert.equal(item.sizeInBytes, item.children.reduce((sum, child) => sum + child.sizeInBytes, 0));
  assert.ok(item.children[2].sizeInBytes > 0, 'the identity is kept in a small record');
  const told = [];
  let wake = () => undefined;
  const observer = ditto.diskUsage.observe((changed) => {
    told.push(changed.sizeInBytes);
    wake();
  });
  const next = (length) => new Promise((resolve) => { (wake = () => told.length >= length && resolve())(); });
  await next(1);
  await ditto.store.execute("INSERT INTO a DOCUMENTS ({'_id': 1})");
  await next(2);
  assert.ok(told[1] > told[0]);
  observer.stop();
  await ditto.store.execute("INSERT INTO a DOCUMENTS ({'_id': 2})");
  assert.equal((await ditto.diskUsage.exec()).sizeInBytes > told[1], true);
  assert.equal(told.length, 2);
});

test('a sound store is verified, with its progress and counts', async (t) => {
  const ditto = await filled(t);
  for (let id = 0; id < 4; id += 1) await ditto.store.execute('INSERT INTO b DOCUMENTS (:doc)', { doc: { _id: id } });
  const report = await ditto.storage.verify({ onProgress: () => undefined });
  assert.deepEqual(report.findings, []);
  assert.equal(report.ok, true);
  assert.ok(report.counts.logRecords >= 4);
});
