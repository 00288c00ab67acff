// Pages driven by the bare DevTools protocol. Playwright keeps its pages visible and out of the back-forward cache; what a
// page does when it is hidden, frozen or cached is only seen without it.

import { database, eventually, token } from './harness.mjs';

/** A browser as a person has it: one window, in which the tab opened last is the visible one. */
export class BareBrowser {
  #connection;

  static async start(stage) {
    const browser = new BareBrowser();
    browser.#connection = new Connection(await stage.pipedBrowser());
    return browser;
  }

  async tab(url, scripts = []) {
    const { targetId } = await this.#connection.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.#connection.send('Target.attachToTarget', { targetId, flatten: true });
    const tab = new BareTab(this.#connection, targetId, sessionId);
    await tab.send('Page.enable');
    for (const script of scripts) await tab.send('Page.addScriptToEvaluateOnNewDocument', { source: `(${script})()` });
    await tab.go(url);
    return tab;
  }
}

class BareTab {
  #connection;
  #targetId;
  #sessionId;

  constructor(connection, targetId, sessionId) {
    this.#connection = connection;
    this.#targetId = targetId;
    this.#sessionId = sessionId;
  }

  send(method, params) {
    return this.#connection.send(method, params, this.#sessionId);
  }

  hear(method, heard) {
    this.#connection.hear(method, this.#sessionId, heard);
  }

  go(url) {
    return this.send('Page.navigate', { url });
  }

  async back() {
    const { currentIndex, entries } = await this.send('Page.getNavigationHistory');
    await this.send('Page.navigateToHistoryEntry', { entryId: entries[currentIndex - 1].id });
  }

  show() {
    return this.#connection.send('Target.activateTarget', { targetId: this.#targetId });
  }

  close() {
    return this.#connection.send('Target.closeTarget', { targetId: this.#targetId });
  }

  /** The value of an expression; promises are awaited. */
  async value(expression) {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  eventually(what, expression, expected) {
    return eventually(what, () => this.value(expression), expected);
  }

  /** Opens a replica, as `Peer` of the harness does; `window.rows(query)` then answers plain rows. */
  async open(bigPeer, collections) {
    await this.eventually('the page is loaded', 'document.readyState === "complete" && window.shoal !== undefined', true);
    await this.value(`(async () => {
      const { init, Ditto, DittoConfig, Authenticator } = window.shoal;
      await init({ webAssemblyModule: window.wasmAddress });
      const connect = { mode: 'server', url: ${JSON.stringify(bigPeer.url)} };
      const ditto = await Ditto.open(new DittoConfig(${JSON.stringify(database)}, connect, 'replica'));
      await ditto.auth.setExpirationHandler((expiring) => expiring.auth.login(${JSON.stringify(token)}, Authenticator.DEVELOPMENT_PROVIDER));
      for (const name of ${JSON.stringify(collections)}) ditto.sync.registerSubscription('SELECT * FROM ' + name);
      ditto.sync.start();
      window.ditto = ditto;
      window.rows = async (query) => (await ditto.store.execute(query)).items.map((item) => JSON.parse(item.jsonString()));
    })()`);
  }

  rows(query) {
    return this.value(`window.rows(${JSON.stringify(query)})`);
  }
}

class Connection {
  #input;
  #next = 1;
  #waiting = new Map();
  #listeners = [];

  constructor({ input, output }) {
    this.#input = input;
    let text = '';
    output.setEncoding('utf8').on('data', (chunk) => {
      const messages = (text + chunk).split('\0');
      text = messages.pop();
      for (const message of messages) this.#take(JSON.parse(message));
    });
    // The browser is killed when the scenario ends, maybe in the middle of a message.
    input.on('error', () => undefined);
  }

  send(method, params = {}, sessionId) {
    const id = this.#next;
    this.#next += 1;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  hear(method, sessionId, heard) {
    this.#listeners.push({ method, sessionId, heard });
  }

  #take({ id, result, error, method, params, sessionId }) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) waiting?.reject(new Error(error.message));
    else waiting?.resolve(result);
    for (const listener of this.#listeners) {
      if (listener.method === method && listener.sessionId === sessionId) listener.heard(params);
    }
  }
}
