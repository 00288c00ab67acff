// The service worker: keeps one whole version of the app in one cache, so that the page starts with no network and never mixes versions.
// `PRECACHE` and `VERSION` are written by build.mjs; the version is a hash of every file's content.

declare const PRECACHE: readonly string[];
declare const VERSION: string;

interface WorkerEvent extends Event {
  waitUntil: (work: Promise<unknown>) => void;
}
interface WorkerFetchEvent extends WorkerEvent {
  request: Request;
  respondWith: (response: Promise<Response>) => void;
}
interface WorkerScope extends EventTarget {
  skipWaiting: () => Promise<void>;
  clients: { claim: () => Promise<void> };
  registration: { scope: string };
}

const scope = self as unknown as WorkerScope;
const appCache = `shoal-app-${VERSION}`;
const configCache = 'shoal-config';

scope.addEventListener('install', (event) => (event as WorkerEvent).waitUntil(fill()));

scope.addEventListener('activate', (event) => (event as WorkerEvent).waitUntil(dropOldVersions().then(() => scope.clients.claim())));

scope.addEventListener('message', (event) => {
  if ((event as MessageEvent).data === 'take-over') void scope.skipWaiting();
});

scope.addEventListener('fetch', (event) => {
  const { request } = event as WorkerFetchEvent;
  const path = ownPath(request.url);
  if (request.method !== 'GET' || path === undefined) return;
  if (path === 'config.json') return (event as WorkerFetchEvent).respondWith(networkFirst(request));
  const file = request.mode === 'navigate' && (path === '' || path === 'index.html') ? 'index.html' : path;
  if (PRECACHE.includes(file)) (event as WorkerFetchEvent).respondWith(cacheFirst(file, request));
});

async function fill(): Promise<void> {
  const cache = await caches.open(appCache);
  await cache.addAll(PRECACHE.map((path) => new Request(path, { cache: 'reload' })));
  // The page asked for it before this worker was there; a page without one works with peers alone.
  await networkFirst(new Request('config.json', { cache: 'no-store' })).catch(() => undefined);
}

async function dropOldVersions(): Promise<void> {
  for (const name of await caches.keys()) {
    if (name !== appCache && name !== configCache) await caches.delete(name);
  }
}

/** The address below this worker's scope, without its query; undefined for other places. */
function ownPath(address: string): string | undefined {
  const url = new URL(address);
  const base = new URL(scope.registration.scope);
  if (url.origin !== base.origin || !url.pathname.startsWith(base.pathname)) return undefined;
  return url.pathname.slice(base.pathname.length);
}

async function cacheFirst(file: string, request: Request): Promise<Response> {
  const cache = await caches.open(appCache);
  return (await cache.match(file)) ?? fetch(request);
}

/** The last known address of the Big Peer serves only while the network does not answer. */
async function networkFirst(request: Request): Promise<Response> {
  const cache = await caches.open(configCache);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put('config.json', response.clone());
    else await cache.delete('config.json');
    return response;
  } catch (error) {
    const kept = await cache.match('config.json');
    if (kept) return kept;
    throw error;
  }
}
