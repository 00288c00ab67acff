// The store in a directory, as Node keeps it: real files, real processes, real SIGKILL.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import { Ditto, DittoConfig, DittoError } from '../dist/index.js';

const entry = new URL('../dist/index.js', import.meta.url).href;
const insert = 'INSERT INTO a DOCUMENTS (:doc)';

/** A folder of its own for a test, gone afterwards. */
async function folder(t) {
  const created = await mkdtemp(path.join(tmpdir(), 'shoal-files-'));
  t.after(() => rm(created, { recursive: true, force: true }));
  return path.join(created, 'store');
}

const config = (directory, database = 'files') => new DittoConfig(database, { mode: 'smallPeersOnly' }, directory);
const open = (directory, options) => Ditto.open(config(directory), options);

async function numbers(ditto) {
  const { items } = await ditto.store.execute('SELECT n FROM a ORDER BY n');
  return items.map((item) => item.value.n);
}

/** The path of the newest log file. */
async function logFile(directory) {
  const names = (await readdir(directory)).filter((name) => name.startsWith('log-')).sort();
  return path.join(directory, names.at(-1));
}

/** Asserts that a promise is rejected with a code. */
const refused = (promise, code) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof DittoError, `${error} is a DittoError`);
    assert.equal(error.code, code, error.message);
    return true;
  });

test('documents are there after reopening, and the storage says where', async (t) => {
  const directory = await folder(t);
  let ditto = await open(directory);
  assert.equal(ditto.storage.mode, 'files');
  assert.equal(ditto.storage.persistent, true);
  assert.equal(ditto.absolutePersistenceDirectory, directory);
  await ditto.store.execute(insert, { doc: { _id: '1', n: 1, text: 'żółw' } }, { durability: 'strict' });
  assert.ok((await ditto.storage.usage()).logBytes > 0);
  await ditto.close();
  await ditto.close();
  ditto = await open(directory);
  assert.deepEqual((await ditto.store.execute('SELECT * FROM a')).items[0].value, { _id: '1', n: 1, text: 'żółw' });
  await ditto.close();
  assert.deepEqual((await readdir(directory)).filter((name) => name.startsWith('lock')), []);
});

