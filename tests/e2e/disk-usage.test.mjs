import assert from 'node:assert/strict';
import { eventually, scenario } from './harness.mjs';

scenario('disk usage tells what IndexedDB holds, and again when this tab or another has written', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  const peer = await stage.peer(context, site, { start: false });
  const other = await stage.peer(context, site, { start: false });
  await peer.page.evaluate(() => {
    window.sizes = [];
    window.watch = window.ditto.diskUsage.observe((item) => window.sizes.push(item.sizeInBytes));
  });
  const told = () => peer.page.evaluate(() => window.sizes.length);
  await eventually('the first answer', told, 1);
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  await eventually('a write of this tab', told, 2);
  await other.rows("INSERT INTO movies DOCUMENTS ({'_id': '2'})");
  await eventually('a write of the other tab', told, 3);
  const held = await peer.page.evaluate(async () => {
    const [item, usage] = await Promise.all([window.ditto.diskUsage.exec(), window.ditto.storage.usage()]);
    const request = indexedDB.open('shoal:replica');
    await new Promise((resolve) => (request.onsuccess = resolve));
    const all = (name) =>
      new Promise((resolve) => {
        const values = request.result.transaction(name).objectStore(name).getAll();
        values.onsuccess = () => resolve(values.result.reduce((sum, value) => sum + value.byteLength, 0));
      });
    const real = { log: await all('wal'), segments: await all('seg'), meta: await all('meta') };
    request.result.close();
    return { item, usage, real };
  });
  const sizes = Object.fromEntries(held.item.children.map((child) => [child.path.split('/').at(-1), child.sizeInBytes]));
  assert.deepEqual(sizes, { ...held.real, attachments: 0 });
  assert.equal(held.usage.metaBytes, held.real.meta);
  assert.ok(held.usage.originQuota > held.usage.originUsage && held.usage.originUsage > 0, 'the origin is told beside it');
  await peer.page.evaluate(() => window.watch.stop());
  await peer.rows("INSERT INTO movies DOCUMENTS ({'_id': '3'})");
  const size = () => peer.page.evaluate(async () => (await window.ditto.diskUsage.exec()).sizeInBytes);
  assert.ok((await size()) > held.item.sizeInBytes);
  assert.equal(await told(), 3);
});
