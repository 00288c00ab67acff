import assert from 'node:assert/strict';
import { openEditor } from './editor-page.mjs';
import { eventually, scenario } from './harness.mjs';

const field = { collection: 'notes', id: 'n1', path: 'body' };
const body = 'SELECT body FROM notes';

scenario('two browsers edit one text with CodeMirror, one offline for a while, and both have everything', async (stage) => {
  const bigPeer = await stage.bigPeer();
  const site = await stage.site();
  const options = { bigPeer, subscriptions: ['notes'] };
  const peers = [await stage.peer(await stage.context(), site, options), await stage.peer(await stage.context(), site, options)];
  for (const peer of peers) await peer.inSync();

  // Neither knows of the other's field: both make it.
  for (const peer of peers) await peer.stop();
  const [a, b] = await Promise.all(['ann', 'bob'].map((user, at) => openEditor(peers[at], { ...field, user })));
  await Promise.all([a.type('start', 'from ann.'), b.type('start', 'from bob.')]);
  for (const peer of peers) await peer.start();
  await converged([a, b], (text) => text.length === 18 && text.includes('from ann.') && text.includes('from bob.'));
  for (const editor of [a, b]) await eventually('they see each other', () => editor.users(), ['ann', 'bob']);

  await Promise.all([a.type('start', 'both at once, '), b.type('end', ' here and there')]);
  await converged([a, b], (text) => text.startsWith('both at once, ') && text.endsWith(' here and there'));

  await peers[1].stop();
  await Promise.all([a.type('end', ' while apart'), b.type('start', 'offline 😀: ')]);
  assert.ok(!(await a.shown()).includes('offline'));
  await eventually('what is typed offline is stored', async () => (await peers[1].rows(body))[0].body.startsWith('offline 😀: '));
  await bigPeer.ask("UPDATE COLLECTION notes (body TEXT) APPLY body SPLICE (0, 4, 'Both')");
  await peers[1].start();
  const expected = (text) => text.startsWith('offline 😀: Both at once, ') && text.endsWith(' while apart');
  const text = await converged([a, b], expected);
  for (const peer of peers) assert.deepEqual(await peer.rows(body), [{ body: text }]);
  await eventually('the same at the Big Peer', () => bigPeer.rows(body), [{ body: text }]);

  // An editor that comes later begins with all of it.
  await peers[0].reload();
  const again = await openEditor(peers[0], { ...field, user: 'ann' });
  assert.equal(await again.shown(), text);
});

scenario('two tabs of one store edit one text and know of each other', async (stage) => {
  const context = await stage.context();
  const site = await stage.site();
  const peers = [await stage.peer(context, site, { subscriptions: [], start: false }), await stage.peer(context, site, { subscriptions: [], start: false })];
  const [a, b] = [await openEditor(peers[0], { ...field, user: 'ann' }), await openEditor(peers[1], { ...field, user: 'bob' })];
  await a.type('start', 'one');
  await b.type('end', 'two');
  await converged([a, b], (text) => text.includes('one') && text.includes('two'));
  for (const editor of [a, b]) await eventually('they see each other', () => editor.users(), ['ann', 'bob']);
  await peers[0].page.evaluate(() => window.editor.binding.destroy());
  await eventually('ann has left', () => b.users(), ['bob']);
});

/** Waits until all editors show one text that is as expected, and returns it. */
async function converged(editors, expected) {
  const all = () => Promise.all(editors.map(async (editor) => ((await editor.synced()) ? editor.shown() : null)));
  const probe = async () => {
    const [first, ...others] = await all();
    return first !== null && expected(first) && others.every((other) => other === first) ? 'one text' : [first, ...others];
  };
  await eventually('all editors show one text', probe, 'one text');
  return editors[0].shown();
}
