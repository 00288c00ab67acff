// The page of every contestant: its own bundle in its own folder, so that nobody pays for the code of another.

import { access, cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));
const packageFolder = process.env.SHOAL_PKG_DIST ?? path.join(here, '../../pkg/dist');

/** Everything that must be there before a run, each with the command that brings it. */
export const needed = [
  { file: path.join(packageFolder, 'index.js'), install: 'cargo xtask pkg' },
  { file: path.join(packageFolder, 'shoal.wasm'), install: 'cargo xtask pkg' },
];

const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Shoal benchmark</title>
<link rel="icon" href="data:,">
<script type="module" src="bench.js"></script>
`;

const workerScript = path.join(packageFolder, 'worker.js');
/** Contestants whose storage a page cannot use. */
const inWorker = new Set(['sqlite-opfs']);
const usesModule = (contestant) => contestant.startsWith('shoal');

/** Whether the package can run its engine in a worker. */
export const hasWorker = () => access(workerScript).then(() => true, () => false);

/** Builds the page of one contestant out of a bench's scripts and returns its folder. */
export async function page({ operations, contestants }, contestant, out) {
  const folder = path.join(out, contestant);
  await mkdir(folder, { recursive: true });
  const lines = [`import * as contestant from '${contestants}/${contestant}.mjs';`, `import { expose } from '${operations}';`, 'expose(contestant);'];
  if (inWorker.has(contestant)) {
    await script([...lines, "import { answerPage } from './query/remote.mjs';", 'answerPage();'], path.join(folder, 'operations.js'));
    await script(["import { remote } from './query/remote.mjs';", "remote('operations.js');"], path.join(folder, 'bench.js'));
  } else {
    await script(lines, path.join(folder, 'bench.js'));
  }
  await writeFile(path.join(folder, 'index.html'), html);
  if (usesModule(contestant)) {
    await cp(path.join(packageFolder, 'shoal.wasm'), path.join(folder, 'shoal.wasm'));
    if (await hasWorker()) await script(["import './worker.mjs';", `import '${workerScript}';`], path.join(folder, 'worker.js'));
  }
  if (contestant.startsWith('sqlite')) await cp(fileURLToPath(import.meta.resolve('@sqlite.org/sqlite-wasm/sqlite3.wasm')), path.join(folder, 'sqlite3.wasm'));
  return folder;
}

async function script(lines, outfile) {
  const contents = `${lines.join('\n')}\n`;
  await build({
    stdin: { contents, resolveDir: path.join(here, 'page'), sourcefile: path.basename(outfile) },
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    define: { global: 'globalThis', 'process.env.NODE_ENV': '"production"' },
    alias: { shoal: path.join(packageFolder, 'index.js') },
    outfile,
    // The package says that none of its files has effects; its worker script is nothing else.
    ignoreAnnotations: path.basename(outfile) === 'worker.js',
    logLevel: 'error',
  });
}
