// Kills renderers and whole browsers at random moments under load, opens the store again and looks at what is there.
//
// SHOAL_KILLS: how many (20); SHOAL_KILL_SEED: of the random choices, printed at the start. The moment of a kill is chosen by
// count of acknowledged writes and a few random milliseconds, so a seed repeats the load and the order of kills, not the instant.
import assert from 'node:assert/strict';
import { eventually, scenario } from './harness.mjs';

const kills = Number(process.env.SHOAL_KILLS ?? 20);
const seed = Number(process.env.SHOAL_KILL_SEED ?? Date.now() % 1_000_000);
/** A store lives through so many kills, then the next one is used. */
const killsOfStore = 5;
const bulkDocuments = 100;
const limitMs = 60_000 + kills * 8_000;

scenario(`${kills} kills under load lose nothing that was acknowledged and leave no transaction half`, async (stage) => {
  console.log(`kill: seed ${seed}`);
  const random = mulberry32(seed);
  const below = (limit) => Math.floor(random() * limit);
  const site = await stage.site();
  const profile = await stage.folder();
  let browser = await stage.killableBrowser(profile);
  let expected = new Expected();
  const total = { acknowledged: 0, renderers: 0, browsers: 0, segments: 0 };

  for (let round = 0; round < kills; round += 1) {
    if (round % killsOfStore === 0) expected = new Expected();
    const options = { start: false, directory: `store-${Math.floor(round / killsOfStore)}` };
    const tabs = below(3) === 0 ? 2 : 1;
    const victims = [];
    let acknowledged = 0;
    const last = 1 + below(150);
    await new Promise((reached, failed) => {
      // A tab that is still opening would outlive the kill and go on writing.
      const isDue = () => acknowledged >= last && victims.length === tabs;
      const take = (kind, value) => {
        expected.acknowledge(kind, value);
        acknowledged += 1;
        if (isDue()) reached();
      };
      const start = async (tab) => {
        const victim = await stage.peer(browser.context, site, options);
        await victim.page.exposeFunction('acknowledged', take);
        await victim.page.exposeFunction('refused', (message) => failed(new Error(message)));
        await victim.page.evaluate(load, { name: `${round}-${tab}`, bulkDocuments });
        victims.push(victim);
        if (isDue()) reached();
      };
      Promise.all(Array.from({ length: tabs }, (_, tab) => start(tab))).catch(failed);
    });
    // Not waiting for something: the instant of the kill is what is random here.
    await new Promise((resolve) => setTimeout(resolve, below(40)));
    const whole = below(4) === 0;
    if (whole) {
      await browser.kill();
      browser = await stage.killableBrowser(profile);
    } else {
      await Promise.all(victims.map((victim) => crash(browser.context, victim.page)));
    }
    total[whole ? 'browsers' : 'renderers'] += 1;
    total.acknowledged += acknowledged;

    const survivor = await stage.peer(browser.context, site, options);
    const found = await survivor.page.evaluate(look);
    const where = `seed ${seed}, kill ${round} (${whole ? 'browser' : 'renderer'}, ${tabs} tabs, ${acknowledged} acknowledged)`;
    expected.check(found, where);
    assert.deepEqual(found.report.findings, [], `${where}: verify`);
    assert.equal(found.report.ok, true, where);
    total.segments = Math.max(total.segments, found.report.counts.segments);
    await survivor.page.close();
  }
  console.log(`kill: ${JSON.stringify(total)}`);
  assert.ok(kills < 20 || total.segments > 0, 'flushes were among what was interrupted');
}, limitMs);

/** What must be there: everything acknowledged, and everything that was there after an earlier kill. */
class Expected {
  singles = new Set();
  bulks = new Set();
  pairs = new Set();
  deleted = new Set();
  updates = new Map();

  acknowledge(kind, value) {
    if (kind === 'single') this.singles.add(value);
    else if (kind === 'bulk') this.bulks.add(value);
    else if (kind === 'pair') this.pairs.add(value);
    else if (kind === 'deleted') this.deleted.add(value);
    else if (kind === 'updated') this.updates.set(value.id, Math.max(value.value, this.updates.get(value.id) ?? 0));
    else throw new Error(`no such kind: ${kind}`);
  }

