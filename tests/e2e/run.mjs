// Runs the end-to-end tests, one file after the other: `node run.mjs [WORD…]` runs the files whose names hold a word.
// Environment: SHOAL_BIG_PEER_BIN, SHOAL_CHROMIUM, SHOAL_WWW_DIST, each with a default that fits a built work tree;
// SHOAL_ENGINE=worker runs the scenarios with their engines in workers; SHOAL_KILLS and SHOAL_KILL_SEED are for
// kill.test.mjs, SHOAL_EXPORT_DOCUMENTS for export.test.mjs.

import { access, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const fileLimitMs = 30 * 60_000;

const words = process.argv.slice(2);
const names = (await readdir(here)).filter((name) => name.endsWith('.test.mjs')).sort();
const chosen = names.filter((name) => words.length === 0 || words.some((word) => name.includes(word)));
const needed = [
  path.join(process.env.SHOAL_WWW_DIST ?? path.join(here, '../../www/dist'), 'e2e/test.html'),
  process.env.SHOAL_BIG_PEER_BIN ?? path.join(here, '../../target/release/shoal-big-peer'),
  process.env.SHOAL_CHROMIUM ?? '/usr/bin/chromium',
];
for (const file of needed) {
  await access(file).catch(() => {
    console.error(`missing: ${file}\nrun: cargo xtask test --only e2e`);
    process.exit(1);
  });
}
await rm(path.join(here, 'out'), { recursive: true, force: true });

let passed = 0;
let failed = 0;
const stream = run({ files: chosen.map((name) => path.join(here, name)), concurrency: false, timeout: fileLimitMs });
const isTest = (event) => event.details?.type !== 'suite' && event.nesting === 0;
stream.on('test:pass', (event) => {
  if (isTest(event) && !event.skip) passed += 1;
});
stream.on('test:fail', (event) => {
  if (isTest(event)) failed += 1;
});
stream.compose(spec).pipe(process.stdout);
stream.on('end', () => {
  // The closing line in the form that every runner of this project has; a run without tests is a failure.
  process.on('exit', () => console.log(`${passed} passed, ${failed} failed`));
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
});
