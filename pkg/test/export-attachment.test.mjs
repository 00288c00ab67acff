// Attachments in an export: bytes that come back whole, files of the first format, and what is wrong with a file.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';

import { Ditto, DittoConfig } from '../dist/index.js';
import { failure } from '../testing/failure.mjs';

const CHUNK = 256 * 1024;
let count = 0;

async function open(t, directory) {
  const ditto = await Ditto.open(new DittoConfig(directory === undefined ? `export-attachment-${(count += 1)}` : 'kept', { mode: 'smallPeersOnly' }, directory));
  t.after(() => ditto.close().catch(() => undefined));
  return ditto;
}

async function folder(t) {
  const created = await mkdtemp(path.join(tmpdir(), 'shoal-export-'));
  t.after(() => rm(created, { recursive: true, force: true }));
  return path.join(created, 'store');
}

// No two chunks of it are alike.
const content = (length, seed = 31) => Uint8Array.from({ length }, (_, n) => (n * seed + (n >> 9) + (n >> 18) * 7) & 0xff);

/** Creates an attachment and a document that names it. */
async function create(ditto, id, bytes) {
  const attachment = await ditto.store.newAttachment(bytes);
  await ditto.store.execute('INSERT INTO a DOCUMENTS (:doc)', { doc: { _id: id, f: attachment } });
  return attachment;
}

async function read(ditto, { id, len }) {
  return (await ditto.store.fetchAttachment({ id, len })).data();
}

const plainOf = async (ditto) => new Uint8Array(gunzipSync(new Uint8Array(await (await ditto.storage.export()).arrayBuffer())));

/** The sections of a file: kind, where each begins, and where it ends. */
function sectionsOf(plain) {
  const sections = [];
  const view = new DataView(plain.buffer, plain.byteOffset);
  for (let at = 5; at < plain.length; ) {
    const end = at + 9 + view.getUint32(at + 1);
    sections.push({ kind: plain[at], at, end });
    at = end;
  }
  return sections;
}

const joined = (...pieces) => new Blob(pieces);
const blobFiles = async (directory) => (await readdir(directory)).filter((name) => name.startsWith('blob-'));

test('attachments of every length are exported and imported whole, and twice is once', async (t) => {
  const from = await open(t);
  const made = [];
  for (const length of [0, 1, CHUNK, 2 * CHUNK + 9]) made.push([await create(from, `${length}`, content(length)), content(length)]);
  const progress = [];
  const file = await from.storage.export({ onProgress: (told) => progress.push(told.bytes) });
  assert.ok(progress.length >= 9 && progress.at(-1) > 3 * CHUNK, 'progress with every chunk');
  const directory = await folder(t);
  const to = await open(t, directory);
  const result = await to.storage.import(file);
  assert.deepEqual([result.documents, result.changed, result.attachments], [4, 4, 4]);
  for (const [attachment, bytes] of made) assert.deepEqual(await read(to, attachment), bytes);
  const before = await blobFiles(directory);
  const again = await to.storage.import(file.stream());
  assert.deepEqual([again.changed, again.attachments], [0, 4]);
  assert.deepEqual(await blobFiles(directory), before, 'what is here is not written again');
  assert.equal((await to.storage.verify()).ok, true);
});

test('a file of the first format is imported, and has no attachments', async (t) => {
  const from = await open(t);
  await from.store.execute("INSERT INTO a DOCUMENTS ({'_id': 1}), ({'_id': 2})");
  const plain = await plainOf(from);
  assert.deepEqual([...plain.subarray(0, 5)], [0x53, 0x48, 0x45, 0x58, 2]);
  plain[4] = 1;
  const result = await (await open(t)).storage.import(joined(plain));
  assert.deepEqual([result.documents, result.attachments], [2, 0]);
  await create(from, '3', content(5));
  const mixed = await plainOf(from);
  mixed[4] = 1;
  await assert.rejects((await open(t)).storage.import(joined(mixed)), failure('store/import-invalid', /section 3, .*format 1 has no such section\. The 3 documents/));
  mixed[4] = 0;
  await assert.rejects((await open(t)).storage.import(joined(mixed)), failure('store/import-invalid', /not an export/));
});

