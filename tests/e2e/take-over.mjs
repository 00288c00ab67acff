// What two tabs of one store do with one link, wherever their engines run.

import assert from 'node:assert/strict';
import { eventually } from './harness.mjs';

const ids = 'SELECT _id FROM movies ORDER BY _id';

/** Of two tabs with a Big Peer the second syncs through the first, and by itself when the first has closed. */
export async function takesOver(stage, options = {}) {
  const bigPeer = await stage.bigPeer();
  const site = await stage.site();
  const context = await stage.context();
  const first = await stage.peer(context, site, { bigPeer, ...options });
  await first.inSync();
  assert.deepEqual(await first.page.evaluate(() => window.logins), ['accepted']);
  const second = await stage.peer(context, site, { bigPeer, ...options });
  await second.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  await eventually('the commit of a tab without links arrives', () => bigPeer.rows(ids), [{ _id: '1' }]);
  await first.page.close();
  await second.rows("INSERT INTO movies DOCUMENTS ({'_id': '2'})");
  await eventually('the commit after the take-over arrives', () => bigPeer.rows(ids), [{ _id: '1' }, { _id: '2' }]);
  await bigPeer.ask("INSERT INTO movies DOCUMENTS ({'_id': '3'})");
  await second.eventually(ids, {}, [{ _id: '1' }, { _id: '2' }, { _id: '3' }]);
}
