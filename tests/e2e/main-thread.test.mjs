// The main thread of a page while many documents are written, opened and received.
//
// The bound is on the tasks of the thread by its own processor time, from a trace: a machine that is busy with other things does not
// lengthen them. The page's own program and the garbage collector are in them too. docs/worker.md has the figures of 100,000 documents
// for both modes: SHOAL_DOCUMENTS says how many, SHOAL_ENGINE=page prints those of the engine in the page and holds it to no bound.

import assert from 'node:assert/strict';
import { eventually, scenario } from './harness.mjs';
import { summary, traced } from './trace.mjs';

const documents = Number(process.env.SHOAL_DOCUMENTS ?? 20_000);
const batch = 5_000;
const taskLimitMs = 16;
const worker = process.env.SHOAL_ENGINE !== 'page';

scenario(`the main thread is never blocked for ${taskLimitMs} ms while ${documents} documents are written, opened and received`, async (stage) => {
  const bigPeer = await stage.bigPeer();
  const site = await stage.site();
  const writer = await stage.peer(await stage.context(), site, { bigPeer, worker, start: false, subscriptions: [] });
  await watch(writer);
  await phase('written in batches', writer, () => writer.page.evaluate(write, { documents, batch }));
  await eventually('the observer has seen the last', () => newest(writer), documents - 1);

  await phase('read whole, no row decoded', writer, async () => {
    assert.equal(await writer.page.evaluate(async () => (await window.ditto.store.execute('SELECT * FROM movies')).items.length), documents);
  });

  await phase('sent to the Big Peer', writer, async () => {
    await writer.start();
    await writer.inSync(300_000);
  });

  await writer.reload();
  const reader = await stage.peer(await stage.context(), site, { bigPeer, worker, start: false });
  await watch(reader);
  await phase('received', reader, async () => {
    await reader.start();
    await eventually('all have arrived', () => newest(reader), documents - 1, 300_000);
    await reader.inSync(300_000);
  });
  assert.equal(await reader.count(), documents);

  await reader.page.reload();
  await phase('opened, one document read', reader, async () => {
    await reader.open({ start: false });
    const [{ number }] = await reader.rows('SELECT number FROM movies WHERE _id = :id', { id: idOf(documents - 1) });
    assert.equal(number, documents - 1);
  });
}, 600_000);

/** One part of it under a trace. */
async function phase(name, peer, work) {
  const begin = performance.now();
  const { tasks } = await traced(peer.page, work);
  const told = { phase: name, engine: worker ? 'worker' : 'page', ms: Math.round(performance.now() - begin), ...summary(tasks) };
  console.log(JSON.stringify(told));
  if (process.env.SHOAL_TRACE) for (const task of tasks.slice(0, 5)) console.log(JSON.stringify(task));
  if (worker) assert.ok(tasks[0].cpuMs < taskLimitMs, `${name}: a task took ${tasks[0].cpuMs} ms: ${tasks[0].inside}`);
}

/** An observer as an application has one: the newest twenty, every row looked at. */
function watch(peer) {
  return peer.page.evaluate(() => {
    window.newest = null;
    const query = 'SELECT _id, number, title FROM movies ORDER BY number DESC LIMIT 20';
    window.ditto.store.registerObserver(query, (result) => {
      window.answers = result.items.map((item) => item.value);
      window.newest = window.answers[0]?.number ?? null;
    });
  });
}

const idOf = (number) => `movie-${String(number).padStart(7, '0')}`;

const newest = (peer) => peer.page.evaluate(() => window.newest);

/** Runs in the page: writes documents of about 300 bytes, batch by batch. */
async function write({ documents, batch }) {
  const words = ['alpha', 'bravo', 'charlie', 'delta', 'echo', 'foxtrot', 'golf', 'hotel'];
  const document = (number) => ({
    _id: `movie-${String(number).padStart(7, '0')}`,
    number,
    title: `The ${words[number % 8]} of ${words[(number >> 3) % 8]} ${number}`,
    genre: words[(number >> 6) % 8],
    rating: (number % 100) / 10,
    votes: (number * 7919) % 100_003,
    released: `20${String(number % 25).padStart(2, '0')}-05-17`,
    cast: [words[number % 7], words[number % 5], words[number % 3]],
    studio: { name: `Studio ${number % 97}`, city: words[number % 8], founded: 1900 + (number % 120) },
    plot: `${words[number % 8]} meets ${words[number % 6]}, and ${words[number % 4]} is not what it was before number ${number}.`,
  });
  const pause = () => new Promise((resolve) => setTimeout(resolve));
  for (let start = 0; start < documents; start += batch) {
    const given = [];
    // Making so many documents is the application's work; it minds the frame too.
    for (let number = start; number < start + batch; number += 1) {
      given.push(document(number));
      if (given.length % 500 === 0) await pause();
    }
    await window.ditto.store.execute('INSERT INTO movies DOCUMENTS (:given)', { given });
  }
}
