import assert from 'node:assert/strict';
import { eventually, scenario } from './harness.mjs';

scenario('with the Big Peer killed two browsers go on over WebRTC, and it catches up when it is back', async (stage) => {
  const bigPeer = await stage.bigPeer();
  await bigPeer.load('movies', [{ _id: '1', Title: 'One' }]);
  const site = await stage.site();
  const a = await stage.peer(await stage.context(), site, { bigPeer });
  const b = await stage.peer(await stage.context(), site, { bigPeer });
  for (const peer of [a, b]) {
    await eventually('the document arrived', () => peer.count(), 1);
    await peer.inSync();
    await peer.linked();
  }
  const acknowledged = await a.page.evaluate(() => window.ditto.presence.graph.remotePeers.length > 0);
  assert.ok(acknowledged, 'presence shows the other peers');

  // Acknowledged by HTTP and by the link, both right before the kill.
  await a.rows('INSERT INTO movies DOCUMENTS (:doc)', { doc: { _id: '2', Title: 'Acknowledged' } });
  await a.inSync();
  await bigPeer.ask('INSERT INTO movies DOCUMENTS (:doc)', { doc: { _id: '3', Title: 'Over HTTP' } });
  await bigPeer.kill();
  for (const peer of [a, b]) await eventually('the loss is noticed', async () => (await peer.status()).bigPeer !== 'live');

  await a.rows('INSERT INTO movies DOCUMENTS (:doc)', { doc: { _id: '4', Title: 'From A' } });
  await b.eventually("SELECT Title FROM movies WHERE _id = '4'", {}, [{ Title: 'From A' }]);
  await b.rows("UPDATE movies SET Title = 'Edited by B' WHERE _id = '4'");
  await a.eventually("SELECT Title FROM movies WHERE _id = '4'", {}, [{ Title: 'Edited by B' }]);
  assert.ok((await a.status()).pendingCommits > 0, 'the commit waits for the Big Peer');

  await bigPeer.start();
  const expected = [{ _id: '1', Title: 'One' }, { _id: '2', Title: 'Acknowledged' }, { _id: '3', Title: 'Over HTTP' }, { _id: '4', Title: 'Edited by B' }];
  await eventually('the Big Peer caught up', () => bigPeer.rows('SELECT * FROM movies ORDER BY _id'), expected, 60_000);
  for (const peer of [a, b]) {
    await peer.eventually('SELECT * FROM movies ORDER BY _id', {}, expected);
    await peer.inSync();
  }
});
