import assert from 'node:assert/strict';
import { lstat, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { eventually, scenario } from './harness.mjs';

const secret = { passphrase: 'correct horse battery staple' };
const ids = 'SELECT _id FROM movies ORDER BY _id';
// Random letters: neither a segment's compression nor LevelDB's makes them another text.
const words = { document: 'Qz7vKp2mXw9tRb4n', id: 'Lf3hYc8sGd6jNu1e', collection: 'Vo5aTk0iBq2xWz7r', field: 'Hm9pEj4uSy6lCf8d' };

scenario('nothing of an encrypted store can be read in the files of the browser', async (stage) => {
  // The same writes without encryption are found: so the search would find them.
  assert.deepEqual(await readableWords(stage, undefined), Object.keys(words).sort());
  assert.deepEqual(await readableWords(stage, secret), []);
});

scenario('an encrypted store opens with its secret only', async (stage) => {
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { start: false, encryption: secret });
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  assert.equal(await reopening(peer, { passphrase: 'wrong horse' }), 'encryption/wrong-key');
  assert.equal(await reopening(peer, { key: [...new Uint8Array(32)] }), 'encryption/wrong-key');
  assert.equal(await reopening(peer, undefined), 'encryption/passphrase-missing');
  assert.equal(await reopening(peer, { passphrase: '' }), 'validation/invalid-ditto-config');
  await peer.reload({ encryption: secret });
  assert.deepEqual(await peer.rows(ids), [{ _id: '1' }]);
});

scenario('a secret for a store that is not encrypted is refused, and the store stays as it is', async (stage) => {
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { start: false });
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  assert.equal(await reopening(peer, secret), 'encryption/extraneous-passphrase-given');
  await peer.reload();
  assert.deepEqual(await peer.rows(ids), [{ _id: '1' }]);
  const changed = await peer.page.evaluate((given) => window.ditto.storage.changeEncryptionKey(given, given).catch(({ code }) => code), secret);
  assert.equal(changed, 'encryption/extraneous-passphrase-given');
});

scenario('two tabs share an encrypted store, and a new secret replaces the old one', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  // Both at once: one of them makes the key.
  const options = { start: false, encryption: secret };
  const [first, second] = await Promise.all([stage.peer(context, site, options), stage.peer(context, site, options)]);
  await first.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  await second.eventually(ids, {}, [{ _id: '1' }]);
  const next = { passphrase: 'żółw' };
  const change = (peer, from, to) =>
    peer.page.evaluate(([current, given]) => window.ditto.storage.changeEncryptionKey(current, given).then(() => 'changed', ({ code }) => code), [from, to]);
  assert.equal(await change(first, next, next), 'encryption/wrong-key');
  assert.equal(await change(first, secret, next), 'changed');
  assert.equal(await change(second, secret, next), 'encryption/wrong-key');
  // The other tab goes on, and opens with the new secret only.
  await second.rows("INSERT INTO movies DOCUMENTS ({'_id': '2'})");
  await first.eventually(ids, {}, [{ _id: '1' }, { _id: '2' }]);
  assert.equal(await reopening(second, secret), 'encryption/wrong-key');
  await second.reload({ encryption: next });
  assert.deepEqual(await second.rows(ids), [{ _id: '1' }, { _id: '2' }]);
});

scenario('an encrypted store keeps every write through a killed browser, flushed segments included', async (stage) => {
  const site = await stage.site();
  const profile = await stage.folder();
  const first = await stage.killableBrowser(profile);
  const peer = await stage.peer(first.context, site, { start: false, encryption: secret });
  const documents = Array.from({ length: 6000 }, (_, n) => ({ _id: `n${n}`, text: `${n} `.repeat(100) }));
  for (let at = 0; at < documents.length; at += 500) {
    await peer.rows('INSERT INTO movies DOCUMENTS (:documents)', { documents: documents.slice(at, at + 500) });
  }
  await eventually('the memtable is flushed', async () => (await usage(peer)).segmentBytes > 0);
  await first.kill();
  const second = await stage.killableBrowser(profile);
  const survivor = await stage.peer(second.context, site, { start: false, encryption: secret });
  assert.equal(await survivor.count(), documents.length);
  assert.deepEqual(await survivor.rows("SELECT * FROM movies WHERE _id = 'n777'"), [documents[777]]);
});

scenario('without IndexedDB an encrypted store is in memory like any other', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  await context.addInitScript(() => Object.defineProperty(window, 'indexedDB', { value: undefined, configurable: true }));
  const peer = await stage.peer(context, site, { start: false, encryption: secret });
  assert.equal(await peer.page.evaluate(() => window.ditto.storage.mode), 'memory');
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  assert.deepEqual(await peer.rows(ids), [{ _id: '1' }]);
});

const usage = (peer) => peer.page.evaluate(() => window.ditto.storage.usage());

/** The code that a reload with this secret ends in. */
async function reopening(peer, encryption) {
  await peer.page.reload();
  await peer.page.waitForFunction(() => window.shoal !== undefined);
  return peer.page.evaluate(async ([database, directory, given]) => {
    const { init, Ditto, DittoConfig } = window.shoal;
    await init({ webAssemblyModule: window.wasmAddress });
    const key = given?.key === undefined ? given : { key: new Uint8Array(given.key) };
    const opening = Ditto.open(new DittoConfig(database, { mode: 'smallPeersOnly' }, directory), { encryption: key });
    return opening.then(() => 'opened', ({ code }) => code);
  }, [peer.options.database, peer.options.directory, encryption]);
}

/** Which of the words a killed browser leaves readable: some written just now, some long flushed. */
async function readableWords(stage, encryption) {
  const site = await stage.site();
  const profile = await stage.folder();
  const { context, kill } = await stage.killableBrowser(profile);
  const peer = await stage.peer(context, site, { start: false, encryption });
  const insert = (_id) => {
    const doc = { _id, [words.field]: words.document };
    return peer.rows(`INSERT INTO ${words.collection} DOCUMENTS (:doc)`, { doc });
  };
  await insert(`${words.id}-first`);
  for (let round = 0; round < 24; round += 1) {
    const documents = Array.from({ length: 200 }, (_, n) => ({ _id: `${round}-${n}`, text: crypto.randomUUID().repeat(8) }));
    await peer.rows('INSERT INTO movies DOCUMENTS (:documents)', { documents });
  }
  await eventually('the memtable is flushed', async () => (await usage(peer)).segmentBytes > 0);
  await insert(`${words.id}-last`);
  await kill();
  const found = new Set();
  for (const file of await readdir(profile, { recursive: true })) {
    const full = path.join(profile, file);
    if (!(await lstat(full)).isFile()) continue;
    const bytes = await readFile(full);
    for (const [name, word] of Object.entries(words)) {
      if (bytes.includes(word) || bytes.includes(Buffer.from(word, 'utf16le'))) found.add(name);
    }
  }
  return [...found].sort();
}
