// What tells code inside the scope of a transaction from code outside, on its own.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { transformSync } from 'esbuild';

// The build bundles this module into others, so it is compiled here once more.
const source = readFileSync(new URL('../src/scope.ts', import.meta.url), 'utf8');
const { code } = transformSync(source, { loader: 'ts' });
const { Scope } = await import(`data:text/javascript,${encodeURIComponent(code)}`);

test('what the engine answers outside in one go with a statement of a scope is not taken for inside', async () => {
  const scope = new Scope();
  const seen = [];
  const execute = async (answer) => {
    try {
      return await answer;
    } finally {
      scope.leave();
    }
  };
  const inside = async (answer) => {
    try {
      return await answer;
    } finally {
      scope.enter();
    }
  };
  for (const wrappers of [0, 1, 2, 3]) {
    let answer;
    const answered = new Promise((resolve) => (answer = resolve));
    const wrapped = async (left) => (left === 0 ? execute(answered) : wrapped(left - 1));
    const outside = wrapped(wrappers).then(() => seen.push(scope.isInside));
    const own = inside(answered);
    answer();
    await Promise.all([outside, own]);
    // The next answers come in a task of their own.
    await new Promise((done) => setImmediate(done));
  }
  assert.deepEqual(seen, [false, false, false, false]);
  await inside(Promise.resolve());
  assert.equal(scope.isInside, true);
});
