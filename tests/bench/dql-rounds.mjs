// The rounds of `bench dql`. Databases are loaded once a run; in every round each contestant opens them in fresh pages, where one that keeps
// nothing loads them again. Memory is measured in a page of its own, that loads a database of its own.

import { show } from './figures.mjs';
import { answers } from './page/query/statements.mjs';
import { documents } from './page/documents.mjs';
import { Rounds } from './rounds.mjs';

/** How much of everything; `warmMs` must be long enough that V8 has optimised what is hot. */
export const sizes = {
  full: { rounds: 5, small: 10_000, large: 100_000, warmMs: 400 },
  quick: { rounds: 2, small: 10_000, large: 100_000, warmMs: 400 },
  smoke: { rounds: 1, small: 400, large: 600, warmMs: 5 },
};

const microseconds = 1000;

export class DqlRounds extends Rounds {
  #right = {};
  #notes = new Set();
  /** The sorting of the present round. */
  #sortedMs = new Map();

  /** What a reader of the figures must know. */
  get notes() {
    return [...this.#notes];
  }

  async run() {
    for (const extent of ['small', 'large']) this.#right[extent] = answers(documents(0, this.size[extent]));
    await this.inFreshProfile(async (profile) => {
      await this.launch(profile);
      try {
        await this.each(null, 'load', (name) => this.#load(name));
        for (let round = 0; round < this.size.rounds; round += 1) {
          await this.each(round, 'small', (name) => this.#small(name));
          await this.each(round, 'large', (name) => this.#large(name));
          this.#compareWithSqlite();
          await this.each(round, 'memory', (name) => this.#memory(round, name));
        }
      } finally {
        await this.browser.close();
      }
    });
  }

  /** Statements over 10,000 documents with an index, and observers. */
  #small(name) {
    return this.#opened(name, 'small', async (page) => {
      const missing = await page.do('index');
      if (missing !== null) this.#notes.add(`${name} runs indexed_1pct_10k_ms without an index: ${missing}`);
      const indexed = await page.do('engine', 'equal', this.#right.small.equal);
      this.add(name, 'indexed_1pct_10k_ms', indexed);
      this.add(name, 'indexed_1pct_10k_api_ms', await page.do('api', 'equal'));
      const writes = await page.do('observed');
      if (writes === null) {
        this.lacks(name, 'observer_miss_us', 'it has no live queries');
        return `indexed ${show(indexed)} ms`;
      }
      const missed = (writes.watched - writes.plain) * microseconds;
      this.add(name, 'plain_write_us', writes.plain * microseconds);
      this.add(name, 'observed_write_us', writes.watched * microseconds);
      this.add(name, 'observer_miss_us', missed);
      return `indexed ${show(indexed)} ms, observers ${show(missed)} µs`;
    });
  }

  /** Statements over 100,000 documents. */
  #large(name) {
    return this.#opened(name, 'large', async (page) => {
      const { filterSort, count, group } = this.#right.large;
      const sorted = await page.do('engine', 'filterSort', filterSort);
      const grouped = await page.do('engine', 'group', group);
      const point = (await page.do('engine', 'point')) * microseconds;
      const counted = (await page.do('engine', 'count', count)) * microseconds;
      this.add(name, 'filter_sort_100k_ms', sorted);
      this.#sortedMs.set(name, sorted);
      this.add(name, 'group_by_100k_ms', grouped);
      this.add(name, 'point_read_us', point);
      this.add(name, 'point_read_api_us', (await page.do('api', 'point')) * microseconds);
      this.add(name, 'count_us', counted);
      this.#planned(name, await page.do('planning'));
      return `filter and sort ${show(sorted)} ms, group ${show(grouped)} ms, point ${show(point)} µs, count ${show(counted)} µs`;
    });
  }

  /** Over the times of one round. */
  #compareWithSqlite() {
    const sqlite = this.#sortedMs.get('sqlite');
    if (sqlite !== undefined) for (const [name, ms] of this.#sortedMs) this.add(name, 'filter_sort_vs_sqlite', ms / sqlite);
    this.#sortedMs.clear();
  }

  #planned(name, planning) {
    if (planning === null) {
      this.lacks(name, 'parse_plan_us', 'it has no statements as text');
      this.lacks(name, 'parse_plan_cached_us', 'it has no statements as text');
      return;
    }
    this.add(name, 'parse_plan_us', planning.fresh * microseconds);
    if (planning.known === null) this.lacks(name, 'parse_plan_cached_us', 'it keeps no statements by their text; an application keeps them prepared');
    else this.add(name, 'parse_plan_cached_us', planning.known * microseconds);
    if (planning.floor > 0) this.add(name, 'statement_floor_us', planning.floor * microseconds);
  }

  /** What the memory of the module has grown by, from an open and empty database to one that is loaded and was read as a whole. */
  #memory(round, name) {
    return this.withPage(name, async (page) => {
      if ((await page.do('moduleBytes')) === null) {
        this.lacks(name, 'bytes_per_doc', 'it has no WebAssembly memory, and keeps documents on the device');
        return undefined;
      }
      await page.do('open', `memory-${round}`, this.size.warmMs);
      const before = await page.do('moduleBytes');
      await page.do('fill', this.size.large);
      await page.do('check', 'filterSort', this.#right.large.filterSort);
      const grown = ((await page.do('moduleBytes')) - before) / this.size.large;
      await page.do('close');
      this.add(name, 'bytes_per_doc', grown);
      return `${show(grown)} bytes a document`;
    });
  }

  async #load(name) {
    await this.#opened(name, 'small', async () => undefined);
    return this.#opened(name, 'large', async (_, ms) => {
      this.add(name, 'load_100k_ms', ms);
      return `${show(ms)} ms`;
    });
  }

  /** A fresh page with a database that is loaded. */
  #opened(name, extent, work) {
    return this.withPage(name, async (page) => {
      await page.do('open', extent, this.size.warmMs);
      const ms = await page.do('fill', this.size[extent]);
      const told = await work(page, ms);
      await page.do('close');
      return told;
    });
  }
}