test('what is wrong with an attachment in a file is told with its place, and nothing of it stays', async (t) => {
  const from = await open(t);
  await create(from, '1', content(3 * CHUNK));
  await create(from, '2', content(3 * CHUNK, 37));
  const plain = await plainOf(from);
  const sections = sectionsOf(plain);
  assert.deepEqual(sections.map(({ kind }) => kind), [1, 2, 4, 5, 5, 5, 4, 5, 5, 5, 3]);
  const piece = (n) => plain.subarray(sections[n].at, sections[n].end);
  const made = (...order) => joined(plain.subarray(0, 5), ...order.map(piece));
  const attempt = async (pattern, file) => {
    const directory = await folder(t);
    const to = await open(t, directory);
    await assert.rejects(to.storage.import(file), failure('store/import-invalid', pattern));
    await to.close();
    return (await blobFiles(directory)).length;
  };
  const flipped = plain.slice();
  flipped[sections[4].at + 77] ^= 1;
  assert.equal(await attempt(/section 5, byte \d+: the checksum does not match\. The 2 documents before it/, joined(flipped)), 0);
  assert.equal(await attempt(/section 5, .*does not fit the hash/, made(0, 1, 2, 3, 5, 4)), 0, 'chunks in another order');
  assert.equal(await attempt(/section 8, .*does not fit the hash.* 2 documents and 1 attachments before it/, made(0, 1, 2, 3, 4, 5, 6, 3)), 4, 'a chunk of another attachment; the first is whole');
  assert.equal(await attempt(/section 6, .*an attachment is cut off/, made(0, 1, 2, 3, 4, 6)), 0);
  assert.equal(await attempt(/section 6, .*an attachment is cut off/, made(0, 1, 2, 3, 4, 10)), 0);
  assert.equal(await attempt(/section 3, .*belongs to no attachment/, made(0, 1, 3)), 0);
  assert.equal(await attempt(/section 7, .*belongs to no attachment/, made(0, 1, 2, 3, 4, 5, 5)), 4);
  assert.equal(await attempt(/section 5, .*cut off/, joined(plain.subarray(0, sections[4].at + 1000))), 0);
  assert.equal(await attempt(/sections are missing/, made(0, 1, 2, 3, 4, 5, 10)), 4);
});

test('an attachment that is damaged when it is exported is left out, and the others are in the file', async (t) => {
  const directory = await folder(t);
  const first = await open(t, directory);
  const made = [await create(first, '1', content(2 * CHUNK)), await create(first, '2', content(2 * CHUNK, 37))];
  await first.close();
  const damaged = path.join(directory, (await blobFiles(directory)).sort()[2]);
  const bytes = await readFile(damaged);
  bytes[5] ^= 1;
  await writeFile(damaged, bytes);
  const ditto = await open(t, directory);
  const file = await ditto.storage.export();
  const to = await open(t);
  const result = await to.storage.import(file);
  assert.deepEqual([result.documents, result.attachments], [2, 1]);
  const { counts } = await to.storage.verify();
  assert.deepEqual([counts.attachments, counts.attachmentBytes], [1, 2 * CHUNK]);
  const read = await Promise.all(made.map(({ id, len }) => Promise.race([to.store.fetchAttachment({ id, len }).attachment, new Promise((resolve) => setTimeout(resolve, 200, null))])));
  assert.equal(read.filter((attachment) => attachment !== null).length, 1);
});

test('an import that is aborted in an attachment keeps nothing of it, and the next one finishes it', async (t) => {
  const from = await open(t);
  const attachment = await create(from, '1', content(5 * CHUNK));
  const file = await from.storage.export();
  const directory = await folder(t);
  const to = await open(t, directory);
  const stopper = new AbortController();
  const reason = new Error('enough');
  let told = 0;
  const importing = to.storage.import(file, { signal: stopper.signal, onProgress: () => (told += 1) === 5 && stopper.abort(reason) });
  await assert.rejects(importing, (error) => error === reason);
  assert.equal((await to.store.execute('SELECT * FROM a')).items.length, 1);
  await to.storage.import(file);
  assert.deepEqual(await read(to, attachment), content(5 * CHUNK));
  assert.equal((await blobFiles(directory)).length, 6, 'one place');
});
