import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import * as esbuild from 'esbuild';
import * as vite from 'vite';
import { eventually, packageFolder, repository, scenario } from './harness.mjs';

const run = promisify(execFile);

// The same program everywhere, with the engine in the page and in a worker; concurrent init calls are part of it. It has no bundler
// plug-in and no address of the module or of the worker.
const program = `
import { Ditto, DittoConfig, init } from 'shoal';
export async function answer(worker) {
  await Promise.all([init(), init()]);
  const ditto = await Ditto.open(new DittoConfig('imports-' + worker, { mode: 'smallPeersOnly' }), { worker });
  await ditto.store.execute('INSERT INTO a DOCUMENTS (:doc)', { doc: { _id: '1', n: 41 } });
  const result = await ditto.store.execute('SELECT n + 1 AS n FROM a');
  const { n } = result.items[0].value;
  const mode = ditto.storage.mode;
  await ditto.close();
  return JSON.stringify({ n, mode });
}
`;
const inPage = `
import { answer } from './program.js';
const both = async () => '[' + await answer(false) + ',' + await answer(true) + ']';
both().then((text) => { document.title = text; }, (error) => { document.title = JSON.stringify(String(error)); });
`;
const both = [{ n: 42, mode: 'indexeddb' }, { n: 42, mode: 'indexeddb' }];
const html = '<!doctype html><title>waiting</title><link rel="icon" href="data:,"><script type="module" src="./main.js"></script>';

scenario('the packed package imports under a Vite build', async (stage) => {
  const project = await installed(stage);
  await vite.build({ root: project, logLevel: 'error', build: { outDir: 'dist' } });
  assert.deepEqual(await answerInPage(stage, path.join(project, 'dist')), both);
});

scenario('the packed package imports in an esbuild bundle with the module and the worker beside it', async (stage) => {
  const project = await installed(stage);
  const out = path.join(project, 'dist');
  await esbuild.build({ absWorkingDir: project, entryPoints: ['main.js'], bundle: true, format: 'esm', outdir: out, logLevel: 'error' });
  await cp(path.join(project, 'index.html'), path.join(out, 'index.html'));
  for (const file of ['shoal.wasm', 'worker.js']) await cp(path.join(project, 'node_modules/shoal/dist', file), path.join(out, file));
  assert.deepEqual(await answerInPage(stage, out), both);
});

scenario("the packed package imports in Vite's development server", async (stage) => {
  const project = await installed(stage);
  const server = await vite.createServer({ root: project, logLevel: 'error', server: { port: 0, host: '127.0.0.1' } });
  stage.defer(() => server.close());
  await server.listen();
  const page = await stage.page(await stage.context(), server.resolvedUrls.local[0]);
  // The server may load the page a second time, when it has found what to prebundle.
  await eventually('the program has answered', async () => JSON.parse(await page.title()), both);
});

scenario('the packed package imports under Node with a memory store, and lets the process end', async (stage) => {
  const project = await installed(stage);
  await writeFile(path.join(project, 'node.mjs'), "import { answer } from './program.js'; console.log(await answer(false)); await answer(true).catch(({ code }) => console.log(code));");
  const { stdout } = await run(process.execPath, ['node.mjs'], { cwd: project, timeout: 30_000 });
  const [inProcess, inWorker] = stdout.trim().split('\n');
  assert.deepEqual(JSON.parse(inProcess), { n: 42, mode: 'memory' });
  assert.equal(inWorker, 'unsupported');
});

scenario("the demo's TypeScript fits the package's declarations", async () => {
  const compiler = path.join(packageFolder, 'node_modules/.bin/tsc');
  await run(compiler, ['--project', path.join(repository, 'www')], { timeout: 60_000 }).catch((error) => assert.fail(error.stdout));
});

/** A project that has what `npm install` of the packed package would give it. */
async function installed(stage) {
  const project = await stage.folder();
  await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', project], { cwd: packageFolder });
  const archive = (await readdir(project)).find((name) => name.endsWith('.tgz'));
  await mkdir(path.join(project, 'node_modules/shoal'), { recursive: true });
  await run('tar', ['-xzf', archive, '-C', 'node_modules/shoal', '--strip-components=1'], { cwd: project });
  await writeFile(path.join(project, 'package.json'), JSON.stringify({ type: 'module', private: true }));
  await writeFile(path.join(project, 'program.js'), program);
  await writeFile(path.join(project, 'main.js'), inPage);
  await writeFile(path.join(project, 'index.html'), html);
  return project;
}

async function answerInPage(stage, folder) {
  const site = await stage.site(undefined, folder);
  const page = await stage.page(await stage.context(), `${site.address}/`);
  await page.waitForFunction(() => document.title !== 'waiting');
  return JSON.parse(await page.title());
}
