/**
 * The engine in a dedicated worker, as the page sees it: every call becomes a message to `worker.ts`.
 *
 * Live queries and subscriptions are numbered here, so that they have their number at once; what is wrong with their statement
 * comes later, as the event `failed`. What the worker needs of the page is in `worker-host.ts`. A worker that does not start
 * and one that breaks down are errors with a code: whoever waits gets it, and so does every later call.
 */

import type { EngineEvents, OpenOptions, Peer, RawRows, StorageUsage } from './bindings.js';
import type { Listener } from './engine.js';
import type { RawSecret } from './encryption.js';
import { DittoError } from './error.js';
import { compiled, startWorker } from './init.js';
import { Port } from './port.js';
import { Slices } from './slices.js';
import type { DQLQueryArguments } from './store.js';
import { WorkerHost } from './worker-host.js';

type Told = (message?: Uint8Array) => void;
type Rows = (rows: RawRows) => void;

/** @internal */
export class WorkerPeer implements Peer {
  readonly #worker: Worker;
  readonly #port: Port;
  readonly #host: WorkerHost;
  readonly #listener: Listener;
  readonly #observers = new Map<number, Rows>();
  readonly #fields = new Map<number, Told>();
  #next = 1;
  #state: 'starting' | 'running' | 'gone' = 'starting';

