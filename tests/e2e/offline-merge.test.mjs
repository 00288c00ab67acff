import assert from 'node:assert/strict';
import { canonical, clockTick, eventually, scenario } from './harness.mjs';

const start = [
  { _id: 'conflict', Title: 'Before', Director: 'Before' },
  { _id: 'fields', Title: 'Before', Director: 'Before' },
  { _id: 'deleted', Title: 'Before' },
  { _id: 'map', info: { kept: 1 } },
  { _id: 'entry', items: { k: { colour: 'red' } } },
];

scenario('offline edits on both sides survive a reload and converge to the same bytes', async (stage) => {
  const bigPeer = await stage.bigPeer();
  await bigPeer.load('movies', start);
  const site = await stage.site();
  const a = await stage.peer(await stage.context(), site, { bigPeer });
  const b = await stage.peer(await stage.context(), site, { bigPeer });
  for (const peer of [a, b]) {
    await eventually('the documents arrived', () => peer.count(), start.length);
    await peer.inSync();
    await peer.stop();
    await eventually('offline', async () => (await peer.status()).isOn, false);
  }

  await a.rows("UPDATE movies SET Title = 'Earlier, by A' WHERE _id = 'conflict'");
  await a.rows("UPDATE movies SET Title = 'By A' WHERE _id = 'fields'");
  await a.rows("DELETE FROM movies WHERE _id = 'deleted'");
  await a.rows("UPDATE movies SET info.a = 1 WHERE _id = 'map'");
  await a.rows("UPDATE movies UNSET items.k WHERE _id = 'entry'");
  await a.rows('INSERT INTO movies DOCUMENTS (:doc)', { doc: { _id: 'both', fromA: true } });
  await clockTick();
  await b.rows("UPDATE movies SET Title = 'Later, by B' WHERE _id = 'conflict'");
  await b.rows("UPDATE movies SET Director = 'By B' WHERE _id = 'fields'");
  await b.rows("UPDATE movies SET Title = 'Too late' WHERE _id = 'deleted'");
  await b.rows("UPDATE movies SET info.b = 2 WHERE _id = 'map'");
  await b.rows("UPDATE movies SET items.k.quantity = 5 WHERE _id = 'entry'");
  await b.rows('INSERT INTO movies DOCUMENTS (:doc)', { doc: { _id: 'both', fromB: true } });

  const before = [await all(a), await all(b)];
  await a.reload({ start: false });
  await b.reload({ start: false });
  assert.equal(canonical(await all(a)), canonical(before[0]), 'a reload loses nothing of A');
  assert.equal(canonical(await all(b)), canonical(before[1]), 'a reload loses nothing of B');
  assert.notEqual(canonical(before[0]), canonical(before[1]), 'they differ until they meet');

  await a.start();
  await b.start();
  const merged = [
    { _id: 'both', fromA: true, fromB: true },
    { _id: 'conflict', Title: 'Later, by B', Director: 'Before' },
    { _id: 'entry', items: { k: { quantity: 5 } } },
    { _id: 'fields', Title: 'By A', Director: 'By B' },
    { _id: 'map', info: { kept: 1, a: 1, b: 2 } },
  ];
  for (const peer of [a, b]) await eventually('merged', () => all(peer), merged);
  await eventually('merged at the Big Peer', () => bigPeer.rows('SELECT * FROM movies ORDER BY _id'), merged);
  for (const peer of [a, b]) await peer.inSync();
  assert.deepEqual(await a.bytes(), await b.bytes(), 'the same bytes');
  assert.equal((await a.bytes()).length, merged.length);
});

const all = (peer) => peer.rows('SELECT * FROM movies ORDER BY _id');
