// What the driver can ask of a page: the same operations for every contestant. Whatever is prepared (documents, an open database) is
// ready before a clock starts; answers are checked after it stopped, so that nobody is quick by doing less.

import { document, documents, jsonBytes } from './documents.mjs';
import { open as openRaw } from './contestants/raw.mjs';
import { now, Sights } from './sight.mjs';

const settledPolls = 4;
const pollMs = 250;

/** Puts `window.bench` in place for one contestant. */
export function expose(contestant) {
  window.bench = new Operations(contestant);
}

class Operations {
  #contestant;
  #store;
  #sights = new Sights();

  constructor(contestant) {
    this.#contestant = contestant;
  }

  /** Loads what the contestant needs before it can open anything. */
  async start() {
    await this.#contestant.start?.();
  }

  /** How long a WebAssembly module took, or nothing. */
  times() {
    return this.#contestant.times?.() ?? null;
  }

  async open(name) {
    this.#store = await this.#contestant.open(name);
  }

  async close() {
    await this.#store.close();
    this.#store = undefined;
  }

  /** Inserts documents in one call. */
  async bulk(first, count) {
    const given = documents(first, count);
    const bytes = jsonBytes(given);
    const ms = await timed(() => this.#store.bulk(given));
    return { ms, bytes };
  }

  /** Starts an insert for every document at once and awaits all. */
  async concurrent(first, count) {
    const given = documents(first, count);
    const ms = await timed(() => Promise.all(given.map((each) => this.#store.insert(each))));
    await this.#expect(given[count - 1]);
    return { ms };
  }

  /** Awaited inserts one by one, each beside a put by hand into a database of its own; the first `warm` of them do not count. */
  async alternate(first, count, warm) {
    const raw = await openRaw('alternate-raw');
    const [own, puts] = [[], []];
    for (const [turn, each] of documents(first, count).entries()) {
      // Whoever comes second could find the browser's process awake; so they take turns.
      const steps = [async () => own.push(await timed(() => this.#store.insert(each))), async () => puts.push(await timed(() => raw.insert(each)))];
      if (turn % 2 === 1) steps.reverse();
      for (const step of steps) await step();
    }
    await raw.close();
    await this.#expect(document(first + count - 1));
    return { own: own.slice(warm), raw: puts.slice(warm) };
  }

  /** From the call that opens to the first answer of a point read. */
  async coldOpen(name, index) {
    const wanted = document(index);
    let found;
    const ms = await timed(async () => {
      this.#store = await this.#contestant.open(name);
      found = await this.#store.get(wanted._id);
    });
    check(found?.email, wanted.email, 'the point read');
    return { ms };
  }

  /** Reads everything and keeps the documents whose field has this value. */
  async scan(field, value, expected) {
    let found;
    const ms = await timed(async () => {
      found = await this.#store.where(field, value);
    });
    check(found.length, expected, 'the rows of the scan');
    check(found.every((each) => each[field] === value), true, 'the field of every row');
    return { ms };
  }

  canObserve() {
    return this.#store.observe !== undefined;
  }

  /** Notes when each value of `quantity` was first seen in the document. */
  observe(index) {
    this.#store.observe(document(index)._id, (found) => {
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
    await this.#store.set(document(index)._id, { quantity: value });
    return called;
  }

  /** Gives every one of the documents another `quantity`, at once, in each of these turns. */
  async rewrite(count, firstTurn, turns) {
    const ids = documents(0, count).map(({ _id }) => _id);
    const set = this.#store.setAll ?? ((changes) => Promise.all(changes.map(([id, change]) => this.#store.set(id, change))));
    for (let turn = firstTurn; turn < firstTurn + turns; turn += 1) {
      await set(ids.map((id, index) => [id, { quantity: quantityAfter(turn, index) }]));
    }
    const [last, lastTurn] = [count - 1, firstTurn + turns - 1];
    check((await this.#store.get(ids[last])).quantity, quantityAfter(lastTurn, last), 'the last value of the last document');
  }

  /** Gives up what the store keeps until it is asked to. */
  async compact() {
    await this.#store.compact?.();
  }

  /** Inserts the documents as `rewrite` leaves them. */
  async bulkRewritten(count, turns) {
    await this.#store.bulk(documents(0, count).map((each, index) => ({ ...each, quantity: quantityAfter(turns, index) })));
  }

  /** Waits until the bytes on the device stay the same, as long as a tab that stays open would compact; at most `limitMs`. */
  async settle(limitMs) {
    const end = performance.now() + limitMs;
    let last;
    for (let same = 0; same < settledPolls && performance.now() < end; ) {
      await new Promise((resolve) => setTimeout(resolve, pollMs));
      const { stored, origin } = await this.usage();
      const seen = stored ?? origin;
      same = seen === last ? same + 1 : 0;
      last = seen;
    }
  }

  /** Bytes that the store says it keeps, and bytes of this origin by the browser's count. */
  async usage() {
    const { usage } = await navigator.storage.estimate();
    return { stored: (await this.#store?.storedBytes?.()) ?? null, origin: usage };
  }

  /** Bytes of a WebAssembly module's memory. */
  moduleBytes() {
    return this.#contestant.moduleBytes?.() ?? 0;
  }

  async #expect(wanted) {
    const found = await this.#store.get(wanted._id);
    check(found?.email, wanted.email, 'a document that was inserted');
  }
}

/** Another number below 100 for every turn of a document and for every document of a turn. */
const quantityAfter = (turn, index) => (turn * 37 + index * 61) % 100;

async function timed(work) {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function check(found, expected, what) {
  if (found !== expected) throw new Error(`${what}: expected ${expected}, got ${found}`);
}
