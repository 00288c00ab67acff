// Tabs that come and go: one of them holds the links, and is replaced when it closes, hangs, is frozen, or leaves for the
// back-forward cache. Sockets are counted in the pages, whose constructor of WebSocket is wrapped.

import assert from 'node:assert/strict';
import { BareBrowser } from './devtools.mjs';
import { eventually, scenario } from './harness.mjs';

const ids = 'SELECT _id FROM movies ORDER BY _id';

scenario('ten tabs hold one WebSocket, and the next one has it within 500 ms of a clean close', async (stage) => {
  const bigPeer = await stage.bigPeer();
  const site = await stage.site();
  const context = await countingContext(stage);
  const tabs = [await stage.peer(context, site, { bigPeer })];
  await tabs[0].inSync();
  for (let more = 1; more < 10; more += 1) tabs.push(await stage.peer(context, site, { bigPeer }));
  await eventually('every tab shows the holder’s state', () => Promise.all(tabs.map(bigPeerState)), tabs.map(() => 'live'));
  assert.deepEqual(await Promise.all(tabs.map(openSockets)), [1, ...Array(9).fill(0)]);

  const times = [];
  while (tabs.length > 5) {
    const holder = tabs.splice(await holderOf(tabs), 1)[0];
    const closed = Date.now();
    await holder.page.close();
    await eventually('one other tab has the link', () => total(tabs), 1);
    times.push((await lastOpened(tabs)) - closed);
  }
  console.log(`take-over after a clean close: ${times.join(', ')} ms`);
  assert.ok(median(times) <= 500, `${times}`);
  await tabs[0].rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  await eventually('a commit of any tab arrives', () => bigPeer.rows(ids), [{ _id: '1' }]);
});

scenario('a tab that hangs loses the links within 12 s, and lets go of them when it wakes', async (stage) => {
  const bigPeer = await stage.bigPeer();
  const site = await stage.site();
  const context = await countingContext(stage);
  const first = await stage.peer(context, site, { bigPeer });
  await first.inSync();
  const second = await stage.peer(context, site, { bigPeer });
  await eventually('the second tab hears of the first', () => bigPeerState(second), 'live');
  const hung = Date.now();
  await first.page.evaluate(() => {
    setTimeout(() => {
      const end = Date.now() + 16_000;
      while (Date.now() < end);
      window.awake = true;
    }, 0);
  });
  await eventually('the second tab has the link', () => openSockets(second), 1);
  const took = (await lastOpened([second])) - hung;
  console.log(`take-over from a tab that hangs: ${took} ms`);
  assert.ok(took <= 12_000, `${took} ms`);
  await second.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  await eventually('the link works', () => bigPeer.rows(ids), [{ _id: '1' }]);

  await first.page.waitForFunction(() => window.awake === true);
  await eventually('the robbed tab lets go', () => openSockets(first), 0);
  assert.equal(await openSockets(second), 1);
  await first.rows("INSERT INTO movies DOCUMENTS ({'_id': '2'})");
  await eventually('its commits still arrive', () => bigPeer.rows(ids), [{ _id: '1' }, { _id: '2' }]);
  await second.page.close();
  await eventually('it is next in the queue', () => openSockets(first), 1);
});

scenario('a tab that was frozen while another wrote more than the log keeps boots again by itself', async (stage) => {
  const bigPeer = await stage.bigPeer();
  const site = await stage.site();
  const browser = await BareBrowser.start(stage);
  const sleeper = await bareTab(browser, site, bigPeer);
  await sleeper.rows("INSERT INTO movies DOCUMENTS ({'_id': 'n', 'n': 1})");
  await sleeper.value(observe('SELECT COUNT(*) AS n FROM many'));
  await sleeper.value("document.addEventListener('resume', () => { window.resumed = true; })");
  const writer = await bareTab(browser, site, bigPeer);
  assert.equal(await sleeper.value('document.hidden'), true);
  await sleeper.send('Page.setWebLifecycleState', { state: 'frozen' });
  await writer.eventually('the other tab has the link of the frozen one', sockets, 1);

  await writer.value(`(async () => {
    for (let batch = 0; batch < 60; batch += 1) {
      const documents = Array.from({ length: 200 }, (_, index) => ({ _id: batch + '-' + index, padding: 'x'.repeat(1000) + index }));
      await window.ditto.store.execute('INSERT INTO many DOCUMENTS (:documents)', { documents });
    }
  })()`);
  await writer.rows("UPDATE movies SET n = 10 WHERE _id = 'n'");
  await writer.eventually('the log is trimmed', 'window.ditto.storage.usage().then(({ logBytes }) => logBytes < 10_500_000)', true);

  await sleeper.show();
  await sleeper.send('Page.setWebLifecycleState', { state: 'active' });
  await sleeper.eventually('it was asleep', 'window.resumed', true);
  await sleeper.eventually('its observer shows everything', 'window.answers.at(-1)', [{ n: 12_000 }]);
  await sleeper.rows("UPDATE movies SET n = n + 1 WHERE _id = 'n'");
  for (const tab of [sleeper, writer]) await tab.eventually('both agree', "window.rows('SELECT n FROM movies')", [{ n: 11 }]);
  assert.equal((await sleeper.value(sockets)) + (await writer.value(sockets)), 1);
  await eventually('what it wrote arrives', () => bigPeer.rows('SELECT n FROM movies'), [{ n: 11 }]);
});

