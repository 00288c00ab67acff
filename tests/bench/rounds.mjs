// What the rounds of every bench have in common: a browser on a fresh profile, a page for a while, every contestant once in each step,
// and another one begins each time, so that what else the machine does meets all of them alike.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Browser } from './browser.mjs';

/** Chromium closes the files of an origin 2 s after its last page has gone; an opening before that would not be cold. */
const coldPauseMs = 3000;

/** Thrown by `run` after `stop`. */
export class Stopped extends Error {}

export class Rounds {
  /** How much of everything. */
  size;
  browser;
  #sites;
  #warmUp;
  #others;
  #samples;
  #log;
  #failures = [];
  #stopped = false;
  /** The browser's version. */
  chromium = null;
  /** When the last page of an origin was closed. */
  #left = new Map();

  /**
   * `sites`: the address of every contestant by name, one for warming up, and `others`, the bench's further pages by kind and name; `log` is told
   * every measurement: (round, what, contestant, text).
   */
  constructor({ sites, warmUp, others = {} }, samples, size, log) {
    this.#sites = sites;
    this.#warmUp = warmUp;
    this.#others = others;
    this.#samples = samples;
    this.size = size;
    this.#log = log;
  }

  /** Everything that could not be measured, as text. */
  get failures() {
    return this.#failures;
  }

  /** Ends the run as soon as possible; `run` then throws. */
  stop() {
    this.#stopped = true;
    void this.browser?.close().catch(() => undefined);
  }

  /** Starts a browser and lets IndexedDB work once for an origin of nobody, so that not the first of a round pays for its start. */
  async launch(profile) {
    this.browser = await Browser.launch(profile);
    this.chromium = this.browser.version();
    const page = await this.browser.page(this.#warmUp);
    await page.do('open', 'warm-up');
    await page.do('bulk', 0, 100);
    await page.do('close');
    await page.close();
  }

  add(name, figure, value) {
    this.#samples.add(name, figure, value);
  }

  /** Notes that a contestant has no such thing. */
  lacks(name, figure, reason) {
    this.#samples.lacks(name, figure, reason);
  }

  /** Tells a measurement. */
  tell(round, what, name, text) {
    this.#log(round, what, name, text);
  }

  get names() {
    return [...this.#sites.keys()];
  }

  /** Every contestant once; each round begins with another one. What fails is told and does not stop the others. */
  async each(round, what, work) {
    const { names } = this;
    const first = (round ?? 0) % names.length;
    for (const name of [...names.slice(first), ...names.slice(0, first)]) {
      try {
        const told = await work(name);
        if (typeof told === 'string') this.tell(round, what, name, told);
      } catch (error) {
        if (this.#stopped) throw new Stopped();
        const failure = `${name}, ${what}: ${error.message}`;
        this.#failures.push(failure);
        this.tell(round, what, name, `FAILED: ${error.message}`);
      }
    }
  }

  /** A fresh page for a while: the contestant's own, or its page of another kind. */
  async withPage(name, work, kind) {
    const sites = kind === undefined ? this.#sites : this.#others[kind];
    const page = await this.browser.page(sites.get(name));
    try {
      return await work(page);
    } finally {
      // A page that crashed or whose browser was stopped is closed already.
      await page.close().catch(() => undefined);
      this.#left.set(name, performance.now());
    }
  }

  /** Waits until the browser has nothing of the contestant in memory. */
  async pause(name) {
    const gone = performance.now() - (this.#left.get(name) ?? -Infinity);
    if (gone < coldPauseMs) await new Promise((resolve) => setTimeout(resolve, coldPauseMs - gone));
  }

  async inFreshProfile(work) {
    const profile = await mkdtemp(path.join(tmpdir(), 'shoal-bench-'));
    try {
      await work(profile);
    } finally {
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    }
  }
}
