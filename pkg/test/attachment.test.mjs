// Attachments in Node: from every kind of source, in memory and in a folder, over a restart; and what is refused.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import { AttachmentToken, Ditto, DittoConfig } from '../dist/index.js';
import { failure } from '../testing/failure.mjs';

const CHUNK = 256 * 1024;
let count = 0;

async function open(t, directory, options) {
  const ditto = await Ditto.open(new DittoConfig(directory === undefined ? `attachment-${(count += 1)}` : 'attachment', { mode: 'smallPeersOnly' }, directory), options);
  t.after(() => ditto.close().catch(() => undefined));
  return ditto;
}

async function folder(t) {
  const created = await mkdtemp(path.join(tmpdir(), 'shoal-attachment-'));
  t.after(() => rm(created, { recursive: true, force: true }));
  return path.join(created, 'store');
}

const content = (length) => Uint8Array.from({ length }, (_, n) => (n * 31 + (n >> 9)) & 0xff);

/** A stream in odd pieces; `made` counts its bytes. */
function stream(bytes, made = { bytes: 0 }) {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at === bytes.length) return controller.close();
      const piece = bytes.subarray(at, at + 100_003);
      at += piece.length;
      made.bytes += piece.length;
      controller.enqueue(piece);
    },
  });
}

async function collected(readable) {
  const pieces = [];
  for await (const piece of readable) pieces.push(piece);
  return pieces;
}

test('the same bytes have one id, from whatever they come', async (t) => {
  const { store } = await open(t);
  for (const length of [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK + 77]) {
    const bytes = content(length);
    const sources = [bytes, bytes.slice().buffer, new Blob([bytes]), stream(bytes)];
    const made = [];
    for (const source of sources) made.push(await store.newAttachment(source, { name: 'n' }));
    assert.deepEqual(new Set(made.map((attachment) => attachment.id)).size, 1, `${length} bytes`);
    const [attachment] = made;
    assert.match(attachment.id, /^[0-9a-f]{64}$/);
    assert.deepEqual([attachment.len, attachment.metadata], [length, { name: 'n' }]);
    assert.deepEqual(await attachment.data(), bytes);
    const pieces = await collected(attachment.stream());
    assert.deepEqual(pieces.map((piece) => piece.length), [...bytes].length === 0 ? [] : Array.from({ length: Math.ceil(length / CHUNK) }, (_, n) => Math.min(CHUNK, length - n * CHUNK)));
    assert.deepEqual(new Uint8Array(await (await attachment.blob('text/plain')).arrayBuffer()), bytes);
  }
});

test('an attachment is an argument of a statement, and its token is fetched from the document', async (t) => {
  const { store } = await open(t);
  const bytes = content(CHUNK + 5);
  const attachment = await store.newAttachment(bytes, { name: 'a.bin' });
  await store.execute('INSERT INTO COLLECTION a (f ATTACHMENT) DOCUMENTS (:doc)', { doc: { _id: '1', f: attachment } });
  await store.execute('INSERT INTO a DOCUMENTS (:doc)', { doc: { _id: '2', nested: { f: attachment } } });
  const token = { id: attachment.id, len: bytes.length, metadata: { name: 'a.bin' } };
  assert.deepEqual((await store.execute("SELECT f FROM a WHERE _id = '1'")).items[0].value, { f: token });
  assert.deepEqual((await store.execute("SELECT nested FROM a WHERE _id = '2'")).items[0].value, { nested: { f: token } });
  const events = [];
  const fetcher = store.fetchAttachment(token, (event) => events.push(event));
  assert.deepEqual(store.attachmentFetchers, [fetcher]);
  const fetched = await fetcher;
  assert.deepEqual(await fetched.data(), bytes);
  assert.deepEqual(events.map((event) => event.type), ['Completed']);
  assert.deepEqual(store.attachmentFetchers, []);
  assert.deepEqual(await store.fetchAttachment(attachment).attachment.then((again) => again.metadata), { name: 'a.bin' });
});

