// An editor in a page: CodeMirror 6 with y-codemirror.next over a field bound by ditto.store.yDoc, as `window.editor`.

import { build } from 'esbuild';
import { here } from './harness.mjs';

const source = `
  import { EditorState } from '@codemirror/state';
  import { EditorView } from '@codemirror/view';
  import { yCollab } from 'y-codemirror.next';
  import { Awareness } from 'y-protocols/awareness';
  import * as Y from 'yjs';

  window.openEditor = async (collection, id, path, user) => {
    const doc = new Y.Doc();
    const awareness = new Awareness(doc);
    awareness.setLocalStateField('user', { name: user });
    const binding = await window.ditto.store.yDoc(collection, id, path, { Y, doc, awareness });
    const text = doc.getText('default');
    const state = EditorState.create({ doc: text.toString(), extensions: [yCollab(text, awareness)] });
    const view = new EditorView({ state, parent: document.body });
    window.editor = { binding, doc, text, view, awareness };
  };
`;

let bundle;

/** Opens an editor in a peer's page. */
export async function openEditor(peer, { collection, id, path, user }) {
  bundle ??= build({ stdin: { contents: source, resolveDir: here }, bundle: true, format: 'iife', write: false, logLevel: 'silent' });
  const { outputFiles } = await bundle;
  await peer.page.addScriptTag({ content: outputFiles[0].text });
  await peer.page.evaluate((given) => window.openEditor(...given), [collection, id, path, user]);
  return new Editor(peer.page);
}

class Editor {
  constructor(page) {
    this.page = page;
  }

  /** Clicks into the text, goes to its start or end and types there, key after key. */
  async type(place, text) {
    await this.page.click('.cm-content');
    await this.page.keyboard.press(place === 'start' ? 'Control+Home' : 'Control+End');
    await this.page.keyboard.type(text, { delay: 5 });
  }

  /** What the editor shows. */
  shown() {
    return this.page.evaluate(() => window.editor.view.state.doc.toString());
  }

  /** Everything typed is written, and everything known is shown. */
  synced() {
    return this.page.evaluate(() => window.editor.binding.synced && window.editor.text.toString() === window.editor.view.state.doc.toString());
  }

  /** The names of everybody who edits, in order. */
  users() {
    return this.page.evaluate(() => [...window.editor.awareness.getStates().values()].map(({ user }) => user?.name).filter(Boolean).sort());
  }
}