scenario('a page comes back from the back-forward cache with what the others wrote meanwhile', async (stage) => {
  // Chromium evicts a cached page that was left in the middle of a transaction for which another tab waits: then the page is loaded
  // again, which is not what is tested here.
  for (let visit = 1; !(await comesBackFromCache(stage)); visit += 1) assert.ok(visit < 3, 'it was evicted three times');
});

/** Returns `false` if the browser evicted the page from its cache. */
async function comesBackFromCache(stage) {
  const bigPeer = await stage.bigPeer();
  const site = await stage.site();
  const browser = await BareBrowser.start(stage);
  const first = await bareTab(browser, site, bigPeer);
  await first.value(observe('SELECT _id FROM movies ORDER BY _id'));
  await first.value("window.stayed = true; addEventListener('pageshow', ({ persisted }) => { window.cached = persisted; })");
  const second = await bareTab(browser, site, bigPeer);
  let evicted = false;
  first.hear('Page.backForwardCacheNotUsed', (event) => {
    stage.note(`not cached: ${JSON.stringify(event)}`);
    evicted = event.notRestoredExplanations.every(({ reason }) => reason === 'IgnoreEventAndEvict');
  });
  await first.show();
  // What is due a second after the last change is over, too.
  await first.eventually('nothing is being written', 'window.transactions === 0 && Date.now() - window.lastEnded > 1500', true);
  await first.go(`${site.address}/e2e/test.html?elsewhere`);
  await second.eventually('the other tab has the link', sockets, 1);
  await second.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  await first.back();
  await eventually('the page comes from the cache', async () => evicted || (await first.value('window.stayed === true && window.cached === true')), true);
  if (evicted) return false;
  await first.eventually('its observer is told', 'window.answers.at(-1)', [{ _id: '1' }]);
  await first.rows("INSERT INTO movies DOCUMENTS ({'_id': '2'})");
  await eventually('what it writes arrives', () => bigPeer.rows(ids), [{ _id: '1' }, { _id: '2' }]);
  await second.close();
  await first.eventually('it may have the link again', sockets, 1);
  return true;
}

const sockets = 'window.openSockets.size';

async function bareTab(browser, site, bigPeer) {
  const tab = await browser.tab(`${site.address}/e2e/test.html`, [countSockets, countTransactions]);
  await tab.open(bigPeer, ['movies']);
  await tab.eventually('the tab hears of the Big Peer', 'window.ditto.sync.status.bigPeer', 'live');
  return tab;
}

function observe(query) {
  return `window.answers = []; window.ditto.store.registerObserver(${JSON.stringify(query)}, ({ items }) => {
    window.answers.push(items.map((item) => JSON.parse(item.jsonString())));
  }); undefined`;
}

async function countingContext(stage) {
  const context = await stage.context();
  await context.addInitScript(countSockets);
  return context;
}

function countSockets() {
  window.openSockets = new Set();
  window.lastOpened = 0;
  window.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given);
      this.addEventListener('open', () => {
        window.openSockets.add(this);
        window.lastOpened = Date.now();
      });
      this.addEventListener('close', () => window.openSockets.delete(this));
    }

    close(...given) {
      window.openSockets.delete(this);
      super.close(...given);
    }
  };
}

function countTransactions() {
  window.transactions = 0;
  window.lastEnded = 0;
  const { transaction } = IDBDatabase.prototype;
  IDBDatabase.prototype.transaction = function (...given) {
    const begun = transaction.apply(this, given);
    const end = () => {
      window.transactions -= 1;
      window.lastEnded = Date.now();
    };
    window.transactions += 1;
    begun.addEventListener('complete', end);
    begun.addEventListener('abort', end);
    return begun;
  };
}

const openSockets = (tab) => tab.page.evaluate(() => window.openSockets.size);
const bigPeerState = async (tab) => (await tab.status()).bigPeer;

async function total(tabs) {
  const counts = await Promise.all(tabs.map(openSockets));
  return counts.reduce((sum, count) => sum + count, 0);
}

async function holderOf(tabs) {
  return (await Promise.all(tabs.map(openSockets))).indexOf(1);
}

async function lastOpened(tabs) {
  return Math.max(...(await Promise.all(tabs.map((tab) => tab.page.evaluate(() => window.lastOpened)))));
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
