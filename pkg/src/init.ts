/**
 * Loading the WebAssembly module.
 *
 * `init()` may be called any number of times, also at once: all calls share one load. A load that failed may be tried again.
 * The module is compiled once; a page that runs the engine makes an instance of it, and each worker gets the compiled module.
 * The default address is written so that Vite and Webpack copy the file, esbuild leaves the address alone (serve `shoal.wasm` beside
 * the bundle, or pass `webAssemblyModule`), and Node reads it from disk. `worker.js` is found in the same way.
 */

import initialise from '../dist/wasm/shoal.js';
import { DittoError } from './error.js';
import { isNode, nodeModule } from './node.js';

/** What the module can be loaded from. */
export type WebAssemblyModule = RequestInfo | URL | Response | BufferSource | WebAssembly.Module | string | null;

/** Options of `init`. */
export interface InitOptions {
  /** The module, or where it is; by default the file beside this script. */
  webAssemblyModule?: WebAssemblyModule;
  /** Where the script of `worker: true` is; by default `worker.js` beside this script. It has to be of the page's own origin. */
  workerAddress?: URL | string;
  /** Whether the page runs an engine itself, so that it is made ready now: yes unless said otherwise. */
  inPage?: boolean;
}

let loading: Promise<WebAssembly.Module> | null = null;
let starting: Promise<void> | null = null;
let worker: URL | string | null = null;

/** Loads the engine. Idempotent; concurrent calls share one load. */
export async function init(options: InitOptions = {}): Promise<void> {
  worker ??= options.workerAddress ?? null;
  await compiled(options.webAssemblyModule ?? null);
  if (options.inPage !== false) await start();
}

/**
 * Returns the compiled module.
 *
 * @internal
 */
export function compiled(given: WebAssemblyModule = null): Promise<WebAssembly.Module> {
  loading ??= load(given).catch((cause: unknown) => {
    loading = null;
    throw notLoaded(cause);
  });
  return loading;
}

/**
 * Makes the instance of this realm.
 *
 * @internal
 */
export function start(): Promise<void> {
  starting ??= instantiate().catch((cause: unknown) => {
    starting = null;
    throw notLoaded(cause);
  });
  return starting;
}

async function instantiate(): Promise<void> {
  await initialise({ module_or_path: await compiled() });
}

function notLoaded(cause: unknown): DittoError {
  if (cause instanceof DittoError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new DittoError('io/operation-failed', `The WebAssembly module could not be loaded: ${reason}`, { cause });
}

async function load(given: WebAssemblyModule): Promise<WebAssembly.Module> {
  try {
    return await compile(given ?? new URL('./shoal.wasm', import.meta.url));
  } catch (cause) {
    const elsewhere = given === null ? besidePrebundle('shoal.wasm') : null;
    if (elsewhere === null) throw cause;
    return compile(elsewhere);
  }
}

async function compile(source: Exclude<WebAssemblyModule, null>): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return WebAssembly.compile(source);
  const address = source instanceof URL ? source.href : source;
  if (typeof address === 'string' && address.startsWith('file:') && isNode()) return WebAssembly.compile(await readFile(new URL(address)));
  const response = address instanceof Response ? address : await fetch(address);
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}`);
  // Compiling while it loads is for the right type only.
  if (response.headers.get('content-type')?.startsWith('application/wasm') === true) return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}

/** Node's `fetch` does not read `file:` addresses. */
async function readFile(address: URL): Promise<Uint8Array<ArrayBuffer>> {
  const files = await nodeModule<{ readFile(file: URL): Promise<Uint8Array<ArrayBuffer>> }>('fs', 'promises');
  return files.readFile(address);
}

/**
 * Starts the worker's script.
 *
 * @internal
 */
export function startWorker(): Worker {
  const given = worker ?? besidePrebundle('worker.js');
  if (given !== null) return new Worker(given, { type: 'module' });
  // Written out, so that Vite and Webpack see it and bundle the script.
  return new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
}

/**
 * Vite's development server moves this script to `node_modules/.vite/deps` and leaves the other files behind; this is where they stayed.
 */
function besidePrebundle(file: string): string | null {
  const here = import.meta.url;
  const at = here.indexOf('/.vite/deps');
  return at < 0 ? null : `${here.slice(0, at)}/shoal/dist/${file}`;
}
