// What every scenario needs: a Big Peer, a server of pages, Chromium, and ways to wait for a condition.
//
// Each scenario has its own Big Peer, data folder and browser, so that files may run in any order. Whatever a scenario starts is
// stopped when it ends; when it fails, screenshots and console logs are left in out/.

import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { chromium } from 'playwright-core';

export const here = path.dirname(fileURLToPath(import.meta.url));
export const repository = path.join(here, '../..');
export const packageFolder = process.env.SHOAL_PKG_DIST ? path.dirname(process.env.SHOAL_PKG_DIST) : path.join(repository, 'pkg');
/** The built demo and test page. */
export const builtPages = process.env.SHOAL_WWW_DIST ?? path.join(repository, 'www/dist');
const bigPeerBinary = process.env.SHOAL_BIG_PEER_BIN ?? path.join(repository, 'target/release/shoal-big-peer');
const chromiumBinary = process.env.SHOAL_CHROMIUM ?? '/usr/bin/chromium';
/** Whether every scenario that does not say where runs its engines in workers. */
const workersEverywhere = process.env.SHOAL_ENGINE === 'worker';
const outFolder = path.join(here, 'out');

export const database = 'e2e';
export const token = 'e2e-development-token';
const scenarioLimitMs = 150_000;
const waitLimitMs = 30_000;
const pollMs = 40;

// No name is resolved but the loopback's, and WebRTC candidates carry addresses instead of names: nothing leaves the machine.
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
  '--disable-features=WebRtcHideLocalIpsWithMdns,Translate,OptimizationHints,MediaRouter',
];

/** Declares one test with a stage of its own. */
export function scenario(name, run, limitMs = scenarioLimitMs) {
  test(name, { timeout: limitMs + 30_000 }, async () => {
    const stage = new Stage(name);
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`still running after ${limitMs / 1000} s: ${name}`)), limitMs);
    });
    try {
      await Promise.race([run(stage), late]);
    } catch (error) {
      await stage.keepArtifacts(error);
      throw error;
    } finally {
      clearTimeout(timer);
      await stage.close();
    }
  });
}

