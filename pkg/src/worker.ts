/**
 * The engine in a dedicated worker: the script behind `Ditto.open(config, { worker: true })`, and the other end of `worker-peer.ts`.
 *
 * One worker has one open store. Calls arrive as messages and are made on the module's `Peer`; rows leave as buffers that move. What
 * a worker lacks is put in place before the store is opened: WebRTC and the state of the page. An exception that nobody
 * expected leaves the module in an unknown state: the worker says so and ends.
 */

import initialise, { Peer } from '../dist/wasm/shoal.js';
import type { EngineEvents, OpenOptions, RawRows } from './bindings.js';
import { buffersOf, type Endpoint, Port } from './port.js';
import type { PageState } from './worker-host.js';
import { heardRtc, installRtc } from './worker-rtc.js';

const scope = self as unknown as Endpoint & EventTarget & { close(): void };
const port = new Port(scope, (method, args) => guarded(() => serve(method, args)));
const page = Object.assign(new EventTarget(), { hidden: false });
/** Numbers of live queries and subscriptions: the page's, and the engine's. */
const numbers = new Map<number, number>();
let peer: Peer;

function serve(method: string, args: readonly any[]): unknown {
  switch (method) {
    case 'open':
      return open(args[0], args[1], args[2]);
    case 'executeSliced':
      return peer.execute(args[0], args[1], joined(args[2]), args[3]);
    case 'observe':
      return register(args[0], () => peer.observe(args[1], args[2], (rows: RawRows) => tellRows(args[0], rows)));
    case 'watchField':
      return watchField(args[0]);
    case 'subscribe':
      return register(args[0], () => peer.subscribe(args[1], args[2]));
    case 'observerReady':
      return withNumber(args[0], (number) => peer.observerReady(number));
    case 'unobserve':
    case 'unsubscribe':
      withNumber(args[0], (number) => peer[method](number));
      return numbers.delete(args[0]);
    case 'page':
      return tellOfPage(args[0], args[1], args[2], args[3]);
    case 'rtcEvent':
      return heardRtc(args[0], args[1], args[2]);
    default:
      return (peer as unknown as Record<string, (...args: readonly unknown[]) => unknown>)[method]!(...args);
  }
}

async function open(module: WebAssembly.Module, options: OpenOptions, state: PageState): Promise<void> {
  page.hidden = state.hidden;
  Object.assign(globalThis, { document: page });
  if (state.hasRtc) installRtc(port);
  const { storage } = navigator;
  // Only a page may ask for it.
  if (storage !== undefined && typeof storage.persist !== 'function') {
    Object.defineProperty(storage, 'persist', { value: () => port.ask('persist', []) });
  }
  await initialise({ module_or_path: module });
  peer = await Peer.open(options, tellEvent);
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

async function watchField(target: Uint8Array): Promise<number> {
  const number = (await peer.watchField(target, (message?: Uint8Array) => port.tell('field', [number, message]))) as number;
  return number;
}

function tellRows(number: number, rows: RawRows): void {
  port.tell('rows', [number, rows], buffersOf(rows));
}

/** Only the handler of credentials is asked whether it took care of it. */
function tellEvent(kind: keyof EngineEvents, value: unknown): unknown {
  return kind === 'authenticationRequired' ? port.ask('event', [kind, value]) : port.tell('event', [kind, value]);
}

/** Gives a number of the page to what is registered; what is wrong with it cannot be thrown there any more, and is told. */
function register(number: number, registered: () => number): void {
  try {
    numbers.set(number, registered());
  } catch (cause) {
    if (!isFailure(cause)) throw cause;
    port.tell('refused', [number, cause]);
  }
}

/** Calls for what is still registered. */
function withNumber(number: number, call: (number: number) => void): void {
  const own = numbers.get(number);
  if (own !== undefined) call(own);
}

function tellOfPage(on: 'document' | 'window', type: string, hidden: boolean, persisted: boolean): void {
  page.hidden = hidden;
  const target = on === 'document' ? page : scope;
  target.dispatchEvent(Object.assign(new Event(type), { persisted }));
}

/** Calls the engine. What it throws and is not a failure with a code has broken it. */
function guarded(call: () => unknown): unknown {
  try {
    return call();
  } catch (cause) {
    if (!isFailure(cause)) end(cause);
    throw cause;
  }
}

function isFailure(cause: unknown): cause is { code: string; message: string } {
  return typeof cause === 'object' && cause !== null && 'code' in cause && typeof cause.code === 'string';
}

function end(cause: unknown): void {
  port.tell('lost', [cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)]);
  scope.close();
}

scope.addEventListener('error', (event) => end((event as ErrorEvent).error ?? (event as ErrorEvent).message));
scope.addEventListener('messageerror', () => end('a message of the page could not be read'));
scope.addEventListener('unhandledrejection', (event) => {
  const { reason } = event as PromiseRejectionEvent;
  if (reason instanceof WebAssembly.RuntimeError) end(reason);
});
port.tell('ready', []);
