import assert from 'node:assert/strict';
import { database, eventually, movies, scenario, token } from './harness.mjs';

scenario('the demo lists, searches, filters, edits, creates and deletes', async (stage) => {
  const bigPeer = await stage.bigPeer();
  await bigPeer.load('movies', (await movies()).slice(0, 600));
  const site = await stage.site({ bigPeerUrl: `http://127.0.0.1:${bigPeer.port}`, database, token });
  const page = await stage.page(await stage.context({ viewport: { width: 1280, height: 800 } }), `${site.address}/`);
  await page.getByRole('button', { name: /^Movies 600$/ }).waitFor();
  await page.getByText('In sync with the Big Peer.').waitFor();

  await page.getByRole('listbox').focus();
  await page.keyboard.press('End');
  await page.locator('#row-599:not(.waiting)').waitFor();

  await page.getByRole('searchbox').fill('the');
  await page.getByLabel('Genre').first().selectOption('Drama');
  const total = (await bigPeer.rows("SELECT COUNT(*) AS total FROM movies WHERE Title ILIKE '%the%' AND `Major Genre` = 'Drama'"))[0].total;
  assert.ok(total > 1);
  await page.getByText(`${total} matches`).waitFor();
  await page.getByRole('searchbox').fill('no such film');
  await page.getByRole('button', { name: 'Clear the search' }).click();

  await page.getByRole('button', { name: 'New movie' }).click();
  await page.getByRole('button', { name: 'Create movie' }).click();
  await page.getByText('A movie needs a title.').waitFor();
  await page.getByLabel('Title', { exact: true }).fill('A film made in a test');
  await page.getByRole('button', { name: 'Create movie' }).click();
  const made = "SELECT Title, Director FROM movies WHERE Title = 'A film made in a test'";
  await eventually('the new film arrives', () => bigPeer.rows(made), [{ Title: 'A film made in a test', Director: null }]);
  await page.getByLabel('Director').fill('Me');
  await page.getByLabel('Director').press('Tab');
  await eventually('the edit arrives', () => bigPeer.rows(made), [{ Title: 'A film made in a test', Director: 'Me' }]);
  await bigPeer.ask("UPDATE movies SET Director = 'You' WHERE Title = 'A film made in a test'");
  await eventually('an edit from elsewhere shows', () => page.getByLabel('Director').inputValue(), 'You');
  await page.getByRole('button', { name: 'Delete this movie' }).click();
  await page.getByRole('button', { name: 'Press again to delete' }).click();
  await eventually('the deletion arrives', () => bigPeer.rows(made), []);
  await page.getByRole('button', { name: 'Undo' }).click();
  await eventually('it is back', () => bigPeer.rows(made), [{ Title: 'A film made in a test', Director: 'You' }]);

  await page.getByRole('switch', { name: 'Online' }).uncheck();
  await page.getByText('Offline because you asked.').waitFor();
  await page.getByRole('switch', { name: 'Online' }).check();
  await page.getByText('In sync with the Big Peer.').waitFor();

  await page.getByRole('button', { name: 'Console' }).first().click();
  await page.getByRole('button', { name: 'A mistake' }).click();
  await page.getByRole('alert').getByText('query/invalid', { exact: true }).waitFor();
  assert.match(await page.locator('#mistake').innerText(), /\^/);
  const summaries = { 'Best dramas': /^[1-9]\d* rows? · /, Rank: /^[1-9]\d* rows · /, Explain: /^1 row · /, Index: /^Done · /, Insert: /^1 document changed · / };
  for (const [example, summary] of Object.entries(summaries)) {
    await page.getByRole('button', { name: example, exact: true }).click();
    await page.locator('#answer-summary').filter({ hasText: summary }).waitFor();
  }
  assert.match(await page.locator('#answer .result').innerText(), /"_id": "sample"/, 'the row of RETURNING');
  await page.setViewportSize({ width: 390, height: 800 });
  await page.getByLabel('DQL statement').fill("SELECT Title FROM movies WHERE `Major Genre` = 'Drama' AND `IMDB Rating` > 8 ORDER ORDER");
  await page.getByRole('button', { name: 'Run' }).click();
  await page.locator('#mistake mark').waitFor();
  const seen = await page.locator('#mistake').evaluate((pre) => {
    const [box, mark] = [pre, pre.querySelector('mark')].map((element) => element.getBoundingClientRect());
    return mark.left >= box.left && mark.right <= box.right;
  });
  assert.ok(seen, 'a narrow screen shows the carets');
});

scenario('no width makes the demo scroll sideways, and every control has a name', async (stage) => {
  const site = await stage.site();
  for (const width of [390, 900, 1280]) {
    const page = await stage.page(await stage.context({ viewport: { width, height: 800 } }), `${site.address}/`);
    await page.locator('body[data-ready]').waitFor();
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width, `at ${width}`);
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll('button, input, select, textarea')]
        .filter((one) => one.checkVisibility())
        .filter((one) => !(one.textContent.trim() || one.getAttribute('aria-label') || one.labels?.length > 0))
        .map((one) => one.outerHTML));
    assert.deepEqual(nameless, []);
  }
});
