// A server of static files on a port of its own: every contestant is an origin of its own, with its own storage.
//
// The pages are isolated from other origins (COOP and COEP), because then the browser's clock has 5 µs instead of 100; and nothing is
// cached, so that a module is compiled anew by every page.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { page } from './bundle.mjs';

const kinds = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.wasm': 'application/wasm' };
const headers = {
  'cache-control': 'no-store',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
};

/** The pages of contestants, each built into a folder of its own and served on a port of its own. */
export class Pages {
  #folder;
  #servers = [];
  #built = new Map();

  /** Builds into `folder`, which goes with `close`. */
  constructor(folder) {
    this.#folder = folder;
  }

  /** Builds and serves a page of a bench's scripts; returns an address that no other page has. */
  async address(scripts, contestant) {
    const server = await serve(await this.#folderOf(scripts, contestant));
    this.#servers.push(server);
    return server.address;
  }

  async #folderOf(scripts, contestant) {
    const key = `${scripts.operations} ${scripts.contestants} ${contestant}`;
    if (!this.#built.has(key)) this.#built.set(key, await page(scripts, contestant, await mkdtemp(path.join(this.#folder, 'page-'))));
    return this.#built.get(key);
  }

  async close() {
    for (const server of this.#servers) await server.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Serves a folder; returns the address and what stops it. */
async function serve(folder) {
  const server = http.createServer((request, response) => void answer(folder, request, response));
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const stop = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  return { address: `http://127.0.0.1:${server.address().port}`, stop };
}

async function answer(folder, request, response) {
  const { pathname } = new URL(request.url, 'http://localhost');
  const name = pathname === '/' ? '/index.html' : pathname;
  try {
    const body = await readFile(path.join(folder, path.basename(name)));
    response.writeHead(200, { ...headers, 'content-type': kinds[path.extname(name)] ?? 'application/octet-stream' }).end(body);
  } catch {
    response.writeHead(404).end('not found');
  }
}
