// The rounds of `bench store`. A round of 10,000 documents has a fresh profile. The 100,000 documents are loaded once a run, into one
// profile; the rounds that follow open them in fresh pages.

import { median, show } from './figures.mjs';
import { documents, keptQuantity } from './page/documents.mjs';
import { Rounds } from './rounds.mjs';

const settleLimitMs = { small: 10_000, large: 60_000 };
const batch = 10_000;

/** How much of everything; `large: 0` leaves the figures of 100,000 documents out. */
export const sizes = {
  full: { rounds: 5, bulk: 10_000, concurrent: 1000, alternate: 220, warm: 20, tabs: 120, large: 100_000 },
  quick: { rounds: 2, bulk: 10_000, concurrent: 1000, alternate: 120, warm: 20, tabs: 100, large: 0 },
  smoke: { rounds: 1, bulk: 200, concurrent: 20, alternate: 12, warm: 2, tabs: 5, large: 400 },
};

export class StoreRounds extends Rounds {
  /** The bulks of the present round. */
  #bulkMs = new Map();

  async run() {
    for (let round = 0; round < this.size.rounds; round += 1) {
      await this.inFreshProfile((profile) => this.#smallRound(round, profile));
    }
    if (this.size.large > 0) await this.inFreshProfile((profile) => this.#largeRounds(profile));
  }

  async #smallRound(round, profile) {
    await this.launch(profile);
    try {
      await this.each(round, 'bulk', (name) => this.#bulk(name));
      this.#compareWithDexie();
      await this.each(round, 'concurrent', (name) => this.#concurrent(name));
      await this.each(round, 'insert', (name) => this.#alternate(name));
      await this.each(round, 'other tab', (name) => this.#otherTab(name));
      await this.each(round, 'cold open', (name) => this.#coldOpen(name, 'bulk', 'cold_open_10k_ms', this.size.bulk));
    } finally {
      await this.browser.close();
    }
  }

  async #largeRounds(profile) {
    await this.launch(profile);
    const bytes = new Map();
    const expected = documents(0, this.size.large).filter((each) => each.quantity === keptQuantity).length;
    try {
      await this.each(null, 'load', async (name) => bytes.set(name, await this.#load(name)));
    } finally {
      await this.browser.close();
    }
    const loaded = (work) => (name) => bytes.has(name) ? work(name) : undefined;
    await this.launch(profile);
    try {
      for (let round = 0; round < this.size.rounds; round += 1) {
        await this.each(round, 'cold open', loaded((name) => this.#coldOpen(name, 'large', 'cold_open_100k_ms', this.size.large)));
        await this.each(round, 'scan', loaded((name) => this.#scan(name, bytes.get(name), expected)));
      }
    } finally {
      await this.browser.close();
    }
  }

  async #bulk(name) {
    return this.withPage(name, async (page) => {
      const before = await page.do('usage');
      await page.do('open', 'bulk');
      const times = await page.do('times');
      if (times) {
        this.add(name, 'wasm_compile_ms', times.compileMs);
        this.add(name, 'wasm_start_ms', times.startMs);
      }
      const { ms, bytes } = await page.do('bulk', 0, this.size.bulk);
      this.add(name, 'bulk_10k_ms', ms);
      this.#bulkMs.set(name, ms);
      this.add(name, 'disk_ratio_at_once', (await diskRatios(page, before, bytes)).stored);
      await page.do('settle', settleLimitMs.small);
      const settled = await diskRatios(page, before, bytes);
      this.add(name, 'disk_ratio', settled.stored);
      this.add(name, 'disk_origin_ratio', settled.origin);
      await page.do('close');
      return `${show(ms)} ms, ${show(settled.stored)} of the JSON on the device`;
    });
  }

  /** Over the bulks of one round. */
  #compareWithDexie() {
    const dexie = this.#bulkMs.get('dexie');
    if (dexie !== undefined) for (const [name, ms] of this.#bulkMs) this.add(name, 'bulk_10k_vs_dexie', dexie / ms);
    this.#bulkMs.clear();
  }

  #concurrent(name) {
    return this.withPage(name, async (page) => {
      await page.do('open', 'concurrent');
      const { ms } = await page.do('concurrent', 0, this.size.concurrent);
      await page.do('close');
      this.add(name, 'concurrent_1k_ms', ms);
      return `${show(ms)} ms`;
    });
  }

  #alternate(name) {
    return this.withPage(name, async (page) => {
      await page.do('open', 'alternate');
      const { own, raw } = await page.do('alternate', 0, this.size.alternate, this.size.warm);
      await page.do('close');
      const [ownP50, rawP50] = [median(own), median(raw)];
      this.add(name, 'insert_p50_ms', ownP50);
      this.add(name, 'raw_put_p50_ms', rawP50);
      this.add(name, 'insert_p50_vs_raw_put', ownP50 / rawP50);
      return `${show(ownP50)} ms, raw put ${show(rawP50)} ms`;
    });
  }

  /** Two pages of one origin; one writes, the other observes. */
  #otherTab(name) {
    return this.withPage(name, async (writer) => {
      await writer.do('open', 'tabs');
      if (!(await writer.do('canObserve'))) return undefined;
      await writer.do('bulk', 0, 100);
      return this.withPage(name, async (reader) => {
        await reader.do('open', 'tabs');
        await reader.do('observe', 0);
        const delays = [];
        for (let turn = 0; turn < this.size.tabs; turn += 1) {
          const value = 1000 + turn;
          const [called, seen] = await Promise.all([writer.do('set', 0, value), reader.do('seen', value)]);
          delays.push(seen - called);
        }
        const p50 = median(delays.slice(Math.min(5, delays.length - 1)));
        this.add(name, 'other_tab_p50_ms', p50);
        return `${show(p50)} ms`;
      });
    });
  }

  async #coldOpen(name, store, figure, count) {
    await this.pause(name);
    return this.withPage(name, async (page) => {
      const { ms } = await page.do('coldOpen', store, count >> 1);
      await page.do('close');
      this.add(name, figure, ms);
      return `${show(ms)} ms`;
    });
  }

  async #load(name) {
    return this.withPage(name, async (page) => {
      const before = await page.do('usage');
      await page.do('open', 'large');
      let [ms, bytes] = [0, 0];
      for (let first = 0; first < this.size.large; first += batch) {
        const part = await page.do('bulk', first, Math.min(batch, this.size.large - first));
        ms += part.ms;
        bytes += part.bytes;
      }
      await page.do('settle', settleLimitMs.large);
      const { stored, origin } = await diskRatios(page, before, bytes);
      await page.do('close');
      this.add(name, 'load_100k_ms', ms);
      this.add(name, 'disk_ratio_100k', stored);
      this.add(name, 'disk_origin_ratio_100k', origin);
      this.tell(null, 'load', name, `${show(ms)} ms, ${show(stored)} of the JSON on the device`);
      return bytes;
    });
  }

  async #scan(name, bytes, expected) {
    await this.pause(name);
    return this.withPage(name, async (page) => {
      const before = await page.memory();
      await page.do('open', 'large');
      const { ms } = await page.do('scan', 'quantity', keptQuantity, expected);
      const after = await page.memory();
      const times = await page.do('times');
      await page.do('close');
      if (times !== null && after.module === 0) throw new Error('the memory of the WebAssembly module was not seen');
      const heap = after.heap + after.buffers - before.heap - before.buffers;
      const ratio = (heap + after.module - before.module) / bytes;
      this.add(name, 'scan_100k_ms', ms);
      this.add(name, 'memory_100k_ratio', ratio);
      this.add(name, 'memory_heap_100k_ratio', heap / bytes);
      return `${show(ms)} ms, ${show(ratio)} of the JSON in memory`;
    });
  }
}

/** Over the bytes of the JSON: what the store says it keeps, or else what its origin has grown by; and that growth. */
async function diskRatios(page, before, bytes) {
  const usage = await page.do('usage');
  const origin = (usage.origin - before.origin) / bytes;
  return { stored: usage.stored === null ? origin : usage.stored / bytes, origin };
}
