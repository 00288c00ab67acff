// Compares the engine in the page with the engine in a worker: `node place.bench.mjs`. One page, both engines open at once on stores of their
// own, every measurement taken in turn from one and from the other; the medians of all rounds are printed as a table.

import { scenario } from './harness.mjs';

const rounds = Number(process.env.SHOAL_ROUNDS ?? 5);

scenario('page or worker', async (stage) => {
  const site = await stage.site();
  const page = await stage.page(await stage.context(), `${site.address}/e2e/test.html`);
  await page.waitForFunction(() => window.shoal !== undefined);
  const measured = await page.evaluate(measure, rounds);
  console.log('| | page | worker | worker / page |\n|---|--:|--:|--:|');
  for (const [name, { page: inPage, worker }] of Object.entries(measured)) {
    const cell = ({ median, min, max }) => `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`;
    console.log(`| ${name} | ${cell(inPage)} | ${cell(worker)} | ${(worker.median / inPage.median).toFixed(2)} |`);
  }
}, 600_000);

/** Runs in the page. */
async function measure(rounds) {
  const { init, Ditto, DittoConfig } = window.shoal;
  await init({ webAssemblyModule: window.wasmAddress });
  const places = ['page', 'worker'];
  const open = (place, name) => Ditto.open(new DittoConfig('place', { mode: 'smallPeersOnly' }, `${name}-${place}`), { worker: place === 'worker' });
  const document = (number) => ({
    _id: `d${number}`, number, title: `The title of document ${number}`, genre: 'drama', rating: number / 7, votes: number * 31, released: '2024-05-17',
    cast: ['one actor', 'another actor', 'a third one'], studio: { name: `Studio ${number % 97}`, city: 'Warszawa' }, plot: 'Somebody meets somebody, and it ends well. '.repeat(2),
  });
  const samples = {};
  const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
  const take = (name, place, value) => ((samples[name] ??= { page: [], worker: [] })[place].push(value));
  const time = async (work) => {
    const begin = performance.now();
    await work();
    return performance.now() - begin;
  };

  for (let round = 0; round < rounds; round += 1) {
    // A fresh pair each round, each first every other time: neither profits from the other's warm-up.
    const order = round % 2 === 0 ? places : [...places].reverse();
    const opened = {};
    for (const place of order) take('open, empty store, ms', place, await time(async () => (opened[place] = await open(place, `r${round}`))));
    let next = 0;
    const each = async (name, count, work) => {
      const values = { page: [], worker: [] };
      for (let i = 0; i < count; i += 1) for (const place of order) values[place].push(await time(() => work(opened[place].store, next + i)));
      next += count;
      for (const place of order) take(name, place, median(values[place]));
    };
    const insert = (store, number) => store.execute('INSERT INTO a DOCUMENTS (:doc)', { doc: document(number) });
    await each('one insert, awaited, p50, ms', 100, insert);
    for (const place of order) {
      const given = Array.from({ length: 10_000 }, (_, number) => document(number + 100_000));
      take('10,000 documents in one INSERT, ms', place, await time(() => opened[place].store.execute('INSERT INTO b DOCUMENTS (:given)', { given })));
    }
    for (const place of order) {
      const works = Array.from({ length: 1_000 }, (_, number) => document(number + 200_000));
      take('1,000 concurrent inserts, ms', place, await time(() => Promise.all(works.map((doc) => opened[place].store.execute('INSERT INTO c DOCUMENTS (:doc)', { doc })))));
    }
    // The clock of a page ticks in tenths of a millisecond: many reads, one after the other, make one sample.
    const read = async (store, number) => (await store.execute('SELECT * FROM b WHERE _id = :id', { id: `d${100_000 + (number % 10_000)}` })).items[0].value;
    const reads = 200;
    for (const place of order) {
      const all = await time(async () => {
        for (let number = 0; number < reads; number += 1) await read(opened[place].store, number * 37);
      });
      take('read by _id, awaited, mean, ms', place, all / reads);
    }
    await each('10,000 rows read, none decoded, ms', 3, (store) => store.execute('SELECT * FROM b'));
    await each('insert to observer, p50, ms', 50, async (store, number) => {
      let observer;
      await new Promise((resolve) => {
        observer = store.registerObserver('SELECT _id FROM a WHERE _id = :id', ({ items }) => (items.length === 0 ? void insert(store, number) : resolve()), { id: `d${number}` });
      });
      observer.cancel();
    });
    for (const place of order) await opened[place].close();
    for (const place of order) take('open with 11,000 documents to first answer, ms', place, await time(async () => {
      const ditto = await open(place, `r${round}`);
      await ditto.store.execute("SELECT * FROM b WHERE _id = 'd100001'");
      opened[place] = ditto;
    }));
    for (const place of order) await opened[place].close();
  }
  const spread = (values) => ({ median: median(values), min: Math.min(...values), max: Math.max(...values) });
  return Object.fromEntries(Object.entries(samples).map(([name, { page, worker }]) => [name, { page: spread(page), worker: spread(worker) }]));
}