test('without a directory nothing is written anywhere', async (t) => {
  const directory = await mkdtemp(path.join(tmpdir(), 'shoal-files-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const program = `import { Ditto, DittoConfig } from '${entry}';
    const ditto = await Ditto.open(new DittoConfig('memory', { mode: 'smallPeersOnly' }));
    await ditto.store.execute("INSERT INTO a DOCUMENTS ({'_id': '1'})");
    console.log(ditto.storage.mode);
    await ditto.close();`;
  assert.equal((await ended(run(program, directory))).trim(), 'memory');
  assert.deepEqual(await readdir(directory), []);
});

test('a relative directory lies under the directory that the process works in', async (t) => {
  const directory = await mkdtemp(path.join(tmpdir(), 'shoal-files-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const program = `import { Ditto, DittoConfig } from '${entry}';
    const ditto = await Ditto.open(new DittoConfig('relative', { mode: 'smallPeersOnly' }, './some/store'));
    console.log(ditto.absolutePersistenceDirectory);
    await ditto.close();`;
  assert.equal((await ended(run(program, directory))).trim(), path.join(directory, 'some/store'));
  assert.ok((await readdir(path.join(directory, 'some/store'))).includes('catalog'));
});

test('many documents are flushed to segments, merged, and read again', async (t) => {
  const directory = await folder(t);
  let ditto = await open(directory);
  const text = (n) => `${n} `.repeat(60);
  for (let at = 0; at < 8000; at += 500) {
    const docs = Array.from({ length: 500 }, (_, n) => ({ _id: `n${at + n}`, n: at + n, text: text(at + n) }));
    await ditto.store.execute('INSERT INTO a DOCUMENTS (:docs)', { docs });
  }
  await ditto.store.execute("DELETE FROM a WHERE n % 2 = 1");
  await until(async () => (await readdir(directory)).some((name) => name.startsWith('block-')));
  assert.ok((await ditto.storage.usage()).segmentBytes > 0);
  await ditto.close();
  ditto = await open(directory);
  assert.deepEqual(await numbers(ditto), Array.from({ length: 4000 }, (_, n) => 2 * n));
  assert.equal((await ditto.store.execute("SELECT * FROM a WHERE _id = 'n4242'")).items[0].value.text, text(4242));
  await ditto.close();
});

test('a directory is for one process, and for one Ditto object of it', async (t) => {
  const directory = await folder(t);
  const ditto = await open(directory);
  await refused(open(directory), 'store/persistence-directory-locked');
  const other = `import { Ditto, DittoConfig } from '${entry}';
    const opening = Ditto.open(new DittoConfig('files', { mode: 'smallPeersOnly' }, ${JSON.stringify(directory)}));
    console.log(await opening.then(() => 'opened', ({ code }) => code));`;
  assert.equal((await ended(run(other))).trim(), 'store/persistence-directory-locked');
  await ditto.store.execute(insert, { doc: { _id: '1', n: 1 } });
  await ditto.close();
  const again = await open(directory);
  assert.deepEqual(await numbers(again), [1]);
  await again.close();
  // A number that was used again: the process lives, but it is not the one that took the lock.
  await writeFile(path.join(directory, 'lock'), `${process.pid}\nanother start\nanother id\n`);
  await (await open(directory)).close();
});

test('of many processes that meet a stale lock one opens the directory', async (t) => {
  const directory = await folder(t);
  await (await open(directory)).close();
  await writeFile(path.join(directory, 'lock'), '999999999\n\nstale\n');
  const program = `import { Ditto, DittoConfig } from '${entry}';
    const opening = Ditto.open(new DittoConfig('files', { mode: 'smallPeersOnly' }, ${JSON.stringify(directory)}));
    console.log(await opening.then(() => 'opened', ({ code }) => code));
    process.stdin.once('data', () => process.exit());`;
  const children = Array.from({ length: 4 }, () => run(program));
  t.after(() => children.forEach((child) => child.kill('SIGKILL')));
  const answers = await Promise.all(children.map((child) => new Promise((resolve) => child.stdout.once('data', (text) => resolve(String(text).trim())))));
  assert.deepEqual(answers.sort(), ['opened', ...Array(3).fill('store/persistence-directory-locked')]);
});

test('a directory of another database is refused and unlocked', async (t) => {
  const directory = await folder(t);
  await (await open(directory)).close();
  await refused(Ditto.open(config(directory, 'another')), 'validation/invalid-ditto-config');
  await (await open(directory)).close();
});

test('a directory that cannot be made is a typed error', async (t) => {
  const directory = await folder(t);
  await writeFile(directory, 'a file is in the way');
  await refused(open(directory), 'io/operation-failed');
  await refused(open(''), 'validation/invalid-ditto-config');
});

test('a process killed under load loses nothing that it had acknowledged, twenty times', async (t) => {
  const directory = await folder(t);
  // Writes without waiting for each other, so that groups are in flight; large enough that flushes come between.
  const program = `import { Ditto, DittoConfig } from '${entry}';
    const ditto = await Ditto.open(new DittoConfig('files', { mode: 'smallPeersOnly' }, ${JSON.stringify(directory)}));
    const { items } = await ditto.store.execute('SELECT n FROM a ORDER BY n DESC LIMIT 1');
    let n = items.length === 0 ? 0 : items[0].value.n + 1;
    const write = async () => {
      for (;;) {
        const mine = n++;
        await ditto.store.execute('INSERT INTO a DOCUMENTS (:doc)', { doc: { _id: 'n' + mine, n: mine, text: 'x'.repeat(2000) } }, { durability: mine % 50 === 0 ? 'strict' : 'relaxed' });
        process.stdout.write(mine + '\\n');
      }
    };
    for (let writer = 0; writer < 8; writer += 1) void write();`;
  const acknowledged = new Set();
  for (let round = 0; round < 20; round += 1) {
    const before = acknowledged.size;
    const child = run(program);
    let text = '';
    // Rounds of different length, so that the kill falls everywhere.
    const enough = 300 + round * 150;
    child.stdout.on('data', (chunk) => {
      text += chunk;
      if (text.length > enough) child.kill('SIGKILL');
    });
    await ended(child);
    assert.equal(child.signalCode, 'SIGKILL');
    for (const line of text.slice(0, text.lastIndexOf('\n')).split('\n')) acknowledged.add(Number(line));
    assert.ok(acknowledged.size > before, 'the round wrote something');
    const ditto = await open(directory);
    const kept = new Set(await numbers(ditto));
    await ditto.close();
    assert.deepEqual([...acknowledged].filter((n) => !kept.has(n)), [], `round ${round}`);
  }
  t.diagnostic(`${acknowledged.size} acknowledged writes`);
});

test('a torn end of the log is cut off, and what lies before it is kept', async (t) => {
  const directory = await folder(t);
  let ditto = await open(directory);
  for (const n of [1, 2, 3]) await ditto.store.execute(insert, { doc: { _id: `${n}`, n } });
  await ditto.close();
  const log = await logFile(directory);
  await truncate(log, (await stat(log)).size - 3);
  ditto = await open(directory);
  assert.deepEqual(await numbers(ditto), [1, 2]);
  await ditto.store.execute(insert, { doc: { _id: '4', n: 4 } });
  await ditto.close();
  ditto = await open(directory);
  assert.deepEqual(await numbers(ditto), [1, 2, 4]);
  await ditto.close();
});

test('a flipped byte in the log costs one commit, and one in the catalog is a typed error', async (t) => {
  const directory = await folder(t);
  let ditto = await open(directory);
  for (const n of [1, 2, 3]) await ditto.store.execute(insert, { doc: { _id: `${n}`, n, mark: `mark-${n}` } });
  await ditto.close();
  await flip(await logFile(directory), 'mark-2');
  ditto = await open(directory);
  assert.deepEqual(await numbers(ditto), [1, 3]);
  await ditto.store.execute(insert, { doc: { _id: '4', n: 4 } });
  await ditto.close();
  await flip(path.join(directory, 'catalog'), 'identity');
  await refused(open(directory), 'store/backend');
});

test('a flipped byte in a segment is told, and the rest of the store stays usable', async (t) => {
  const directory = await folder(t);
  let ditto = await open(directory);
  // Random letters, so that no compression makes them others.
  const text = (n) => `${n}-${crypto.randomUUID()}`.repeat(8);
  for (let at = 0; at < 6000; at += 500) {
    const docs = Array.from({ length: 500 }, (_, n) => ({ _id: `n${at + n}`, n: at + n, text: text(at + n) }));
    await ditto.store.execute('INSERT INTO a DOCUMENTS (:docs)', { docs });
  }
  await until(async () => (await ditto.storage.usage()).segmentBytes > 0);
  await ditto.close();
  const [block] = (await readdir(directory)).filter((name) => name.startsWith('block-')).sort();
  const file = path.join(directory, block);
  const bytes = await readFile(file);
  bytes[bytes.length >> 1] ^= 1;
  await writeFile(file, bytes);
  ditto = await open(directory);
  const { items } = await ditto.store.execute('SELECT COUNT(*) AS n FROM a WHERE text IS NOT NULL');
  assert.ok(items[0].value.n > 0 && items[0].value.n < 6000, `${items[0].value.n}`);
  await until(() => ditto.storage.damaged !== null);
  assert.match(ditto.storage.damaged, /^segment \d+$/);
  await ditto.close();
});

test('an encrypted directory opens with its secret only, and nothing in it can be read', async (t) => {
  const words = ['Qz7vKp2mXw9tRb4n', 'Lf3hYc8sGd6jNu1e', 'Vo5aTk0iBq2xWz7r'];
  const fill = async (directory, options) => {
    const ditto = await open(directory, options);
    const [text, id, collection] = words;
    await ditto.store.execute(`INSERT INTO ${collection} DOCUMENTS (:doc)`, { doc: { _id: id, text } });
    for (let at = 0; at < 6000; at += 500) {
      const docs = Array.from({ length: 500 }, (_, n) => ({ _id: `n${at + n}`, text: crypto.randomUUID().repeat(8) }));
      await ditto.store.execute('INSERT INTO a DOCUMENTS (:docs)', { docs });
    }
    await until(async () => (await ditto.storage.usage()).segmentBytes > 0);
    await ditto.store.execute(`UPDATE ${collection} SET again = :text WHERE _id = :id`, { text, id });
    await ditto.close();
  };
  const readable = async (directory) => {
    const names = await readdir(directory);
    const files = await Promise.all(names.map((name) => readFile(path.join(directory, name))));
    return words.filter((word) => files.some((bytes) => bytes.includes(word)));
  };
  const plain = await folder(t);
  await fill(plain, {});
  assert.deepEqual(await readable(plain), words, 'the search finds what is not encrypted');
  const directory = await folder(t);
  const encryption = { key: crypto.getRandomValues(new Uint8Array(32)) };
  await fill(directory, { encryption });
  assert.deepEqual(await readable(directory), []);

  const files = async () => Promise.all((await readdir(directory)).sort().map(async (name) => [name, await readFile(path.join(directory, name))]));
  const before = await files();
  await refused(open(directory), 'encryption/passphrase-missing');
  await refused(open(directory, { encryption: { key: new Uint8Array(32) } }), 'encryption/wrong-key');
  await refused(open(directory, { encryption: { passphrase: 'wrong horse' } }), 'encryption/wrong-key');
  await refused(open(plain, { encryption }), 'encryption/extraneous-passphrase-given');
  assert.deepEqual(await files(), before, 'nothing was touched');

  let ditto = await open(directory, { encryption });
  const next = { passphrase: 'correct horse battery staple' };
  await refused(ditto.storage.changeEncryptionKey(next, next), 'encryption/wrong-key');
  await ditto.storage.changeEncryptionKey(encryption, next);
  await ditto.close();
  await refused(open(directory, { encryption }), 'encryption/wrong-key');
  ditto = await open(directory, { encryption: next });
  assert.equal((await ditto.store.execute(`SELECT again FROM ${words[2]}`)).items[0].value.again, words[0]);
  // Flushed log goes; this stays in it.
  await ditto.store.execute("INSERT INTO b DOCUMENTS ({'_id': 'last'})");
  await ditto.close();
  await flip(await logFile(directory), -40);
  ditto = await open(directory, { encryption: next });
  assert.equal((await ditto.store.execute('SELECT COUNT(*) AS n FROM a')).items[0].value.n, 6000);
  await ditto.close();
});

test('a secret that could lock nothing is refused', async () => {
  for (const encryption of [{ passphrase: '' }, { key: new Uint8Array(31) }, {}, { key: 'x'.repeat(32) }, { passphrase: 'a', key: new Uint8Array(32) }, null]) {
    const opening = Ditto.open(new DittoConfig('memory', { mode: 'smallPeersOnly' }), { encryption });
    await refused(opening, 'validation/invalid-ditto-config');
  }
});

/** Flips a bit of the first byte of a text in a file, or of the byte that far from its end. */
async function flip(file, place) {
  const bytes = await readFile(file);
  const at = typeof place === 'number' ? bytes.length + place : bytes.indexOf(place);
  assert.ok(at >= 0, `${place} is in the file`);
  bytes[at] ^= 1;
  await writeFile(file, bytes);
}

function run(program, cwd) {
  return spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: ['pipe', 'pipe', 'inherit'], cwd });
}

/** What a process has said when it has ended. */
async function ended(child) {
  let text = '';
  child.stdout.on('data', (chunk) => (text += chunk));
  if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once('close', resolve));
  return text;
}

/** Asks again and again; the test's own time limit ends what never becomes true. */
async function until(condition) {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
