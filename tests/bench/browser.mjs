// One Chromium on a profile folder: what it stores goes to the disk, as a user's does. (A context without a profile keeps IndexedDB in
// memory and would measure something else.)

import { chromium } from 'playwright-core';

export const chromiumBinary = process.env.SHOAL_CHROMIUM ?? '/usr/bin/chromium';

// As in webdriver.json and the end-to-end tests; a page in the background must not be slowed down while another one is measured.
const chromiumArguments = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
  '--disable-features=Translate,OptimizationHints,MediaRouter',
  '--enable-precise-memory-info',
];
/** Far above any operation that is worth measuring; what hangs must not take the others with it. */
const operationLimitMs = 300_000;

export class Browser {
  #context;

  static async launch(profile) {
    const browser = new Browser();
    // Signals are the driver's: it closes the browser and removes the profile.
    const signals = { handleSIGHUP: false, handleSIGINT: false, handleSIGTERM: false };
    browser.#context = await chromium.launchPersistentContext(profile, { executablePath: chromiumBinary, args: chromiumArguments, ...signals });
    browser.#context.setDefaultTimeout(operationLimitMs);
    return browser;
  }

  version() {
    return this.#context.browser()?.version() ?? null;
  }

  /** A fresh page of a contestant, its module loaded. */
  async page(address) {
    const page = new Page(await this.#context.newPage());
    await page.load(address);
    return page;
  }

  close() {
    return this.#context.close();
  }
}

class Page {
  #page;
  #problems = [];

  constructor(page) {
    this.#page = page;
    page.on('pageerror', (error) => this.#problems.push(error.message));
    page.on('crash', () => this.#problems.push('the page crashed'));
  }

  async load(address) {
    await this.#page.goto(address);
    await this.#page.waitForFunction(() => window.bench !== undefined);
    await this.do('start');
  }

  /** Calls an operation of the page and returns its answer. */
  async do(operation, ...given) {
    const call = ([name, values]) => window.bench[name](...values);
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${operationLimitMs / 1000} s`)), operationLimitMs);
    });
    try {
      return await Promise.race([this.#page.evaluate(call, [operation, given]), late]);
    } catch (error) {
      throw new Error([`${operation}: ${error.message}`, ...this.#problems].join('\n'));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Bytes of live JavaScript objects after a collection, buffers included; the memory of a WebAssembly module is apart. */
  async memory() {
    const devtools = await this.#page.context().newCDPSession(this.#page);
    await devtools.send('HeapProfiler.collectGarbage');
    const { usedSize, backingStorageSize } = await devtools.send('Runtime.getHeapUsage');
    await devtools.detach();
    return { heap: usedSize, buffers: backingStorageSize, module: await this.do('moduleBytes') };
  }

  close() {
    return this.#page.close();
  }
}
