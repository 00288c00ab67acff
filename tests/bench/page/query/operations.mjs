// What the driver of `bench dql` can ask of a page. Databases are loaded and warm before a clock starts; every answer is compared with
// the right one, and every measured run must return as many rows as it.
//
// A contestant may be a worker away or one function call: many runs are started at once and their time is divided, so that what is left
// is the engine's part. Figures with `api` are the whole way of one awaited call, its rows as plain objects.

import { document, documents } from '../documents.mjs';
import { answer, given } from './statements.mjs';

const loadCount = 10_000;
/** Point reads go to that many documents, spread over all. */
const idsMax = 10_000;
/** A batch lasts about that long, far above what the clock can tell. */
const batchMs = 20;
const batchRunsMax = 200;
const batches = 7;
/** Of what is measured in turn: differences need more. */
const turns = 31;
/** What takes longer than this a run is measured less often. */
const slowMs = 400;
const verySlowMs = 2000;
const apiRuns = 200;
const apiMsMax = 500;
const observers = 100;
/** Observers look at quantities from 1 on, writes go to documents of this one. */
const unobserved = 0;
const writes = 20;

/** Puts `bench` in place for one contestant, in a page or in a worker. */
export function expose(contestant) {
  globalThis.bench = new Queries(contestant);
}

class Queries {
  #contestant;
  #store;
  #count = 0;
  #ids = [];
  #turn = 0;
  /** How long everything runs before a clock starts. */
  #warmMs;

  constructor(contestant) {
    this.#contestant = contestant;
  }

  /** Loads what the contestant needs before it can open anything. */
  async start() {
    await this.#contestant.start?.();
  }

  async open(name, warmMs) {
    this.#warmMs = warmMs;
    this.#store = await this.#contestant.open(name);
  }

