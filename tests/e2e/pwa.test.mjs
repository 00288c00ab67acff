import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { builtPages, database, eventually, scenario, token } from './harness.mjs';

scenario('the page opens and edits with the network off, and the edit arrives later', async (stage) => {
  const bigPeer = await stage.bigPeer();
  await bigPeer.load('movies', [{ _id: '1', Title: 'Offline film', 'IMDB Rating': 5, 'US Gross': 1 }]);
  const site = await stage.site({ bigPeerUrl: bigPeer.url, database, token });
  const context = await stage.context();
  const first = await stage.page(context, `${site.address}/`);
  await first.getByRole('option', { name: /Offline film/ }).waitFor();
  await eventually('the service worker is in charge', () => first.evaluate(() => navigator.serviceWorker.controller !== null));
  await first.close();

  await context.setOffline(true);
  await site.stop();
  await bigPeer.kill();
  const page = await stage.page(context, `${site.address}/`);
  await page.getByRole('option', { name: /Offline film/ }).click();
  await page.getByLabel('IMDB rating').fill('9.1');
  await page.getByLabel('IMDB rating').press('Enter');
  await page.getByText('1 change waiting').waitFor();
  await page.reload();
  await page.getByRole('option', { name: /Offline film.*9\.1/ }).waitFor();
  await page.getByText('1 change waiting').waitFor();

  await context.setOffline(false);
  await site.start();
  await bigPeer.start();
  await eventually('the edit arrives', () => bigPeer.rows('SELECT `IMDB Rating` AS rating FROM movies'), [{ rating: 9.1 }], 60_000);
  await page.getByText('Nothing waiting').waitFor();
  await page.getByText('In sync with the Big Peer.').waitFor();
});

scenario('without config.json the page works with peers alone', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  const page = await stage.page(context, `${site.address}/?dir=first`);
  await page.getByRole('button', { name: 'Add sample documents' }).click();
  await page.getByRole('listbox', { name: 'Movies' }).getByRole('option').first().waitFor();
  const other = await stage.page(context, `${site.address}/?dir=second`);
  await eventually('the samples reach the other peer', () => other.getByRole('button', { name: /^Movies 24$/ }).count(), 1);
  await other.getByText('In step with 1 peer, no server involved.').waitFor();
});

scenario('a new version waits until it is asked for, and then replaces the old one whole', async (stage) => {
  const folder = await stage.folder();
  await cp(builtPages, folder, { recursive: true });
  const site = await stage.site(undefined, folder);
  const page = await stage.page(await stage.context(), `${site.address}/`);
  await eventually('the service worker is in charge', () => page.evaluate(() => navigator.serviceWorker.controller !== null));

  const edit = async (name, change) => writeFile(path.join(folder, name), change(await readFile(path.join(folder, name), 'utf8')));
  await edit('index.html', (text) => text.replace('<h1>Shoal</h1>', '<h1>Shoal 2</h1>'));
  await edit('sw.js', (text) => text.replace(/\b[0-9a-f]{16}\b/, '0123456789abcdef'));
  await page.evaluate(async () => (await navigator.serviceWorker.ready).update());
  await page.getByText('A new version is ready.').waitFor();
  assert.equal(await page.getByRole('heading', { name: 'Shoal', exact: true }).count(), 1, 'still the old one');
  await page.getByRole('button', { name: 'Use it' }).click();
  await page.getByRole('heading', { name: 'Shoal 2' }).waitFor();
  await eventually('the old cache is gone', () => page.evaluate(async () => (await caches.keys()).filter((name) => name.startsWith('shoal-app-'))), ['shoal-app-0123456789abcdef']);
});
