// The rounds of `bench sync`. A round of 10,000 documents has a fresh server for every contestant and a fresh profile, so that the browser
// is empty. What takes 100,000 documents, and the history, are measured once a run, by one contestant after the other.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { median, show } from './figures.mjs';
import { difference, Meter } from './meter.mjs';
import { documents, jsonBytes } from './page/documents.mjs';
import { Rounds } from './rounds.mjs';
import { startServer } from './server/server.mjs';

const quietLimitMs = 300_000;
/** Until what a page left behind when it closed has passed. */
const leftMs = 100;
const settleLimitMs = 60_000;
/** Turns of the history that are asked for in one call. */
const turnsACall = 10;
/** Other values than the documents have. */
const changedValue = 1000;
const timedValue = 10_000;

/**
 * How much of everything. `quietMs` without a byte is rest: longer than any pause inside a conversation, since Shoal tells a position that moved a
 * second later. `large: 0` leaves the figures of 100,000 documents out, `history: 0` those of the history.
 */
export const sizes = {
  full: { rounds: 3, quietMs: 2500, small: 10_000, changes: 200, propagate: 220, warm: 20, large: 100_000, differ: 100, history: 1000, turns: 100 },
  quick: { rounds: 2, quietMs: 2500, small: 10_000, changes: 50, propagate: 200, warm: 20, large: 0, differ: 0, history: 0, turns: 0 },
  smoke: { rounds: 1, quietMs: 250, small: 500, changes: 5, propagate: 10, warm: 2, large: 500, differ: 10, history: 50, turns: 5 },
};

export class SyncRounds extends Rounds {
  #servers = new Map();
  #folders = [];
  /** Bytes from the server per document of a plain sync. */
  #documentBytes = new Map();

  async run() {
    try {
      for (let round = 0; round < this.size.rounds; round += 1) await this.#inBrowser(() => this.#smallRound(round));
      if (this.size.large > 0) await this.#inBrowser(() => this.each(null, 'large', (name) => this.#large(name)));
      if (this.size.history > 0) await this.#inBrowser(() => this.each(null, 'history', (name) => this.#history(name)));
    } finally {
      await this.#stopServers();
    }
  }

