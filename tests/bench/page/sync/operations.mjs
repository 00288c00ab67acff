// What the driver of `bench sync` can ask of a page: the same for every contestant.

import { document } from '../documents.mjs';
import { now, Sights } from '../sight.mjs';

/** Puts `window.bench` in place for one contestant. */
export function expose(contestant) {
  // Browsers that find each other by WebRTC would pass changes by a way that is not measured here.
  delete window.RTCPeerConnection;
  window.bench = new Operations(contestant);
}

class Operations {
  #contestant;
  #replica;
  #sights = new Sights();
  #stopObserving;

  constructor(contestant) {
    this.#contestant = contestant;
  }

  /** Loads what the contestant needs before it can open anything. */
  async start() {
    await this.#contestant.start?.();
  }

  /** Opens a replica of this page's own for the server on a port, without connecting. */
  async open(name, port) {
    this.#replica = await this.#contestant.open(name, port);
  }

  async close() {
    await this.#replica.close();
    this.#replica = undefined;
  }

  /** Connects; resolves when so many documents are here and stored. */
  async receive(count, index) {
    const started = performance.now();
    await this.#replica.sync();
    await this.#replica.arrived(count);
    await this.#replica.durable();
    const ms = performance.now() - started;
    await this.#expect(index);
    return { ms };
  }

  /** Connects; resolves when the contestant says that neither side has something that the other lacks. */
  async connect() {
    await this.#replica.sync();
    await this.#replica.inSync();
  }

  /** Connects an empty replica; resolves when so many documents are here, and then as `connect`. */
  async download(count) {
    await this.#replica.sync();
    await this.#replica.arrived(count);
    await this.#replica.inSync();
  }

  /** Copies a whole replica into a new one that has not met any server. */
  async copy(from, name) {
    await this.#contestant.copy(from, name);
  }

  /** Whether a document has this value of `quantity`. */
  async has(index, quantity) {
    return (await this.#replica.get(document(index)._id))?.quantity === quantity;
  }

  /** Notes when each value of `quantity` is first seen in the document; one document at a time. */
  async observe(index) {
    this.#stopObserving?.();
    this.#stopObserving = await this.#replica.observe(document(index)._id, (found) => {
      if (found !== undefined) this.#sights.note(found.quantity);
    });
  }

  /** When a value was seen, as soon as it is. */
  seen(value) {
    return this.#sights.of(value);
  }

  /** Writes a value into the document; returns when the call was made. */
  async set(index, value) {
    const called = now();
    await this.#replica.set(document(index)._id, { quantity: value });
    return called;
  }

  async #expect(index) {
    const wanted = document(index);
    const found = await this.#replica.get(wanted._id);
    if (found?.email !== wanted.email) throw new Error(`a document that was received: expected ${wanted.email}, got ${found?.email}`);
  }
}
