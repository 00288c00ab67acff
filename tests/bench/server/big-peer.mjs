// Shoal's Big Peer as it is shipped, loaded and changed over its HTTP API. A write that it answered is on the disk.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { documents } from '../page/documents.mjs';
import { database, token } from '../page/sync/access.mjs';

export const bigPeerBinary = process.env.SHOAL_BIG_PEER_BIN ?? fileURLToPath(new URL('../../../target/release/shoal-big-peer', import.meta.url));
const readyLimitMs = 30_000;
const pollMs = 20;
const batch = 1000;

export class BigPeer {
  port;
  #folder;
  #process;
  #told = '';

  constructor(folder) {
    this.#folder = folder;
  }

  async start() {
    this.port = await freePort();
    const flags = ['--dev', '--listen', `127.0.0.1:${this.port}`, '--data', this.#folder, '--database', database, '--dev-token', token];
    this.#process = spawn(bigPeerBinary, flags, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#process.on('error', (error) => (this.#told += error.message));
    this.#process.stderr.setEncoding('utf8').on('data', (text) => (this.#told = (this.#told + text).slice(-2000)));
    for (const end = performance.now() + readyLimitMs; !(await this.#ready()); ) {
      if (performance.now() > end || this.#process.exitCode !== null) throw new Error(`the Big Peer did not become ready: ${this.#told}`);
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  async load(first, count) {
    for (let done = 0; done < count; done += batch) {
      await this.#execute('INSERT INTO documents DOCUMENTS (:documents)', { documents: documents(first + done, Math.min(batch, count - done)) });
    }
  }

  async change(first, count, value) {
    for (const { _id: id } of documents(first, count)) await this.#execute('UPDATE documents SET quantity = :value WHERE _id = :id', { id, value });
  }

  async stop() {
    if (this.#process?.pid === undefined || this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }

  #ready() {
    return fetch(`http://127.0.0.1:${this.port}/readyz`).then(({ status }) => status === 200, () => false);
  }

  async #execute(statement, args) {
    const response = await fetch(`http://127.0.0.1:${this.port}/api/v5/store/execute`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ statement, args }),
    });
    if (!response.ok) throw new Error(`the Big Peer answered ${response.status}: ${await response.text()}`);
    await response.arrayBuffer();
  }
}

async function freePort() {
  const server = net.createServer();
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
