// The meter of everything that is counted in bytes: a proxy on the loopback that passes bytes on as they are and counts what they are.

import net from 'node:net';
import { Wire } from './wire.mjs';

const pollMs = 25;

/** Counts the bytes of all connections to one server. */
export class Meter {
  #server;
  #target;
  #sockets = new Set();
  #last = performance.now();
  #counts = { up: {}, down: {} };
  /** The greatest body or message towards the server since it was last asked. */
  #greatestUp = 0;
  #failure;

  /** A meter before the server on this port. */
  static async before(target) {
    const meter = new Meter();
    meter.#target = target;
    meter.#server = net.createServer({ noDelay: true }, (socket) => meter.#connect(socket));
    await new Promise((resolve, reject) => meter.#server.once('error', reject).listen(0, '127.0.0.1', resolve));
    return meter;
  }

  get port() {
    return this.#server.address().port;
  }

  /** What has passed since the beginning, in bytes by direction and kind. */
  read() {
    if (this.#failure) throw this.#failure;
    return structuredClone(this.#counts);
  }

  takeGreatestUp() {
    const bytes = this.#greatestUp;
    this.#greatestUp = 0;
    return bytes;
  }

  /** Waits until nothing but keep-alives has passed for so long. */
  async quiet(forMs, limitMs) {
    const asked = performance.now();
    for (;;) {
      const now = performance.now();
      if (now - Math.max(asked, this.#last) >= forMs) return;
      if (now - asked > limitMs) throw new Error(`the connection did not come to rest within ${limitMs / 1000} s`);
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  async stop() {
    const stopped = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await stopped;
  }

  #connect(client) {
    const server = net.connect({ port: this.#target, host: '127.0.0.1', noDelay: true });
    const methods = [];
    const [up, down] = [true, false].map((up) => new Wire({ up, methods }, this.#listener(up)));
    for (const [from, to, wire] of [[client, server, up], [server, client, down]]) {
      this.#sockets.add(from);
      // Counting comes after passing on, so that it delays nobody.
      from.on('data', (chunk) => {
        if (!to.write(chunk)) from.pause();
        this.#follow(wire, chunk);
      });
      to.on('drain', () => from.resume());
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => this.#sockets.delete(from));
    }
  }

  /** A stream that cannot be read makes every later answer of the meter an error. */
  #follow(wire, chunk) {
    try {
      wire.push(chunk);
    } catch (cause) {
      this.#failure ??= cause;
    }
  }

  #listener(up) {
    const counts = up ? this.#counts.up : this.#counts.down;
    return {
      count: (kind, bytes) => {
        counts[kind] = (counts[kind] ?? 0) + bytes;
        if (kind !== 'control') this.#last = performance.now();
      },
      ended: (kind, bytes) => {
        if (up && kind !== 'preflight') this.#greatestUp = Math.max(this.#greatestUp, bytes);
      },
    };
  }
}

/** What an application sends: messages of a WebSocket, heads and bodies of HTTP. */
const carried = ({ message = 0, head = 0, body = 0 }) => message + head + body;
const everything = (counts) => Object.values(counts).reduce((sum, bytes) => sum + bytes, 0);

/** The bytes between two readings: what applications sent `up`, `down` and both ways, and all that TCP carried, `wireDown` and both ways. */
export function difference(before, after) {
  const up = carried(after.up) - carried(before.up);
  const down = carried(after.down) - carried(before.down);
  const wireUp = everything(after.up) - everything(before.up);
  const wireDown = everything(after.down) - everything(before.down);
  return { up, down, carried: up + down, wireDown, wire: wireUp + wireDown };
}