  #inBrowser(work) {
    return this.inFreshProfile(async (profile) => {
      await this.launch(profile);
      try {
        await work();
      } finally {
        await this.browser.close();
      }
    });
  }

  /** Starts and loads the server of a contestant, and a meter before it. */
  async #serve(name, count) {
    const folder = await mkdtemp(path.join(tmpdir(), 'shoal-bench-server-'));
    this.#folders.push(folder);
    const server = await startServer(name, folder);
    this.#servers.set(name, { server, meter: await Meter.before(server.port) });
    const started = performance.now();
    await server.load(0, count);
    return `${count} documents in ${show(performance.now() - started)} ms`;
  }

  async #stopServers() {
    for (const { server, meter } of this.#servers.values()) {
      await meter.stop();
      await server.stop();
    }
    this.#servers.clear();
    for (const folder of this.#folders.splice(0)) await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** With fresh servers, since some say more at a reconnect the more has changed. */
  async #smallRound(round) {
    await this.each(round, 'server', (name) => this.#serve(name, this.size.small));
    await this.each(round, 'sync', (name) => this.#receive(name, 'plain', this.size.small, 'sync_10k_ms'));
    await this.each(round, 'bytes', (name) => this.#download(name));
    await this.each(round, 'reconnect', (name) => this.#reconnect(name));
    await this.each(round, 'changes', (name) => this.#changes(name));
    await this.#stopServers();
  }

  /** Everything to an empty browser, without the meter between. */
  #receive(name, replica, count, figure) {
    return this.withPage(name, async (page) => {
      await page.do('open', replica, this.#port(name));
      const { ms } = await page.do('receive', count, count >> 1);
      await page.do('close');
      this.add(name, figure, ms);
      return `${show(ms)} ms`;
    });
  }

  /** The same once more, counted. */
  async #download(name) {
    const { small } = this.size;
    const passed = await this.#counted(name, 'counted', (page) => page.do('download', small));
    this.#documentBytes.set(name, passed.down / small);
    const ratio = passed.wireDown / jsonBytes(documents(0, small));
    this.add(name, 'sync_bytes_ratio', ratio);
    this.add(name, 'sync_wire_bytes', passed.wire);
    return `${show(ratio)} of the JSON`;
  }

  async #reconnect(name) {
    const passed = await this.#counted(name, 'counted', (page) => page.do('connect'));
    this.add(name, 'idle_reconnect_bytes', passed.carried);
    this.add(name, 'idle_reconnect_wire_bytes', passed.wire);
    return `${show(passed.carried)} bytes, ${show(passed.up)} of them up`;
  }

  /** Two browsers: the changes of one are counted first, by way of the meter, and timed then, without it. */
  #changes(name) {
    const { meter } = this.#servers.get(name);
    const read = async (reader) => {
      await reader.do('open', 'reader', this.#port(name));
      await reader.do('download', this.size.small);
      const counted = await this.#writing(name, meter.port, (writer) => this.#countChanges(name, writer, reader));
      const timed = await this.#writing(name, this.#port(name), (writer) => this.#timeChanges(name, writer, reader));
      await reader.do('close');
      return `${counted}; ${timed}`;
    };
    return this.withPage(name, read, 'reader');
  }

  #writing(name, port, work) {
    return this.withPage(name, async (writer) => {
      await writer.do('open', 'counted', port);
      await writer.do('connect');
      const told = await work(writer);
      await writer.do('close');
      return told;
    });
  }

  async #countChanges(name, writer, reader) {
    const { meter } = this.#servers.get(name);
    await this.#rest(meter);
    const before = meter.read();
    const carriers = [];
    for (let turn = 0; turn < this.size.changes; turn += 1) {
      const value = changedValue + turn;
      await reader.do('observe', turn);
      meter.takeGreatestUp();
      await Promise.all([writer.do('set', turn, value), reader.do('seen', value)]);
      carriers.push(meter.takeGreatestUp());
    }
    await this.#rest(meter);
    const { carried } = difference(before, meter.read());
    const other = (carried - carriers.reduce((sum, bytes) => sum + bytes, 0)) / carriers.length;
    this.add(name, 'field_change_bytes', median(carriers));
    this.add(name, 'field_change_other_bytes', other);
    return `${show(median(carriers))} bytes a change and ${show(other)} beside`;
  }

  async #timeChanges(name, writer, reader) {
    const { warm, propagate, small } = this.size;
    const [document, delays] = [small >> 1, []];
    await reader.do('observe', document);
    for (let turn = 0; turn < warm + propagate; turn += 1) {
      const value = timedValue + turn;
      const [called, seen] = await Promise.all([writer.do('set', document, value), reader.do('seen', value)]);
      if (turn >= warm) delays.push(seen - called);
    }
    const [p50, p99] = [median(delays), percentile(delays, 0.99)];
    this.add(name, 'propagate_ws_p50_ms', p50);
    this.add(name, 'propagate_ws_p99_ms', p99);
    return `seen after ${show(p50)} ms, p99 ${show(p99)} ms`;
  }

  /** 100,000 documents: to an empty browser, and two meetings of a copy of that browser's replica with the server. */
  async #large(name) {
    try {
      await this.#serve(name, this.size.large);
      this.tell(null, 'sync', name, await this.#receive(name, 'large', this.size.large, 'sync_100k_ms'));
      for (const copy of ['equal', 'different']) {
        await this.withPage(name, (page) => page.do('copy', 'large', copy));
      }
      const equal = await this.#counted(name, 'equal', (page) => page.do('connect'));
      this.add(name, 'reconcile_equal_100k_bytes', equal.carried);
      this.tell(null, 'equal', name, `${show(equal.carried)} bytes, ${show(equal.up)} of them up`);
      return await this.#different(name);
    } finally {
      await this.#stopServers();
    }
  }

  async #different(name) {
    const { differ } = this.size;
        await this.#servers.get(name).server.change(0, differ, changedValue);
    const passed = await this.#counted(name, 'different', async (page) => {
      await page.do('connect');
      await this.#rest(this.#servers.get(name).meter);
      for (const index of [0, differ - 1]) if (!(await page.do('has', index, changedValue))) throw new Error('a change of the server did not come');
    });
    // Who sends changes instead of documents can stay below what whole documents would take.
    const beside = Math.max(0, passed.carried - differ * this.#documentBytes.get(name));
    this.add(name, 'reconcile_100_diff_bytes', beside);
    this.add(name, 'reconcile_100_diff_total_bytes', passed.carried);
    return `${show(beside)} bytes beside the documents that differ, ${show(passed.up)} up in all`;
  }

  /** What passes between a fresh page and the server until both rest. */
  async #counted(name, replica, work) {
    const { meter } = this.#servers.get(name);
    return this.withPage(name, async (page) => {
      await page.do('open', replica, meter.port);
      await meter.quiet(leftMs, quietLimitMs);
      const before = meter.read();
      await work(page);
      await this.#rest(meter);
      const passed = difference(before, meter.read());
      await page.do('close');
      return passed;
    });
  }

  /** Without a server: what is kept after many updates, over what a fresh store of the same documents keeps. */
  async #history(name) {
    const { history, turns } = this.size;
    const bytes = (kind, fill) => this.withPage(name, (page) => keptBytes(page, fill), kind);
    const fresh = await bytes('fresh', (page) => page.do('bulkRewritten', history, turns));
    const old = await bytes('old', async (page) => {
      await page.do('bulk', 0, history);
      // In parts, each of which has an operation's time.
      for (let turn = 1; turn <= turns; turn += turnsACall) await page.do('rewrite', history, turn, Math.min(turnsACall, turns + 1 - turn));
      await page.do('compact');
    });
    this.add(name, 'history_ratio', old / fresh);
    this.add(name, 'history_bytes', old);
    this.add(name, 'history_fresh_bytes', fresh);
    return `${show(old)} bytes, a fresh copy ${show(fresh)}`;
  }

  /** Waits until both sides rest. */
  #rest(meter) {
    return meter.quiet(this.size.quietMs, quietLimitMs);
  }

  #port(name) {
    return this.#servers.get(name).server.port;
  }
}

/** The least value that so great a part of the values does not exceed. */
const percentile = (values, part) => [...values].sort((a, b) => a - b)[Math.ceil(values.length * part) - 1];

/** What a store keeps on the device after it was filled and has settled: what it says, or what its origin has grown by. */
async function keptBytes(page, fill) {
  const { origin } = await page.do('usage');
  await page.do('open', 'history');
  await fill(page);
  await page.do('settle', settleLimitMs);
  const after = await page.do('usage');
  await page.do('close');
  return after.stored ?? after.origin - origin;
}