test('what nobody has is waited for, until it is stopped or no document names it', async (t) => {
  const { store } = await open(t);
  const token = { id: 'ab'.repeat(32), len: 5, metadata: {} };
  await store.execute('INSERT INTO a DOCUMENTS (:doc)', { doc: { _id: '1', f: token } });
  const stopped = store.fetchAttachment(token);
  const events = [];
  const deleted = store.fetchAttachment(token, (event) => events.push(event));
  assert.equal(await Promise.race([deleted, new Promise((resolve) => setTimeout(resolve, 50, 'waits'))]), 'waits');
  stopped.stop();
  assert.equal(await stopped, null);
  await store.execute("DELETE FROM a WHERE _id = '1'");
  assert.equal(await deleted, null);
  assert.deepEqual(events, [{ type: 'Deleted' }]);
  assert.deepEqual(store.attachmentFetchers, []);
});

test('what is wrong is refused with a code', async (t) => {
  const ditto = await open(t);
  const { store } = ditto;
  for (const token of [null, {}, { id: 'x', len: 1 }, { id: 'AB'.repeat(32), len: 1 }, { id: 'ab'.repeat(32), len: -1 }]) {
    assert.throws(() => store.fetchAttachment(token), failure('store/attachment-token-invalid'));
  }
  const attachment = await store.newAttachment(content(10));
  await assert.rejects(store.fetchAttachment({ id: attachment.id, len: 11 }).attachment, failure('store/attachment-token-invalid'));
  await assert.rejects(store.newAttachment('a/path'), failure('unsupported'));
  await assert.rejects(store.newAttachment(7), failure('store/failed-to-create-attachment'));
  await assert.rejects(store.newAttachment(content(1), { a: 1 }), failure('validation/not-an-object'));
  await assert.rejects(attachment.copyToPath('x'), failure('unsupported'));
  const broken = new ReadableStream({ start: (controller) => controller.error(new Error('no more')) });
  await assert.rejects(store.newAttachment(broken), failure('store/failed-to-create-attachment', /no more/));
  await assert.rejects(store.newAttachment(new ReadableStream({ start: (controller) => controller.enqueue('text') })), failure('store/failed-to-create-attachment'));
  const pending = store.fetchAttachment(new AttachmentToken({ id: 'cd'.repeat(32), len: 1 }));
  await ditto.close();
  await assert.rejects(pending.attachment, failure('store/closed'));
  assert.throws(() => store.fetchAttachment(attachment), failure('store/closed'));
});

test('in a folder an attachment is there after a restart, its damage is noticed, and its leftovers are few', async (t) => {
  const directory = await folder(t);
  const bytes = content(2 * CHUNK + 9);
  const first = await open(t, directory);
  const { id } = await first.store.newAttachment(stream(bytes));
  await first.store.execute('INSERT INTO a DOCUMENTS (:doc)', { doc: { _id: '1', f: { id, len: bytes.length, metadata: {} } } });
  await first.close();
  const parts = (await readdir(directory)).filter((name) => name.startsWith('blob-')).sort();
  assert.equal(parts.length, 4, 'a head and three chunks');
  const again = await open(t, directory);
  assert.deepEqual(await (await again.store.fetchAttachment({ id, len: bytes.length })).data(), bytes);
  const usage = await again.storage.usage();
  assert.equal(usage.blobBytes, bytes.length);
  await again.close();
  const damaged = path.join(directory, parts[2]);
  const part = await readFile(damaged);
  part[100] ^= 1;
  await writeFile(damaged, part);
  const last = await open(t, directory);
  const attachment = await last.store.fetchAttachment({ id, len: bytes.length });
  await assert.rejects(attachment.data(), failure('store/attachment-not-found'));
});

