// The cases of tests/vectors/dql through the npm package over IndexedDB, and through the HTTP API of a Big Peer.

import assert from 'node:assert/strict';
import { scenario, token } from './harness.mjs';
import { canonical, cases, difference, now, parseExact, readCbor, runCases, timeZone } from './vectors.mjs';

/** Fails with all differences; says how many cases ran. */
function hold(runner, { chosen, leftOut }, answers) {
  const found = chosen.map((one, index) => difference(one, answers[index])).filter((one) => one !== null);
  console.log(`${runner}: ${chosen.length} cases, ${leftOut} left out, ${found.length} failed`);
  assert.equal(found.length, 0, `${found.length} of ${chosen.length} cases fail:\n${found.join('\n')}`);
  assert.ok(chosen.length >= 1000, 'the cases were read');
}

scenario('the vectors of the language hold over IndexedDB', async (stage) => {
  const site = await stage.site();
  const context = await stage.context({ timezoneId: timeZone });
  await context.clock.setFixedTime(now);
  const { page } = await stage.peer(context, site, { start: false, subscriptions: [] });
  const all = await cases('browser');
  await page.addScriptTag({ content: `window.runCases = ${runCases}` });
  const answers = await page.evaluate(async (chosen) => {
    const { store } = window.ditto;
    const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    const execute = async (statement, args) => {
      const result = await store.execute(statement, args === '{}' ? undefined : JSON.parse(args));
      return result.items.map((item) => hex(item.cborData()));
    };
    const ready = async () => (await store.execute('SELECT * FROM system:indexes')).items.every((item) => item.value.state === 'ready');
    return window.runCases(chosen, execute, ready);
  }, all.chosen);
  for (const answer of answers) {
    answer.rows = answer.rows?.map(readCbor);
    answer.after = answer.after?.map(readCbor);
  }
  hold('browser', all, answers);
});

scenario('the vectors of the language hold over HTTP', async (stage) => {
  const bigPeer = await stage.bigPeer({ TZ: timeZone });
  const all = await cases('http');
  const ask = async (statement, args) => {
    const response = await fetch(`http://127.0.0.1:${bigPeer.port}/api/v5/store/execute`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: `{"statement":${JSON.stringify(statement)},"args":${args}}`,
    });
    const text = await response.text();
    if (!response.ok) throw Object.assign(new Error(text), { code: JSON.parse(text).code });
    return text;
  };
  const execute = async (statement, args) => parseExact(await ask(statement, args)).items.map(canonical);
  const ready = async () => JSON.parse(await ask('SELECT * FROM system:indexes', '{}')).items.every((row) => row.state === 'ready');
  hold('http', all, await runCases(all.chosen, execute, ready));
});
