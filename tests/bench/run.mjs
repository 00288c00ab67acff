// Runs a bench: `node run.mjs store|dql|sync [--quick | --smoke] [--json FILE] [--only NAME,…] [--rounds N]`; `cargo xtask bench` calls it.
//
// With --json the charts are drawn beside the file. A goal that is missed is printed as missed and is no failure; what could not be measured
// is one. Environment: SHOAL_CHROMIUM, SHOAL_PKG_DIST, SHOAL_BIG_PEER_BIN, each with a default that fits a built work tree.

import { access, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = path.dirname(fileURLToPath(import.meta.url));
const ours = 'shoal';
/** The engine in a worker, where the package has one. */
const worker = 'shoal-worker';
const packages = { dexie: ['dexie'], rxdb: ['rxdb'], pouchdb: ['pouchdb-browser'], yjs: ['yjs', 'y-indexeddb'], sqlite: ['@sqlite.org/sqlite-wasm'] };
const packagesOf = (bench, peer) => [...(packages[peer] ?? []), ...(bench.packages?.[peer] ?? [])];

await requireFile(path.join(here, 'node_modules/playwright-core/package.json'), 'cd tests/bench && npm ci');
const { benches } = await import('./benches.mjs');
const options = commandLine();
const { chromiumBinary } = await import('./browser.mjs');
const { hasWorker, needed } = await import('./bundle.mjs');
const { drawCharts } = await import('./chart.mjs');
const { Samples } = await import('./figures.mjs');
const { table, progress } = await import('./report.mjs');
const { Stopped } = await import('./rounds.mjs');
const { Pages } = await import('./site.mjs');
await requireFile(chromiumBinary, 'apt-get install chromium, or set SHOAL_CHROMIUM');
for (const { file, install } of [...needed, ...(options.bench.needed ?? [])]) await requireFile(file, install);
process.exitCode = await run();

/** Measures, reports, cleans up; returns the exit code. */
async function run() {
  const started = performance.now();
  const load = os.loadavg()[0];
  const { bench } = options;
  const workers = await hasWorker();
  const names = options.names.filter((name) => name !== worker || workers);
  const peers = names.filter((name) => name !== ours);
  const pages = new Pages(await mkdtemp(path.join(os.tmpdir(), 'shoal-bench-pages-')));
  try {
    const addresses = async (scripts) => {
      const found = new Map();
      for (const name of names) found.set(name, await pages.address(scripts, name));
      return found;
    };
    const sites = await addresses(bench.page);
    const others = {};
    for (const [kind, scripts] of Object.entries(bench.otherPages ?? {})) others[kind] = await addresses(scripts);
    const warmUp = await pages.address(benches.store.page, 'raw');
    const samples = new Samples(bench);
    const size = { ...bench.sizes[options.mode], ...options.size };
    const rounds = new bench.Rounds({ sites, warmUp, others }, samples, size, (...told) => progress(started, ...told));
    for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) process.once(signal, () => rounds.stop());
    await rounds.run();
    const seconds = Math.round((performance.now() - started) / 1000);
    const report = { bench: bench.name, ...samples.report(ours, peers), run: { seconds, load_before: load, ...(await describe(bench, peers, rounds)) } };
    table(bench, report, ours);
    for (const note of report.run.notes ?? []) console.log(`note: ${note}`);
    if (options.json) {
      await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
      await drawCharts(options.json, report);
    }
    for (const failure of rounds.failures) console.error(`could not be measured: ${failure}`);
    return rounds.failures.length > 0 ? 1 : 0;
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    console.error('stopped');
    return 130;
  } finally {
    await pages.close();
  }
}

/** With what it ran. */
async function describe(bench, peers, { chromium, failures, notes }) {
  const versions = { chromium };
  for (const name of peers.flatMap((peer) => packagesOf(bench, peer))) {
    versions[name] = JSON.parse(await readFile(path.join(here, 'node_modules', name, 'package.json'), 'utf8')).version;
  }
  const [processor] = os.cpus();
  return { mode: options.mode, processor: processor?.model ?? null, processors: os.cpus().length, versions, failures, notes };
}

function commandLine() {
  try {
    const string = { type: 'string' };
    const boolean = { type: 'boolean' };
    const { values, positionals } = parseArgs({ allowPositionals: true, options: { quick: boolean, smoke: boolean, json: string, only: string, rounds: string } });
    const [name, ...more] = positionals;
    const bench = benches[name];
    if (bench === undefined || more.length > 0) throw new Error(`the first word is the bench: ${Object.keys(benches).join(' or ')}`);
    const mode = values.smoke ? 'smoke' : values.quick ? 'quick' : 'full';
    const names = values.only?.split(',') ?? bench.contestants[mode];
    const stranger = names.find((name) => !bench.contestants.full.includes(name));
    if (stranger !== undefined) throw new Error(`there is no ${stranger}; --only takes ${bench.contestants.full.join(', ')}`);
    const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
    if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) throw new Error(`--rounds takes a number from 1 on, not ${values.rounds}`);
    return { bench, mode, names, json: values.json, size: rounds === undefined ? {} : { rounds } };
  } catch (error) {
    console.error(`error: ${error.message}`);
    process.exit(2);
  }
}

async function requireFile(file, install) {
  await access(file).catch(() => {
    console.error(`missing: ${file}\n  try: ${install}`);
    process.exit(1);
  });
}
