// Runs the benchmark of the store: `node run.mjs [--quick | --smoke] [--json FILE] [--only NAME,…]`; `cargo xtask bench store` calls it.
//
// With --json, the charts are drawn beside the file. A goal that is missed is printed as missed and is no failure; what could not be measured is one. Environment: SHOAL_CHROMIUM,
// SHOAL_PKG_DIST, each with a default that fits a built work tree.

import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = path.dirname(fileURLToPath(import.meta.url));
const ours = 'shoal';
/** The engine in a worker, where the package has one. */
const worker = 'shoal-worker';
const contestants = { full: [ours, worker, 'raw', 'dexie', 'rxdb', 'pouchdb', 'yjs'], quick: [ours, 'raw', 'dexie'], smoke: [ours, 'raw', 'dexie'] };
const packages = { dexie: ['dexie'], rxdb: ['rxdb'], pouchdb: ['pouchdb-browser'], yjs: ['yjs', 'y-indexeddb'] };

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean' }, smoke: { type: 'boolean' }, json: { type: 'string' }, only: { type: 'string' } },
});
const mode = options.smoke ? 'smoke' : options.quick ? 'quick' : 'full';

await requireFile(path.join(here, 'node_modules/playwright-core/package.json'), 'cd tests/bench && npm ci');
const { chromiumBinary } = await import('./browser.mjs');
const { hasWorker, needed, page } = await import('./bundle.mjs');
const { drawCharts } = await import('./chart.mjs');
const { Samples } = await import('./figures.mjs');
const { Rounds, sizes, Stopped } = await import('./rounds.mjs');
const { progress, table } = await import('./report.mjs');
const { serve } = await import('./site.mjs');
await requireFile(chromiumBinary, 'apt-get install chromium, or set SHOAL_CHROMIUM');
for (const { file, install } of needed) await requireFile(file, install);

const wanted = options.only?.split(',');
const workers = await hasWorker();
const names = contestants[wanted ? 'full' : mode].filter((name) => (wanted?.includes(name) ?? true) && (name !== worker || workers));
const peers = names.filter((name) => name !== ours);
const samples = new Samples();
const started = performance.now();
const out = await mkdtemp(path.join(os.tmpdir(), 'shoal-bench-pages-'));
const servers = [];
try {
  const address = async (name) => {
    const server = await serve(await page(name, out));
    servers.push(server);
    return server.address;
  };
  const sites = new Map();
  for (const name of names) sites.set(name, await address(name));
  const warmUp = await address('raw');
  const load = os.loadavg()[0];
  const rounds = new Rounds({ sites, warmUp }, samples, sizes[mode], (...told) => progress(started, ...told));
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) process.once(signal, () => rounds.stop());
  await rounds.run();
  const report = { bench: 'store', ...samples.report(ours, peers), run: await describe(load, rounds) };
  table(report, ours, peers);
  if (options.json) {
    await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
    await drawCharts(options.json, report);
  }
  for (const failure of rounds.failures) console.error(`could not be measured: ${failure}`);
  process.exitCode = rounds.failures.length > 0 ? 1 : 0;
} catch (error) {
  if (!(error instanceof Stopped)) throw error;
  console.error('stopped');
  process.exitCode = 130;
} finally {
  for (const server of servers) await server.stop();
  await rm(out, { recursive: true, force: true });
}

/** Where and with what it ran. */
async function describe(load, { failures, chromium }) {
  const version = async (name) => JSON.parse(await readFile(path.join(here, 'node_modules', name, 'package.json'), 'utf8')).version;
  const versions = { chromium };
  for (const name of peers.flatMap((peer) => packages[peer] ?? [])) versions[name] = await version(name);
  const cpus = os.cpus();
  return {
    mode,
    seconds: Math.round((performance.now() - started) / 1000),
    processor: cpus[0]?.model ?? null,
    processors: cpus.length,
    load_before: load,
    versions,
    failures,
  };
}

async function requireFile(file, install) {
  await access(file).catch(() => {
    console.error(`missing: ${file}\n  try: ${install}`);
    process.exit(1);
  });
}
