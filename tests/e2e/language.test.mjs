import assert from 'node:assert/strict';
import { eventually, scenario } from './harness.mjs';

scenario('an observer that calls execute again works', async (stage) => {
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { start: false });
  await peer.page.evaluate(() => {
    window.seen = [];
    window.ditto.store.registerObserver('SELECT * FROM movies ORDER BY _id', (result) => {
      const rows = result.items.map((item) => item.value);
      window.seen.push(rows.length);
      // Written from inside the callback, without waiting: three more documents, each from the one before.
      if (rows.length > 0 && rows.length < 4) void window.ditto.store.execute('INSERT INTO movies DOCUMENTS (:doc)', { doc: { _id: `${rows.length + 1}` } });
    });
  });
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  await eventually('the observer settles', () => peer.page.evaluate(() => window.seen.at(-1)), 4);
  assert.equal(await peer.count(), 4);
});

scenario('an observer of COUNT tells every change', async (stage) => {
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { start: false });
  await peer.page.evaluate(() => {
    window.totals = [];
    window.ditto.store.registerObserver('SELECT COUNT(*) AS total FROM movies', (result) => window.totals.push(result.items[0].value.total));
  });
  await eventually('the first answer', () => peer.page.evaluate(() => window.totals), [0]);
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  await eventually('the second answer', () => peer.page.evaluate(() => window.totals), [0, 1]);
  await peer.rows("DELETE FROM movies WHERE _id = '1'");
  await eventually('the third answer', () => peer.page.evaluate(() => window.totals), [0, 1, 0]);
});

scenario('a DQL mistake answers with its code, its position and a caret line', async (stage) => {
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { start: false });
  const mistake = await peer.mistake('SELECT Title FROM movies\nWHERE Rating >= ORDER BY Title');
  assert.equal(mistake.isDittoError, true);
  assert.equal(mistake.code, 'query/invalid');
  const lines = mistake.message.split('\n');
  const statementLine = lines.findIndex((line) => line.includes('WHERE Rating >= ORDER BY Title'));
  assert.ok(statementLine >= 0, `the message shows the line: ${mistake.message}`);
  const caret = lines[statementLine + 1].indexOf('^');
  assert.equal(caret, lines[statementLine].indexOf('ORDER'), `the caret is under ORDER:\n${mistake.message}`);
  assert.match(mistake.message, /\b2\b.*\b17\b/s, 'line 2, column 17');
});

scenario('a page that awaits nothing but answers paints, and its writes come to an end', async (stage) => {
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { start: false });
  const seen = await peer.page.evaluate(async () => {
    const { store } = window.ditto;
    const seen = { painted: false, written: false };
    requestAnimationFrame(() => (seen.painted = true));
    void store.execute("INSERT INTO movies DOCUMENTS ({'_id': '1'})").then(() => (seen.written = true));
    for (const end = performance.now() + 5000; !(seen.painted && seen.written) && performance.now() < end; ) await store.execute('SELECT 1');
    return seen;
  });
  assert.deepEqual(seen, { painted: true, written: true });
});
