/**
 * Loading the WebAssembly module.
 *
 * `init()` may be called any number of times, also at once: all calls share one load. A load that failed may be tried again.
 * The default address is written so that Vite and Webpack copy the file, esbuild leaves the address alone (serve `shoal.wasm` beside
 * the bundle, or pass `webAssemblyModule`), and Node reads it from disk.
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
}

let loading: Promise<void> | null = null;

/** Loads the engine. Idempotent; concurrent calls share one load. */
export function init(options: InitOptions = {}): Promise<void> {
  loading ??= load(options.webAssemblyModule ?? null).catch((cause: unknown) => {
    loading = null;
    if (cause instanceof DittoError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DittoError('io/operation-failed', `The WebAssembly module could not be loaded: ${reason}`, { cause });
  });
  return loading;
}

async function load(given: WebAssemblyModule): Promise<void> {
  const source = given ?? new URL('./shoal.wasm', import.meta.url);
  const module = await resolve(source);
  try {
    await initialise({ module_or_path: module });
  } catch (cause) {
    const elsewhere = given === null ? besidePrebundle() : null;
    if (elsewhere === null) throw cause;
    await initialise({ module_or_path: elsewhere });
  }
}

/** Node's `fetch` does not read `file:` addresses; everything else is the generated loader's business. */
async function resolve(source: Exclude<WebAssemblyModule, null>): Promise<Exclude<WebAssemblyModule, null>> {
  const address = source instanceof URL ? source.href : source;
  if (typeof address !== 'string' || !address.startsWith('file:') || !isNode()) return source;
  const files = await nodeModule<{ readFile(file: URL): Promise<Uint8Array<ArrayBuffer>> }>('fs', 'promises');
  return files.readFile(new URL(address));
}

/**
 * Vite's development server moves this script to `node_modules/.vite/deps` and leaves the module behind; this is where it stayed.
 */
function besidePrebundle(): string | null {
  const here = import.meta.url;
  const at = here.indexOf('/.vite/deps');
  return at < 0 ? null : `${here.slice(0, at)}/shoal/dist/shoal.wasm`;
}