  check(found, where) {
    const singles = new Set(found.singles);
    assert.deepEqual([...this.singles].filter((id) => !singles.has(id)), [], `${where}: lost inserts`);
    const left = new Set(found.left);
    assert.deepEqual([...found.right].sort(), [...found.left].sort(), `${where}: a transaction is half there`);
    assert.deepEqual([...this.pairs].filter((id) => !left.has(id)), [], `${where}: lost transactions`);
    const half = Object.entries(found.bulks).filter(([, count]) => count !== bulkDocuments);
    assert.deepEqual(half, [], `${where}: a bulk insert is half there`);
    assert.deepEqual([...this.bulks].filter((name) => !Object.hasOwn(found.bulks, name)), [], `${where}: lost bulk inserts`);
    assert.deepEqual(found.passing.filter((id) => this.deleted.has(id)), [], `${where}: a deletion was undone`);
    const updates = new Map(found.updates.map(({ _id, value }) => [_id, value]));
    const older = [...this.updates].filter(([id, value]) => !(updates.get(id) >= value));
    assert.deepEqual(older, [], `${where}: lost updates`);
    this.singles = singles;
    this.pairs = left;
    this.bulks = new Set(Object.keys(found.bulks));
    this.updates = updates;
  }
}

/** Runs in the page: writes of every kind beside each other, until the page is gone. */
function load({ name, bulkDocuments }) {
  const { store } = window.ditto;
  const again = (step) =>
    void (async () => {
      for (let n = 0; ; n += 1) await step(n);
    })().catch((cause) => window.refused(`${cause.code}: ${cause.message}`));
  again(async (n) => {
    const id = `${name}-${n}`;
    await store.execute('INSERT INTO singles DOCUMENTS (:doc)', { doc: { _id: id, n, text: 'single' } });
    void window.acknowledged('single', id);
  });
  again(async (n) => {
    const bulk = `${name}-${n}`;
    const documents = Array.from({ length: bulkDocuments }, (_, index) => ({ _id: `${bulk}-${index}`, bulk, text: `${Math.random()}`.repeat(25) }));
    await store.execute('INSERT INTO bulks DOCUMENTS (:documents)', { documents });
    void window.acknowledged('bulk', bulk);
  });
  again(async (n) => {
    if (n === 0) await store.execute('INSERT INTO updates DOCUMENTS (:doc)', { doc: { _id: name, value: 0 } });
    else await store.execute('UPDATE updates SET value = :n WHERE _id = :name', { n, name });
    void window.acknowledged('updated', { id: name, value: n });
  });
  again(async (n) => {
    const id = `${name}-${n}`;
    await store.execute('INSERT INTO passing DOCUMENTS (:doc)', { doc: { _id: id } });
    await store.execute('DELETE FROM passing WHERE _id = :id', { id });
    void window.acknowledged('deleted', id);
  });
  again(async (n) => {
    const id = `${name}-${n}`;
    try {
      await store.transaction(async (transaction) => {
        await transaction.execute('INSERT INTO lefts DOCUMENTS (:doc)', { doc: { _id: id } });
        await transaction.execute('INSERT INTO rights DOCUMENTS (:doc)', { doc: { _id: id } });
      });
      void window.acknowledged('pair', id);
    } catch (cause) {
      // Another tab was faster, and nothing of this one was kept.
      if (cause.code !== 'store/transaction-conflict') throw cause;
    }
  });
}

/** Runs in the page: everything that is there, and what verification says. */
async function look() {
  const { store, storage } = window.ditto;
  const values = async (query) => (await store.execute(query)).items.map((item) => item.value);
  const ids = async (collection) => (await values(`SELECT _id FROM ${collection}`)).map((row) => row._id);
  const bulks = {};
  for (const { bulk } of await values('SELECT bulk FROM bulks')) bulks[bulk] = (bulks[bulk] ?? 0) + 1;
  return {
    singles: await ids('singles'),
    left: await ids('lefts'),
    right: await ids('rights'),
    passing: await ids('passing'),
    updates: await values('SELECT _id, value FROM updates'),
    bulks,
    report: await storage.verify(),
  };
}

async function crash(context, page) {
  let crashed = false;
  page.once('crash', () => {
    crashed = true;
  });
  const devtools = await context.newCDPSession(page);
  void devtools.send('Page.crash').catch(() => undefined);
  await eventually('the renderer is gone', () => crashed);
  await page.close();
}

/** A small generator of random numbers: the same seed, the same choices. */
function mulberry32(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