/** A folder with a closed store, in it an attachment of three chunks and the document that names it; its parts, the head first. */
async function stored(t, options) {
  const directory = await folder(t);
  const bytes = content(2 * CHUNK + 9);
  const ditto = await open(t, directory, options);
  const { id } = await ditto.store.newAttachment(bytes);
  await ditto.store.execute('INSERT INTO a DOCUMENTS (:doc)', { doc: { _id: '1', f: { id, len: bytes.length, metadata: {} } } });
  await ditto.close();
  const parts = (await readdir(directory)).filter((name) => name.startsWith('blob-')).sort();
  return { directory, bytes, id, parts: parts.map((name) => path.join(directory, name)) };
}

async function flip(file) {
  const bytes = await readFile(file);
  bytes[bytes.length >> 1] ^= 1;
  await writeFile(file, bytes);
}

test('verification reads every part of an attachment, with progress, and changes nothing of a sound one', async (t) => {
  for (const options of [undefined, { encryption: { passphrase: 'open sesame' } }]) {
    const { directory, bytes, id } = await stored(t, options);
    const ditto = await open(t, directory, options);
    const progress = [];
    const report = await ditto.storage.verify({ onProgress: (told) => progress.push(told) });
    assert.deepEqual([report.ok, report.findings], [true, []]);
    assert.deepEqual([report.counts.attachments, report.counts.attachmentBytes], [1, bytes.length]);
    assert.ok(progress.length >= 4 && progress.every(({ done, total }) => done <= total), JSON.stringify(progress));
    assert.equal(progress.at(-1).done, progress.at(-1).total);
    assert.deepEqual(await (await ditto.store.fetchAttachment({ id, len: bytes.length })).data(), bytes);
  }
});

test('a damaged chunk is found by verification, told, and given up', async (t) => {
  for (const options of [undefined, { encryption: { passphrase: 'open sesame' } }]) {
    const { directory, bytes, id, parts } = await stored(t, options);
    await flip(parts[2]);
    const ditto = await open(t, directory, options);
    const report = await ditto.storage.verify();
    assert.equal(report.ok, false);
    assert.deepEqual(report.findings.map(({ kind, name }) => [kind, name]), [['attachment', `chunk 2 of ${id}`]]);
    assert.equal(report.counts.attachmentBytes, bytes.length - CHUNK);
    assert.equal(ditto.storage.damaged, `chunk 2 of ${id}`);
    assert.equal((await ditto.storage.usage()).blobBytes, bytes.length - CHUNK);
    assert.deepEqual((await ditto.storage.verify()).findings, [], 'what was given up is missing, not damaged');
    const waiting = ditto.store.fetchAttachment({ id, len: bytes.length });
    await ditto.store.newAttachment(bytes);
    assert.deepEqual(await (await waiting).data(), bytes);
  }
});

test('a damaged chunk list is found by verification', async (t) => {
  for (const options of [undefined, { encryption: { passphrase: 'open sesame' } }]) {
    const { directory, parts } = await stored(t, options);
    await flip(parts[0]);
    const ditto = await open(t, directory, options);
    const { findings, counts } = await ditto.storage.verify();
    assert.deepEqual([findings.length, findings[0]?.kind, counts.attachments], [1, 'attachment', 0]);
    assert.match(findings[0].name, /^chunk list in place [0-9a-f]{16}$/);
  }
});

test('an encrypted folder holds no byte of an attachment in clear', async (t) => {
  const directory = await folder(t);
  const encryption = { passphrase: 'open sesame' };
  const text = 'The quick brown fox jumps over the lazy dog. '.repeat(8_000);
  const first = await open(t, directory, { encryption });
  const { id, len } = await first.store.newAttachment(new TextEncoder().encode(text));
  await first.close();
  for (const name of await readdir(directory)) {
    const bytes = await readFile(path.join(directory, name));
    assert.ok(!bytes.includes('quick brown'), name);
  }
  const again = await open(t, directory, { encryption });
  const attachment = await again.store.fetchAttachment({ id, len });
  assert.equal(new TextDecoder().decode(await attachment.data()), text);
});