  private constructor(listener: Listener) {
    this.#listener = listener;
    this.#worker = start();
    this.#port = new Port(this.#worker, (method, args) => this.#serve(method, args));
    this.#host = new WorkerHost(this.#port);
    this.#worker.addEventListener('error', (event) => {
      event.preventDefault();
      if (this.#state === 'starting') this.#end(notStarted('the browser did not load or run its script'));
      else this.#lost(event.message);
    });
    this.#worker.addEventListener('messageerror', () => this.#lost('one of its messages could not be read'));
  }

  /** Starts a worker and opens a store in it. The module is compiled once for all workers of a page. */
  static async open(options: OpenOptions, listener: Listener): Promise<WorkerPeer> {
    const peer = new WorkerPeer(listener);
    try {
      const module = await compiled();
      await peer.#port.ask('open', [module, options, peer.#host.start()]);
      return peer;
    } catch (cause) {
      peer.#stop();
      throw cause;
    }
  }

  #serve(method: string, args: readonly any[]): unknown {
    switch (method) {
      case 'ready':
        this.#state = 'running';
        return undefined;
      case 'event':
        return this.#listener.event(args[0] as keyof EngineEvents, args[1] as never);
      case 'rows':
        return this.#observers.get(args[0])?.(args[1]);
      case 'field':
        return this.#fields.get(args[0])?.(args[1]);
      case 'refused':
        this.#observers.delete(args[0]);
        return this.#listener.event('failed', args[1]);
      case 'lost':
        return this.#lost(args[0]);
      default:
        return this.#host.serve(method, args);
    }
  }

  #lost(reason: string): void {
    if (this.#state === 'gone') return;
    const advice = 'What was acknowledged is saved; open the database again.';
    const error = new DittoError('internal', `The engine in the worker broke down: ${reason}. ${advice}`);
    this.#end(error);
    this.#listener.lost(error);
  }

  #end(error: DittoError): void {
    this.#port.end(error);
    this.#stop();
  }

  #stop(): void {
    this.#state = 'gone';
    this.#observers.clear();
    this.#fields.clear();
    this.#host.stop();
    this.#worker.terminate();
  }

  execute(transaction: number | null | undefined, text: string, args: Uint8Array, durability?: string | null): Promise<RawRows> {
    return this.#port.ask('execute', [transaction, text, args, durability]);
  }

  executeSliced(transaction: number | undefined, text: string, args: DQLQueryArguments, durability?: string): Promise<RawRows> {
    return this.#port.askWith('executeSliced', () => {
      const slices = new Slices(args);
      const moved = () => slices.pieces.map((piece) => piece.buffer as ArrayBuffer);
      const made = () => ({ args: [transaction, text, slices.pieces, durability], moved: moved() });
      return slices.step() ? made() : slices.finish().then(made);
    });
  }

  begin(readOnly: boolean): Promise<number> {
    return this.#port.ask('begin', [readOnly]);
  }

  end(transaction: number, commit: boolean): Promise<bigint | undefined> {
    return this.#port.ask('end', [transaction, commit]);
  }

  observe(text: string, args: Uint8Array, callback: Rows): number {
    const id = this.#next++;
    this.#observers.set(id, callback);
    this.#port.tell('observe', [id, text, args]);
    return id;
  }

  observerReady(id: number): void {
    this.#port.tell('observerReady', [id]);
  }

  unobserve(id: number): void {
    this.#observers.delete(id);
    this.#port.tell('unobserve', [id]);
  }

  subscribe(text: string, args: Uint8Array): number {
    const id = this.#next++;
    this.#port.tell('subscribe', [id, text, args]);
    return id;
  }

  unsubscribe(id: number): void {
    this.#port.tell('unsubscribe', [id]);
  }

  async watchField(target: Uint8Array, callback: Told): Promise<number> {
    const id = await this.#port.ask('watchField', [target]);
    this.#fields.set(id, callback);
    return id;
  }

  unwatchField(id: number): void {
    this.#fields.delete(id);
    this.#port.tell('unwatchField', [id]);
  }

  readField(id: number, known: Uint8Array): Promise<unknown> {
    return this.#port.ask('readField', [id, known]);
  }

  writeField(id: number, kind: string, life: number | null | undefined, update: Uint8Array, durability?: string | null): Promise<unknown> {
    return this.#port.ask('writeField', [id, kind, life, update, durability]);
  }

  say(id: number, message: Uint8Array): void {
    this.#port.tell('say', [id, message]);
  }

  setSync(on: boolean): void {
    this.#port.tell('setSync', [on]);
  }

  login(provider: string, token: string): Promise<void> {
    return this.#port.ask('login', [provider, token]);
  }

  logout(): void {
    this.#port.tell('logout', []);
  }

  setProfile(name: string, metadata: Uint8Array): void {
    this.#port.tell('setProfile', [name, metadata]);
  }

  setIceServers(servers: readonly RTCIceServer[]): void {
    this.#port.tell('setIceServers', [servers]);
  }

  usage(): Promise<StorageUsage> {
    return this.#port.ask('usage', []);
  }

  exportHead(version: string): Promise<Uint8Array> {
    return this.#port.ask('exportHead', [version]);
  }

  exportPage(after?: Uint8Array | null): Promise<unknown> {
    return this.#port.ask('exportPage', [after]);
  }

  exportAttachment(after?: string | null): Promise<unknown> {
    return this.#port.ask('exportAttachment', [after]);
  }

  exportChunk(id: string, chunk: number): Promise<unknown> {
    return this.#port.ask('exportChunk', [id, chunk]);
  }

  exportEnd(documents: number, sections: number): Promise<Uint8Array> {
    return this.#port.ask('exportEnd', [documents, sections]);
  }

  importSection(bytes: Uint8Array, attachment?: number | null): Promise<unknown> {
    return this.#port.ask('importSection', [bytes, attachment]);
  }

  readPage(collection: string, after?: Uint8Array | null): Promise<unknown> {
    return this.#port.ask('readPage', [collection, after]);
  }

  /** The worker numbers it; whoever writes waits for that. */
  blobBegin(): Promise<number> {
    return this.#port.ask('blobBegin', []);
  }

  blobWrite(number: number, bytes: Uint8Array): Promise<void> {
    return this.#port.ask('blobWrite', [number, bytes]);
  }

  blobFinish(number: number): Promise<unknown> {
    return this.#port.ask('blobFinish', [number]);
  }

  blobDrop(number: number): void {
    this.#port.tell('blobDrop', [number]);
  }

  blobFetch(key: number, id: string, len: number): Promise<unknown> {
    return this.#port.ask('blobFetch', [key, id, len]);
  }

  blobStop(key: number): void {
    this.#port.tell('blobStop', [key]);
  }

  blobRead(id: string, chunk: number): Promise<unknown> {
    return this.#port.ask('blobRead', [id, chunk]);
  }

  verify(): Promise<unknown> {
    return this.#port.ask('verify', []);
  }

  watchSpace(on: boolean): void {
    this.#port.tell('watchSpace', [on]);
  }

  changeEncryptionKey(current: RawSecret, next: RawSecret): Promise<void> {
    return this.#port.ask('changeEncryptionKey', [current, next]);
  }

  /** Closes the store and ends the worker; one that broke down has nothing left to close. */
  async close(): Promise<void> {
    if (this.#state === 'gone') return;
    try {
      await this.#port.ask('close', []);
    } finally {
      this.#end(new DittoError('store/closed', 'The database was closed; open it again.'));
    }
  }
}

function start(): Worker {
  try {
    return startWorker();
  } catch (cause) {
    throw notStarted(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function notStarted(reason: string, cause?: unknown): DittoError {
  const advice =
    "Serve the package's worker.js beside the bundle, from the page's own origin, or say where it is with init({ workerAddress }); " +
    "a Content-Security-Policy has to allow it in worker-src. Or open without worker: true.";
  return new DittoError('io/operation-failed', `The worker could not be started: ${reason}. ${advice}`, { cause });
}
