// Stock yjs and the engine: random histories of Y.Docs and statements on one field end in one content.

import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Awareness } from 'y-protocols/awareness';
import * as Y from 'yjs';
import { eventually, packageFolder } from './harness.mjs';

const { Ditto, DittoConfig, DittoError } = await import(pathToFileURL(path.join(packageFolder, 'dist/index.js')));

let count = 0;

async function open(t) {
  const ditto = await Ditto.open(new DittoConfig(`yjs-${(count += 1)}`, { mode: 'smallPeersOnly' }));
  t.after(() => ditto.close());
  return ditto;
}

/** Numbers below a bound, the same for the same seed (mulberry32). */
function randomOf(seed) {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

const words = ['a', 'bc', ' ', 'ż', '😀', 'x😁y', '\n', '&<>"'];
const items = [1, -7, 2.5, 'text', null, true, [1, ['a']], { a: 1, b: { d: 1, c: 2 } }, 2 ** 40];

/** What an editor does to each kind of root, and how its content looks in a statement. */
const kinds = {
  text: {
    type: 'TEXT',
    root: (doc) => doc.getText('default'),
    edit(root, random) {
      const at = whole(root.toString(), random(root.length + 1));
      if (random(3) > 0) root.insert(at, words[random(words.length)]);
      else root.delete(at, whole(root.toString(), Math.min(root.length, at + random(4))) - at);
    },
    splice(shown, random) {
      const at = whole(shown, random(shown.length + 1));
      return { at, remove: whole(shown, Math.min(shown.length, at + random(3))) - at, insert: words[random(words.length)] };
    },
    content: (root) => root.toString(),
  },
  list: {
    type: 'LIST',
    root: (doc) => doc.getArray('default'),
    edit(root, random) {
      const at = random(root.length + 1);
      if (random(3) > 0) root.insert(at, [items[random(items.length)]]);
      else root.delete(at, Math.min(root.length - at, random(3)));
    },
    splice(shown, random) {
      const at = random(shown.length + 1);
      return { at, remove: Math.min(shown.length - at, random(2)), insert: [items[random(items.length)]] };
    },
    content: (root) => root.toJSON(),
  },
  xml: {
    type: 'XML',
    root: (doc) => doc.getXmlFragment('default'),
    edit(root, random) {
      const at = random(root.length + 1);
      if (random(3) === 0) return root.delete(at, Math.min(root.length - at, random(2)));
      const element = new Y.XmlElement(['p', 'h1'][random(2)]);
      element.setAttribute('b', words[random(words.length)]);
      element.setAttribute('a', '1');
      const text = new Y.XmlText(words[random(words.length)]);
      root.insert(at, [element]);
      element.insert(0, [text]);
      if (random(2) === 0) text.format(0, text.length, { link: { href: 'h', target: 't', rel: 'r' } });
    },
    splice: (_shown, random) => ({ at: 0, remove: 0, insert: `<p a="${random(9)}">spliced</p>` }),
    content: (root) => printed(root),
  },
};

/** The place itself, or the one before it if it is inside a character. */
const whole = (text, at) => (/[\udc00-\udfff]/.test(text[at] ?? '') ? at - 1 : at);

const escaped = (text) => text.replace(/[&<>"]/g, (one) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[one]);
const attributes = (fields) => Object.keys(fields).sort().map((name) => ` ${name}="${escaped(fields[name])}"`).join('');

/** XML as docs/crdt.md says it; written here once more, from Yjs itself. */
function printed(node) {
  if (node instanceof Y.XmlText) {
    return node.toDelta().map(({ insert, attributes: marks = {} }) => {
      const names = Object.keys(marks).sort();
      return names.map((name) => `<${name}${attributes(marks[name])}>`).join('') + escaped(insert) + names.reverse().map((name) => `</${name}>`).join('');
    }).join('');
  }
  const inner = node.toArray().map(printed).join('');
  return node instanceof Y.XmlElement ? `<${node.nodeName}${attributes(node.getAttributes())}>${inner}</${node.nodeName}>` : inner;
}

const seeds = [1, 2, 3, 4, 5, Number(process.env.SHOAL_YJS_SEED ?? Math.floor(Math.random() * 2 ** 31))];

for (const [kind, { type, root, edit, splice, content }] of Object.entries(kinds)) {
  test(`random histories of two editors and statements end in one ${type}`, async (t) => {
    const { store } = await open(t);
    for (const seed of seeds) {
      const random = randomOf(seed);
      const id = `${kind}-${seed}`;
      const shown = async () => (await store.execute(`SELECT f FROM COLLECTION c (f ${type}) WHERE _id = :id`, { id })).items[0]?.value.f;
      const bound = await Promise.all([0, 1].map(() => store.yDoc('c', id, 'f', { Y, kind, gatherMs: random(3) })));
      for (let step = 0; step < 60; step += 1) {
        const author = random(3);
        if (author < 2) {
          const { doc } = bound[author];
          doc.transact(() => edit(root(doc), random));
          // Yjs keeps text that somebody splits; only whole characters are compared.
        } else if ((await shown()) !== undefined) {
          const { at, remove, insert } = splice(await shown(), random);
          // Somebody may have written between the two statements; then the place is refused, and nothing is changed.
          await store.execute(`UPDATE COLLECTION c (f ${type}) APPLY f SPLICE (:at, :remove, :insert) WHERE _id = :id`, { id, at, remove, insert })
            .catch((error) => assert.equal(error.code, 'store/crdt', String(error)));
        }
        if (random(4) === 0) await new Promise((resolve) => setTimeout(resolve, random(4)));
      }
      await Promise.all(bound.map((binding) => binding.flush()));
      await eventually(`seed ${seed}: both editors have everything`, () => bound.every((binding) => binding.synced));
      const [first, second] = bound.map(({ doc }) => content(root(doc)));
      assert.deepEqual(first, second, `seed ${seed}`);
      assert.deepEqual((await shown()) ?? content(root(new Y.Doc())), first, `seed ${seed}`);
      const fresh = await store.yDoc('c', id, 'f', { Y });
      assert.deepEqual(content(root(fresh.doc)), first, `seed ${seed}: a new editor`);
      assert.deepEqual(Y.encodeStateVector(fresh.doc), Y.encodeStateVector(bound[0].doc), `seed ${seed}`);
      for (const binding of [...bound, fresh]) await binding.destroy();
    }
    t.diagnostic(`seeds ${seeds.join(', ')}`);
  });
}

test('what is typed is written on flush, on destroy and on close, with few commits', async (t) => {
  const { store } = await open(t);
  const binding = await store.yDoc('notes', 'n1', 'body', { Y, doc: new Y.Doc() });
  const text = binding.doc.getText('default');
  const query = 'SELECT body FROM notes';
  const body = async () => (await store.execute(query)).items[0]?.value.body;
  const answers = [];
  store.registerObserver(query, (result) => answers.push(result.items[0]?.value.body));
  for (const letter of 'hello') text.insert(text.length, letter);
  assert.equal(binding.synced, false);
  assert.equal(await body(), undefined);
  await binding.flush();
  assert.equal(binding.synced, true);
  assert.equal(await body(), 'hello');
  await eventually('the observer has seen one commit', () => answers.at(-1), 'hello');
  assert.deepEqual(answers.filter((answer) => answer !== undefined), ['hello']);
  text.insert(5, ' world');
  await binding.destroy();
  assert.equal(await body(), 'hello world');
  text.insert(0, 'not written: ');
  await store.execute("UPDATE COLLECTION notes (body TEXT) APPLY body SPLICE (0, 5, 'Bye,')");
  assert.equal(await body(), 'Bye, world');
  assert.equal(text.toString(), 'not written: hello world');
});

test('a document that is bound brings what it holds, and is told when its field is gone', async (t) => {
  const { store } = await open(t);
  const doc = new Y.Doc();
  doc.getText('default').insert(0, 'own');
  let ended;
  const binding = await store.yDoc('notes', 'n1', ['deep', 'body'], { Y, doc, onEnded: (error) => (ended = error) });
  assert.deepEqual((await store.execute('SELECT deep FROM notes')).items[0].value, { deep: { body: 'own' } });
  await assert.rejects(store.yDoc('notes', 'n1', ['deep', 'body'], { Y, kind: 'list' }), DittoError);
  await assert.rejects(store.yDoc('notes', 1.5, 'body', { Y }), (error) => error.code === 'query/arguments-invalid');
  await assert.rejects(store.yDoc('notes', 'n1', '_id', { Y }), (error) => error.code === 'query/arguments-invalid');
  await assert.rejects(store.yDoc('notes', 'n1', 'body', {}), (error) => error.code === 'query/arguments-invalid');
  await store.execute('DELETE FROM notes');
  await eventually('the binding has ended', () => ended?.code, 'store/crdt');
  assert.equal(binding.synced, false);
});

test('awareness reaches the other editors of a field, and leaves with its editor', async (t) => {
  const { store } = await open(t);
  const bind = async (id, user) => {
    const doc = new Y.Doc();
    const awareness = new Awareness(doc);
    t.after(() => awareness.destroy());
    if (user) awareness.setLocalState({ user });
    return { awareness, binding: await store.yDoc('notes', id, 'body', { Y, doc, awareness }) };
  };
  const users = ({ awareness }) => [...awareness.getStates().values()].map(({ user }) => user).filter(Boolean).sort();
  const [a, b, other] = [await bind('n1', 'ann'), await bind('n1', 'bob'), await bind('n2', 'eve')];
  await eventually('bob knows ann', () => users(b), ['ann', 'bob']);
  await eventually('ann knows bob', () => users(a), ['ann', 'bob']);
  a.awareness.setLocalState({ user: 'anna' });
  await eventually('bob sees the change', () => users(b), ['anna', 'bob']);
  await a.binding.destroy();
  await eventually('ann has left', () => users(b), ['bob']);
  assert.deepEqual(users(other), ['eve']);
});
