// Tabs that write at the same time: nothing is lost, all agree, and news travels fast.

import assert from 'node:assert/strict';
import { eventually, scenario } from './harness.mjs';

const tabCount = 10;
const writes = 50;

scenario('ten tabs writing at once lose nothing and agree', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  const tabs = [];
  for (let more = 0; more < tabCount; more += 1) tabs.push(await stage.peer(context, site, { start: false, subscriptions: [] }));
  await tabs[0].rows("INSERT INTO counters DOCUMENTS ({'_id': 'shared', 'n': 0})");
  await Promise.all(tabs.map((tab) => tab.eventually('SELECT n FROM counters', {}, [{ n: 0 }])));

  const started = performance.now();
  const won = await Promise.all(tabs.map((tab, number) => tab.page.evaluate(compete, { number, writes })));
  console.log(`${tabCount} tabs, ${3 * writes} awaited statements each: ${Math.round(performance.now() - started)} ms`);

  assert.equal(won.reduce((sum, wins) => sum + wins, 0), writes, 'every race has one winner');
  const queries = ['SELECT n FROM counters', 'SELECT COUNT(*) AS total FROM own', 'SELECT * FROM races ORDER BY _id', 'SELECT * FROM own ORDER BY _id'];
  const [first, ...others] = await Promise.all(tabs.map(async (tab) => {
    await tab.eventually(queries[0], {}, [{ n: tabCount * writes }]);
    await tab.eventually(queries[1], {}, [{ total: tabCount * writes }]);
    return Promise.all(queries.map((query) => tab.rows(query)));
  }));
  for (const other of others) assert.deepEqual(other, first);
});

scenario('a write in one tab is seen by an observer in another', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  const writer = await stage.peer(context, site, { start: false, subscriptions: [] });
  const watcher = await stage.peer(context, site, { start: false, subscriptions: [] });
  await watcher.page.evaluate(() => {
    window.seen = [];
    window.ditto.store.registerObserver('SELECT n FROM news', ({ items }) => {
      const at = performance.timeOrigin + performance.now();
      window.watching = true;
      for (const { value } of items) window.seen[value.n] ??= at;
    });
  });
  await watcher.page.waitForFunction(() => window.watching === true);
  const count = 200;
  const sent = await writer.page.evaluate(async (total) => {
    const times = [];
    for (let n = 0; n < total; n += 1) {
      times.push(performance.timeOrigin + performance.now());
      await window.ditto.store.execute("INSERT INTO news DOCUMENTS ({'_id': 1, 'n': :n}) ON ID CONFLICT DO UPDATE", { n });
      // One at a time: the next is written when a frame has passed, and the other tab is idle.
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    }
    return times;
  }, count);
  await eventually('the last one is seen', () => watcher.page.evaluate((n) => window.seen[n] !== undefined, count - 1));
  const seen = await watcher.page.evaluate(() => window.seen);
  const times = sent.map((at, n) => seen[n] - at).filter((time) => !Number.isNaN(time)).sort((a, b) => a - b);
  const at = (part) => times[Math.floor(times.length * part)].toFixed(1);
  console.log(`seen in another tab: p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, of ${times.length}`);
  assert.equal(times.length, count);
  // The goal is 6 ms; a machine that builds something meanwhile is slower.
  assert.ok(Number(at(0.5)) <= 25, at(0.5));
});

scenario('a transaction whose tab dies is rolled back, and the others write on', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  const victim = await stage.peer(context, site, { start: false, subscriptions: [] });
  const survivor = await stage.peer(context, site, { start: false, subscriptions: [] });
  await survivor.rows("INSERT INTO notes DOCUMENTS ({'_id': '1', 'n': 1})");
  await victim.eventually('SELECT n FROM notes', {}, [{ n: 1 }]);
  await victim.page.evaluate(() => new Promise((written) => {
    void window.ditto.store.transaction(async (transaction) => {
      await transaction.execute("UPDATE notes SET n = 99 WHERE _id = '1'");
      await transaction.execute("INSERT INTO notes DOCUMENTS ({'_id': '2', 'n': 2})");
      written();
      await new Promise(() => undefined);
    });
  }));
  const devtools = await context.newCDPSession(victim.page);
  const crashed = new Promise((resolve) => victim.page.once('crash', resolve));
  void devtools.send('Page.crash').catch(() => undefined);
  await crashed;
  await survivor.rows("UPDATE notes SET n = n + 1 WHERE _id = '1'");
  const all = 'SELECT * FROM notes ORDER BY _id';
  assert.deepEqual(await survivor.rows(all), [{ _id: '1', n: 2 }]);
  const third = await stage.peer(context, site, { start: false, subscriptions: [] });
  assert.deepEqual(await third.rows(all), [{ _id: '1', n: 2 }]);
});

scenario('a transaction that stays open for ten seconds is logged', async (stage) => {
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { start: false, subscriptions: [] });
  const logged = peer.page.waitForEvent('console', { predicate: (message) => message.text().includes('10 s'), timeout: 25_000 });
  await peer.page.evaluate(() => {
    void window.ditto.store.transaction(() => new Promise(() => undefined), { hint: 'slow one' });
  });
  assert.match((await logged).text(), /transaction/i);
});

/** Inserts of its own, races for ids that all tabs want, and additions to one number; returns the races won. */
async function compete({ number, writes: count }) {
  const { store } = window.ditto;
  let won = 0;
  for (let turn = 0; turn < count; turn += 1) {
    await store.execute('INSERT INTO own DOCUMENTS (:doc)', { doc: { _id: `${number}-${turn}`, number, turn } });
    await store.execute("UPDATE counters SET n = n + 1 WHERE _id = 'shared'");
    try {
      await store.execute('INSERT INTO races DOCUMENTS (:doc) ON ID CONFLICT FAIL', { doc: { _id: `race-${turn}`, winner: number } });
      won += 1;
    } catch (error) {
      if (error.code !== 'store/identifier-conflict') throw error;
    }
  }
  return won;
}
