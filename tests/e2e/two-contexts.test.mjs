import assert from 'node:assert/strict';
import { eventually, movies, scenario } from './harness.mjs';

scenario('3201 movies arrive in two browsers and edits travel between them and HTTP', async (stage) => {
  const bigPeer = await stage.bigPeer();
  await bigPeer.load('movies', await movies());
  const site = await stage.site();
  const a = await stage.peer(await stage.context(), site, { bigPeer });
  const b = await stage.peer(await stage.context(), site, { bigPeer });
  for (const peer of [a, b]) {
    await eventually('all movies arrived', () => peer.count(), 3201);
    await peer.inSync();
  }

  await watchRating(b, '00001');
  await a.rows('UPDATE movies SET `IMDB Rating` = :rating WHERE _id = :id', { rating: 9.5, id: '00001' });
  await eventually("the other browser's observer tells", () => b.page.evaluate(() => window.ratings.at(-1)), 9.5);
  const rating = 'SELECT `IMDB Rating` AS rating FROM movies WHERE _id = :id';
  await eventually('the edit is at the Big Peer', () => bigPeer.rows(rating, { id: '00001' }), [{ rating: 9.5 }]);

  await bigPeer.ask('UPDATE movies SET `IMDB Rating` = :rating WHERE _id = :id', { rating: 1.5, id: '00001' });
  for (const peer of [a, b]) await peer.eventually(rating, { id: '00001' }, [{ rating: 1.5 }]);

  await b.rows('INSERT INTO movies DOCUMENTS (:doc)', { doc: { _id: 'new', Title: 'Made in a test' } });
  await a.eventually('SELECT Title FROM movies WHERE _id = :id', { id: 'new' }, [{ Title: 'Made in a test' }]);
  await b.rows('DELETE FROM movies WHERE _id = :id', { id: '00002' });
  await a.eventually('SELECT Title FROM movies WHERE _id = :id', { id: '00002' }, []);
  await eventually('the Big Peer has as many', async () => (await bigPeer.rows('SELECT COUNT(*) AS total FROM movies'))[0].total, 3201);
  assert.equal(await a.count(), 3201);
});

function watchRating(peer, id) {
  return peer.page.evaluate((wanted) => {
    window.ratings = [];
    const query = 'SELECT `IMDB Rating` AS rating FROM movies WHERE _id = :id';
    window.ditto.store.registerObserver(query, (result) => window.ratings.push(result.items[0]?.value.rating), { id: wanted });
  }, id);
}
