import assert from 'node:assert/strict';
import { scenario } from './harness.mjs';

const writes = 50;
const expected = Array.from({ length: writes }, (_, index) => index);

scenario('a killed renderer keeps every acknowledged write', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  const victim = await stage.peer(context, site, { start: false });
  await writeMany(victim);
  const devtools = await context.newCDPSession(victim.page);
  const crashed = new Promise((resolve) => victim.page.once('crash', resolve));
  void devtools.send('Page.crash').catch(() => undefined);
  await crashed;
  const survivor = await stage.peer(context, site, { start: false });
  assert.deepEqual(await numbers(survivor), expected);
});

scenario('a killed browser keeps every acknowledged write', async (stage) => {
  const site = await stage.site();
  const profile = await stage.folder();
  const first = await stage.killableBrowser(profile);
  await writeMany(await stage.peer(first.context, site, { start: false }));
  await first.kill();
  const second = await stage.killableBrowser(profile);
  const survivor = await stage.peer(second.context, site, { start: false });
  assert.deepEqual(await numbers(survivor), expected);
});

scenario('a reload in the middle of many writes keeps those that were acknowledged', async (stage) => {
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { start: false });
  const acknowledged = [];
  await peer.page.exposeFunction('acknowledged', (number) => acknowledged.push(number));
  await peer.page.evaluate((many) => {
    void (async () => {
      for (let number = 0; number < many; number += 1) {
        await window.ditto.store.execute('INSERT INTO movies DOCUMENTS (:doc)', { doc: { _id: `n${number}`, number } });
        window.acknowledged(number);
      }
    })();
  }, 10_000);
  while (acknowledged.length < 100) await peer.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
  await peer.reload();
  const kept = new Set(await numbers(peer));
  assert.deepEqual(acknowledged.filter((number) => !kept.has(number)), []);
});

function writeMany(peer) {
  return peer.page.evaluate(async (many) => {
    for (let number = 0; number < many; number += 1) {
      await window.ditto.store.execute('INSERT INTO movies DOCUMENTS (:doc)', { doc: { _id: `n${number}`, number } });
    }
  }, writes);
}

async function numbers(peer) {
  const rows = await peer.rows('SELECT number FROM movies ORDER BY number');
  return rows.map((row) => row.number);
}