  /** Loads the documents unless they are there; returns how many milliseconds that took. */
  async fill(count) {
    this.#count = count;
    this.#ids = Array.from({ length: Math.min(count, idsMax) }, (_, at) => document(Math.floor((at * count) / Math.min(count, idsMax)))._id);
    const found = await this.#store.size();
    if (found === count) return 0;
    if (found !== 0) throw new Error(`the database has ${found} documents, not ${count}`);
    let ms = 0;
    for (let first = 0; first < count; first += loadCount) {
      const part = documents(first, Math.min(loadCount, count - first));
      ms += await timed(() => this.#store.load(part));
    }
    return ms;
  }

  /** Indexes the quantities; returns why there is no index, or nothing. */
  async index() {
    return (await this.#store.createIndex?.()) ?? null;
  }

  async close() {
    await this.#store.close();
    this.#store = undefined;
  }

  /** Bytes of a WebAssembly module's memory, or nothing. */
  moduleBytes() {
    return this.#contestant.moduleBytes?.() ?? null;
  }

  /** Runs a statement once and compares its answer. */
  async check(name, right) {
    const args = this.#given(name);
    const wanted = name === 'point' ? answer(name, [{ _id: args.id }]) : name === 'equal' ? right[args.quantity] : right;
    const found = answer(name, await this.#store.read(name, args));
    if (found.rows !== wanted.rows || found.checksum !== wanted.checksum) {
      throw new Error(`${name} answered ${found.rows} rows with checksum ${found.checksum}, and ${wanted.rows} with ${wanted.checksum} are right`);
    }
  }

  /** Milliseconds that the engine takes for a statement. */
  async engine(name, right) {
    await this.check(name, right);
    const rowsOf = (args) => (name === 'point' ? 1 : name === 'equal' ? right[args.quantity].rows : right.rows);
    const ms = await this.#measure(async (count) => {
      const list = Array.from({ length: count }, () => this.#given(name));
      let found;
      const took = await timed(async () => {
        found = await Promise.all(list.map((args) => this.#store.run(name, args)));
      });
      const wrong = found.findIndex((rows, at) => rows !== rowsOf(list[at]));
      if (wrong >= 0) throw new Error(`${name} answered ${found[wrong]} rows, and ${rowsOf(list[wrong])} are right`);
      return took;
    });
    await this.check(name, right);
    return ms;
  }

  /** Milliseconds of one awaited call after the other, p50. */
  async api(name) {
    const times = [];
    const end = performance.now() + apiMsMax;
    while (times.length < apiRuns && (times.length === 0 || performance.now() < end)) {
      const args = this.#given(name);
      times.push(await timed(() => this.#store.read(name, args)));
    }
    return median(times);
  }

  /** Milliseconds for parsing and planning a statement that is new, and one that is known; nothing where they cannot be told. */
  async planning() {
    if (this.#store.plan === undefined) return null;
    // Whatever a statement costs that has nothing to parse or plan is no part of the figures. All are measured in turn, since a
    // difference of two figures is as wrong as what has changed between them.
    const works = Object.entries(this.#store.plan);
    const each = (work) => (count) => timed(() => Promise.all(Array.from({ length: count }, () => work((this.#turn += 1)))));
    const times = await this.#measureInTurn(works.map(([, work]) => each(work)));
    const { fresh, known, nothing: floor = 0 } = Object.fromEntries(works.map(([name], at) => [name, times[at]]));
    return { fresh: fresh - floor, known: known === undefined ? null : known - floor, floor };
  }

  /** Milliseconds of a write of one field without observers, and with those that it does not touch; nothing where there are none. */
  async observed() {
    if (this.#store.watch === undefined) return null;
    const targets = [];
    for (let index = 0; targets.length < writes && index < this.#count; index += 1) {
      if (document(index).quantity === unobserved) targets.push(document(index)._id);
    }
    const batch = () => {
      const notes = targets.map((id) => ({ id, note: `note ${(this.#turn += 1)}` }));
      return timed(async () => {
        await Promise.all(notes.map(({ id, note }) => this.#store.set(id, { note })));
        // What observers do after a write has resolved belongs to it.
        await this.#store.run('point', { id: targets[0] });
      });
    };
    const p50 = async () => {
      await this.#warm(batch);
      const times = [];
      for (let turn = 0; turn < batches; turn += 1) times.push(await batch());
      return median(times) / targets.length;
    };
    const plain = await p50();
    let told = 0;
    const seen = Array.from({ length: observers }, (_, index) => this.#store.watch(unobserved + 1 + index, () => (told += 1)));
    await until(() => told >= observers, 'the first answer of every observer');
    const before = told;
    const watched = await p50();
    const touched = told - before;
    if (touched > 0) throw new Error(`${touched} answers came of writes that touch no observer`);
    const seenBy = documents(0, this.#count).find(({ quantity }) => quantity === unobserved + 1);
    await this.#store.set(seenBy._id, { note: `touched at ${Date.now()}` });
    await until(() => told > before, 'the answer of the observer that a write touches');
    for (const cancel of seen) await cancel();
    return { plain, watched };
  }

  #given(name) {
    return given[name]((this.#turn += 1), this.#ids);
  }

  /** Warms up, then the median of some batches, divided by the runs of a batch. */
  async #measure(batch) {
    let one = Infinity;
    await this.#warm(async () => (one = Math.min(one, await batch(1))));
    const count = Math.max(1, Math.min(batchRunsMax, Math.ceil(batchMs / one)));
    // Many at once take other ways through the promises than one after the other.
    if (count > 1) await this.#warm(() => batch(count));
    const times = [];
    const wanted = one > verySlowMs ? 1 : one > slowMs ? 3 : batches;
    while (times.length < wanted) times.push(await batch(count));
    return median(times) / count;
  }

  /** As `#measure`, of several: a batch of each in turn. */
  async #measureInTurn(works) {
    const counts = [];
    for (const batch of works) {
      let one = Infinity;
      await this.#warm(async () => (one = Math.min(one, await batch(1))));
      counts.push(Math.max(1, Math.min(batchRunsMax, Math.ceil(batchMs / one))));
    }
    const times = works.map(() => []);
    const turn = async (keep) => {
      for (const [at, batch] of works.entries()) {
        const took = (await batch(counts[at])) / counts[at];
        if (keep) times[at].push(took);
      }
    };
    await this.#warm(() => turn(false));
    for (let left = turns; left > 0; left -= 1) await turn(true);
    return times.map(median);
  }

  /** Repeats what is about to be measured. */
  async #warm(work) {
    const end = performance.now() + this.#warmMs;
    do await work();
    while (performance.now() < end);
  }
}

async function timed(work) {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

async function until(condition, what) {
  for (let left = 1000; !condition(); left -= 1) {
    if (left === 0) throw new Error(`${what} did not come`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
