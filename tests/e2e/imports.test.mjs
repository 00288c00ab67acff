import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import * as esbuild from 'esbuild';
import * as vite from 'vite';
import { packageFolder, repository, scenario } from './harness.mjs';

const run = promisify(execFile);

// The same program everywhere; concurrent init calls are part of it. It has no bundler plug-in and no address of the module.
const program = `
import { Ditto, DittoConfig, init } from 'shoal';
export async function answer() {
  await Promise.all([init(), init()]);
  const ditto = await Ditto.open(new DittoConfig('imports', { mode: 'smallPeersOnly' }));
  await ditto.store.execute('INSERT INTO a DOCUMENTS (:doc)', { doc: { _id: '1', n: 41 } });
  const result = await ditto.store.execute('SELECT n + 1 AS n FROM a');
  const { n } = result.items[0].value;
  const mode = ditto.storage.mode;
  await ditto.close();
  return JSON.stringify({ n, mode });
}
`;
const inPage = "import { answer } from './program.js'; answer().then((text) => { document.title = text; }, (error) => { document.title = String(error); });";
const html = '<!doctype html><title>waiting</title><link rel="icon" href="data:,"><script type="module" src="./main.js"></script>';

scenario('the packed package imports under a Vite build', async (stage) => {
  const project = await installed(stage);
  await vite.build({ root: project, logLevel: 'error', build: { outDir: 'dist' } });
  assert.deepEqual(await answerInPage(stage, path.join(project, 'dist')), { n: 42, mode: 'indexeddb' });
});

scenario('the packed package imports in an esbuild bundle with the module beside it', async (stage) => {
  const project = await installed(stage);
  const out = path.join(project, 'dist');
  await esbuild.build({ absWorkingDir: project, entryPoints: ['main.js'], bundle: true, format: 'esm', outdir: out, logLevel: 'error' });
  await cp(path.join(project, 'index.html'), path.join(out, 'index.html'));
  await cp(path.join(project, 'node_modules/shoal/dist/shoal.wasm'), path.join(out, 'shoal.wasm'));
  assert.deepEqual(await answerInPage(stage, out), { n: 42, mode: 'indexeddb' });
});

scenario('the packed package imports under Node with a memory store, and lets the process end', async (stage) => {
  const project = await installed(stage);
  await writeFile(path.join(project, 'node.mjs'), "import { answer } from './program.js'; console.log(await answer());");
  const { stdout } = await run(process.execPath, ['node.mjs'], { cwd: project, timeout: 30_000 });
  assert.deepEqual(JSON.parse(stdout), { n: 42, mode: 'memory' });
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