/** Asks again and again until the answer equals `expected`; the error tells the last answer. */
export async function eventually(what, probe, expected = true, limitMs = waitLimitMs) {
  const end = performance.now() + limitMs;
  let last;
  for (;;) {
    try {
      last = await probe();
      if (isDeepStrictEqual(last, expected)) return last;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) {
      const told = last instanceof Error ? last.message : JSON.stringify(last);
      throw new Error(`waited ${limitMs / 1000} s for: ${what}\n  expected ${JSON.stringify(expected)}\n  last     ${told}`);
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** Waits until this machine's clock has moved on, so that the next write is later by any clock. */
export const clockTick = (start = Date.now()) => eventually('the clock moves on', () => Date.now() > start + 1);

/** The movies of vega-datasets with ids, as the demo loads them. */
export async function movies() {
  const file = path.join(repository, 'www/node_modules/vega-datasets/data/movies.json');
  const rows = JSON.parse(await readFile(file, 'utf8'));
  return rows.map((row, index) => ({ _id: String(index + 1).padStart(5, '0'), ...row }));
}

/** JSON with sorted names: equal documents give equal text. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const names = Object.keys(value).sort();
    return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

class Stage {
  #name;
  #ending = [];
  #pages = [];
  #log = [];
  #browser;

  constructor(name) {
    this.#name = name.replace(/[^a-z0-9]+/gi, '-').toLowerCase().slice(0, 80);
  }

  /** Runs when the scenario ends, the latest first. */
  defer(end) {
    this.#ending.push(end);
  }

  note(line) {
    this.#log.push(line);
  }

  async folder() {
    const folder = await mkdtemp(path.join(tmpdir(), 'shoal-e2e-'));
    this.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
    return folder;
  }

  async bigPeer(environment = {}) {
    const peer = new BigPeer(await freePort(), await this.folder(), (line) => this.note(line), environment);
    this.defer(() => peer.kill());
    await peer.start();
    return peer;
  }

  /** Serves the built pages; `config` is what /config.json answers, or nothing for 404. */
  async site(config, root = builtPages) {
    const site = new Site(await freePort(), root, config);
    this.defer(() => site.stop());
    await site.start();
    return site;
  }

  /** A browser context of its own: its own storage, like another person's browser. */
  async context(options = {}) {
    if (!this.#browser) {
      this.#browser = await chromium.launch({ executablePath: chromiumBinary, args: chromiumArguments });
      this.defer(() => this.#browser.close());
    }
    const context = await this.#browser.newContext(options);
    context.setDefaultTimeout(waitLimitMs);
    return context;
  }

  /** A browser on a profile folder that can be killed like any process. */
  async killableBrowser(profile) {
    const process = spawn(chromiumBinary, [...chromiumArguments, '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const exited = new Promise((resolve) => process.once('exit', resolve));
    const kill = async () => {
      process.kill('SIGKILL');
      await exited;
    };
    this.defer(kill);
    const address = await new Promise((resolve, reject) => {
      let text = '';
      process.stderr.on('data', (chunk) => {
        text += chunk;
        const found = /DevTools listening on (ws:\S+)/.exec(text);
        if (found) resolve(found[1]);
      });
      void exited.then(() => reject(new Error(`Chromium ended: ${text}`)));
    });
    const browser = await chromium.connectOverCDP(address);
    return { context: browser.contexts()[0], kill };
  }

  /** A browser that nobody controls yet; DevTools messages, each ended by a zero byte, go in and come out by two pipes. */
  async pipedBrowser() {
    const profile = await this.folder();
    const process = spawn(chromiumBinary, [...chromiumArguments, '--remote-debugging-pipe', `--user-data-dir=${profile}`, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    });
    const exited = new Promise((resolve) => process.once('exit', resolve));
    this.defer(async () => {
      process.kill('SIGKILL');
      await exited;
    });
    return { input: process.stdio[3], output: process.stdio[4] };
  }

  async page(context, address) {
    const page = await context.newPage();
    const name = `page ${this.#pages.length + 1}`;
    this.#pages.push(page);
    page.on('console', (message) => this.note(`${name} ${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => this.note(`${name} error: ${error.stack ?? error.message}`));
    page.on('crash', () => this.note(`${name} crashed`));
    if (address) await page.goto(address);
    return page;
  }

  /** Opens the bare test page and a replica in it. */
  async peer(context, site, options = {}) {
    const page = await this.page(context, `${site.address}/e2e/test.html`);
    const peer = new Peer(page, options);
    await peer.open();
    return peer;
  }

  async keepArtifacts(error) {
    await mkdir(outFolder, { recursive: true });
    for (const [index, page] of this.#pages.entries()) {
      if (page.isClosed()) continue;
      const file = path.join(outFolder, `${this.#name}-${index + 1}.png`);
      await page.screenshot({ path: file, timeout: 5000 }).catch((cause) => this.note(`no screenshot: ${cause.message}`));
    }
    await writeFile(path.join(outFolder, `${this.#name}.log`), [`${error.stack ?? error}`, '', ...this.#log, ''].join('\n'));
  }

  async close() {
    for (const end of this.#ending.reverse()) {
      await Promise.resolve(end()).catch((error) => console.error(`while stopping: ${error.message}`));
    }
  }
}

/** A Big Peer process on a port and folder of its own. */
class BigPeer {
  #process;
  #exited = Promise.resolve();

  constructor(port, data, note, environment) {
    this.port = port;
    this.data = data;
    this.note = note;
    this.environment = environment;
    this.url = `ws://127.0.0.1:${port}`;
  }

  async start() {
    const flags = ['--dev', '--listen', `127.0.0.1:${this.port}`, '--data', this.data, '--database', database, '--dev-token', token];
    const env = { ...process.env, ...this.environment };
    this.#process = spawn(bigPeerBinary, flags, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const failed = new Promise((_, reject) => {
      this.#process.once('error', reject);
      this.#process.once('exit', (code) => reject(new Error(`the Big Peer ended with ${code} before it was ready: see the log`)));
    });
    this.#exited = new Promise((resolve) => {
      this.#process.once('exit', resolve);
      this.#process.once('error', resolve);
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => this.note(`big peer: ${text.trimEnd()}`));
    }
    failed.catch(() => undefined);
    const ready = eventually('the Big Peer is ready', async () => (await fetch(`http://127.0.0.1:${this.port}/readyz`)).status, 200);
    await Promise.race([ready, failed]);
  }

  /** SIGKILL: no chance to say goodbye or to save anything. */
  async kill() {
    this.#process?.kill('SIGKILL');
    await this.#exited;
  }

  /** The whole answer of the HTTP API. */
  async ask(statement, args = {}) {
    const response = await fetch(`http://127.0.0.1:${this.port}/api/v5/store/execute`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ statement, args }),
    });
    const answer = await response.json();
    if (!response.ok || answer.error) throw new Error(`${response.status}: ${JSON.stringify(answer)}`);
    return answer;
  }

  async rows(statement, args) {
    return (await this.ask(statement, args)).items;
  }

  async load(collection, documents, batch = 400) {
    for (let start = 0; start < documents.length; start += batch) {
      await this.ask(`INSERT INTO ${collection} INITIAL DOCUMENTS (:documents)`, { documents: documents.slice(start, start + batch) });
    }
  }
}

/** Static files of one folder. */
class Site {
  #server;
  #connections = new Set();

  constructor(port, root, config) {
    this.port = port;
    this.root = root;
    this.config = config;
    this.address = `http://127.0.0.1:${port}`;
  }

  async start() {
    this.#server = http.createServer((request, response) => void this.#answer(request, response));
    this.#server.on('connection', (connection) => {
      this.#connections.add(connection);
      connection.once('close', () => this.#connections.delete(connection));
    });
    await new Promise((resolve, reject) => this.#server.once('error', reject).listen(this.port, '127.0.0.1', resolve));
  }

  async stop() {
    if (!this.#server) return;
    const stopped = new Promise((resolve) => this.#server.close(resolve));
    for (const connection of this.#connections) connection.destroy();
    await stopped;
    this.#server = undefined;
  }

  async #answer(request, response) {
    const { pathname } = new URL(request.url, this.address);
    const name = pathname.endsWith('/') ? `${pathname}index.html` : pathname;
    try {
      if (name === '/config.json') {
        if (!this.config) throw new Error('no configuration');
        response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(this.config));
        return;
      }
      const file = path.join(this.root, path.normalize(decodeURIComponent(name)));
      const body = await readFile(file);
      response.writeHead(200, { 'content-type': kinds[path.extname(file)] ?? 'application/octet-stream', 'cache-control': 'no-cache' }).end(body);
    } catch {
      response.writeHead(404).end('not found');
    }
  }
}

const kinds = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
};

/** A replica in a page: `window.ditto`. */
class Peer {
  /**
   * `bigPeer`: absent for peers only; `start`: whether sync is switched on; `subscriptions`: collections; `worker`: whether the engine runs
   * in one; `encryption`: a secret.
   */
  constructor(page, { bigPeer, directory = 'replica', subscriptions = ['movies'], start = true, worker = workersEverywhere, token: given = token, encryption } = {}) {
    this.page = page;
    this.options = { database, url: bigPeer?.url, token: given, directory, subscriptions, start, worker, encryption };
  }

  async open(change = {}) {
    Object.assign(this.options, change);
    await this.page.waitForFunction(() => window.shoal !== undefined);
    await this.page.evaluate(async (options) => {
      const { init, Ditto, DittoConfig, Authenticator } = window.shoal;
      await init({ webAssemblyModule: window.wasmAddress, inPage: !options.worker });
      const connect = options.url ? { mode: 'server', url: options.url } : { mode: 'smallPeersOnly' };
      const { encryption, worker } = options;
      const ditto = await Ditto.open(new DittoConfig(options.database, connect, options.directory), { encryption, worker });
      window.logins = [];
      if (options.url) {
        await ditto.auth.setExpirationHandler(async (expiring) => {
          const { error } = await expiring.auth.login(options.token, Authenticator.DEVELOPMENT_PROVIDER);
          window.logins.push(error ? error.code : 'accepted');
        });
      }
      for (const collection of options.subscriptions) ditto.sync.registerSubscription(`SELECT * FROM ${collection}`);
      if (options.start) ditto.sync.start();
      window.ditto = ditto;
    }, this.options);
  }

  async reload(change = {}) {
    await this.page.reload();
    await this.open(change);
  }

  /** Executes a statement and returns its rows. */
  rows(query, args) {
    return this.page.evaluate(async ([text, given]) => {
      const result = await window.ditto.store.execute(text, given);
      return result.items.map((item) => JSON.parse(item.jsonString()));
    }, [query, args]);
  }

  /** The error that a statement ends in, as plain data; null when there is none. */
  mistake(query, args) {
    return this.page.evaluate(async ([text, given]) => {
      try {
        await window.ditto.store.execute(text, given);
        return null;
      } catch (error) {
        return { isDittoError: error instanceof window.shoal.DittoError, code: error.code, message: error.message };
      }
    }, [query, args]);
  }

  async count(collection = 'movies') {
    const [row] = await this.rows(`SELECT COUNT(*) AS total FROM ${collection}`);
    return row.total;
  }

  /** Every row of a collection as the hexadecimal text of its CBOR, in the order of `_id`. */
  bytes(collection = 'movies') {
    return this.page.evaluate(async (name) => {
      const result = await window.ditto.store.execute(`SELECT * FROM ${name} ORDER BY _id`);
      return result.items.map((item) => [...item.cborData()].map((byte) => byte.toString(16).padStart(2, '0')).join(''));
    }, collection);
  }

  status() {
    return this.page.evaluate(() => {
      const { status } = window.ditto.sync;
      return JSON.parse(JSON.stringify(status, (_, value) => (typeof value === 'bigint' ? Number(value) : value)));
    });
  }

  start() {
    return this.page.evaluate(() => window.ditto.sync.start());
  }

  stop() {
    return this.page.evaluate(() => window.ditto.sync.stop());
  }

  /** Live, everything received, everything of ours acknowledged. */
  inSync(limitMs) {
    const probe = async () => {
      const { bigPeer, pendingCommits, catchingUp } = await this.status();
      return { bigPeer, pendingCommits, catchingUp };
    };
    return eventually('in sync with the Big Peer', probe, { bigPeer: 'live', pendingCommits: 0, catchingUp: 0 }, limitMs);
  }

  /** A direct link to another peer is up. */
  linked(limitMs) {
    return eventually('a WebRTC link', async () => (await this.status()).links.some((link) => link.transport === 'WebRTC'), true, limitMs);
  }

  eventually(query, args, expected, limitMs) {
    return eventually(query, () => this.rows(query, args), expected, limitMs);
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
