// Builds the demo into dist/: bundles with esbuild, copies the module's wasm, and writes a service worker that knows every file by content.

import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as bundle } from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));
const samplesEach = 24;

/** `packageFolder` holds index.js, worker.js and shoal.wasm of the package `shoal`. A config.json that is already in `out` stays. */
export async function build({ packageFolder = path.join(here, '../pkg/dist'), out = path.join(here, 'dist') } = {}) {
  await clean(out);
  const options = {
    bundle: true,
    format: 'esm',
    target: ['chrome108', 'firefox115', 'safari16'],
    alias: { shoal: path.join(packageFolder, 'index.js') },
    absWorkingDir: here,
    logLevel: 'warning',
    minify: true,
    legalComments: 'none',
  };
  await bundle({ ...options, sourcemap: true, entryPoints: { app: 'src/main.ts' }, outdir: out });
  await bundle({ ...options, sourcemap: true, entryPoints: { test: 'src/e2e.ts' }, outdir: path.join(out, 'e2e') });
  await bundle({ ...options, entryPoints: { app: 'src/app.css' }, outdir: out });
  await cp(path.join(here, 'static'), out, { recursive: true });
  await cp(path.join(here, 'index.html'), path.join(out, 'index.html'));
  await cp(path.join(here, 'test.html'), path.join(out, 'e2e/test.html'));
  // The demo runs the engine in the page; the test page can do both.
  await cp(path.join(packageFolder, 'worker.js'), path.join(out, 'e2e/worker.js'));
  await cp(path.join(packageFolder, 'shoal.wasm'), path.join(out, 'shoal.wasm'));
  await writeFile(path.join(out, 'samples.json'), JSON.stringify(await samples()));
  const precache = await precacheList(out);
  const version = await contentHash(out, precache);
  await bundle({
    ...options,
    format: 'iife',
    entryPoints: { sw: 'src/sw.ts' },
    outdir: out,
    define: { PRECACHE: JSON.stringify(precache), VERSION: JSON.stringify(version) },
  });
  return { out, version, precache };
}

async function clean(out) {
  await mkdir(out, { recursive: true });
  for (const name of await readdir(out)) {
    if (name !== 'config.json') await rm(path.join(out, name), { recursive: true });
  }
}

/** Everything that the page needs to start: not the test page, not the source maps, not the configuration. */
async function precacheList(out) {
  const names = await readdir(out);
  return names.filter((name) => name !== 'config.json' && !name.endsWith('.map') && name !== 'e2e' && name !== 'sw.js').sort();
}

async function contentHash(out, names) {
  const hash = createHash('sha256');
  for (const name of names) hash.update(name).update('\0').update(await readFile(path.join(out, name)));
  hash.update(await readFile(path.join(here, 'src/sw.ts')));
  return hash.digest('hex').slice(0, 16);
}

/** The best known documents of the real sets, for a page without a Big Peer. */
async function samples() {
  const data = path.join(here, 'node_modules/vega-datasets/data');
  const movies = JSON.parse(await readFile(path.join(data, 'movies.json'), 'utf8'));
  const cars = JSON.parse(await readFile(path.join(data, 'cars.json'), 'utf8'));
  const known = movies.filter((movie) => typeof movie.Title === 'string' && movie['Major Genre']).sort((a, b) => b['IMDB Votes'] - a['IMDB Votes']);
  const identified = (documents, kind) => documents.slice(0, samplesEach).map((document, index) => ({ _id: `sample-${kind}-${index + 1}`, ...document }));
  return { movies: identified(known, 'movie'), cars: identified(cars, 'car') };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { out, version, precache } = await build();
  console.log(`built ${path.relative(process.cwd(), out) || out}: version ${version}, ${precache.length} files kept for use without network`);
}
