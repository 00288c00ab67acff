// The server of each contestant: a process of its own, so that it shares its processor time with nobody's clock but through the machine.
// A server makes the documents by itself, out of their indices, and changes them when it is told.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { BigPeer } from './big-peer.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
/** Above the loading of 100,000 documents into the slowest of them. */
const answerLimitMs = 300_000;

/** Starts the server of a contestant, which keeps its data in `folder`; it has `port`, `load`, `change` and `stop`. */
export async function startServer(name, folder) {
  const server = name === 'shoal' ? new BigPeer(folder) : new NodeServer(name, folder);
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

/** `child.mjs` with the server of one contestant. */
class NodeServer {
  port;
  #process;

  constructor(name, folder) {
    this.#process = fork(path.join(here, 'child.mjs'), [name, folder], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  }

  async start() {
    ({ port: this.port } = await this.#answer());
  }

  /** Writes the documents of these indices. */
  load(first, count) {
    return this.#ask({ do: 'load', given: [first, count] });
  }

  /** Gives `quantity` of these documents another value. */
  change(first, count, value) {
    return this.#ask({ do: 'change', given: [first, count, value] });
  }

  async stop() {
    const ended = this.#process.exitCode !== null || this.#process.signalCode !== null ? undefined : once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }

  async #ask(message) {
    this.#process.send(message);
    await this.#answer();
  }

  async #answer() {
    const ending = new AbortController();
    const { signal } = ending;
    try {
      const exited = once(this.#process, 'exit', { signal }).then(([code]) => ({ error: `the server ended with ${code}` }));
      const late = once(AbortSignal.timeout(answerLimitMs), 'abort', { signal }).then(() => ({ error: `no answer within ${answerLimitMs / 1000} s` }));
      const answer = await Promise.race([once(this.#process, 'message', { signal }).then(([message]) => message), exited, late]);
      if (answer.error !== undefined) throw new Error(answer.error);
      return answer;
    } finally {
      ending.abort();
    }
  }
}
