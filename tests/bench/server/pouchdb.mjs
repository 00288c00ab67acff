// The server of PouchDB: what its replication asks of a CouchDB, over PouchDB in LevelDB. It is written here, because `pouchdb-server` has
// not followed PouchDB since its version 7; it compresses nothing, as CouchDB does not.

import http from 'node:http';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import PouchDB from 'pouchdb-core';
import leveldb from 'pouchdb-adapter-leveldb';
import { room } from '../page/sync/access.mjs';

PouchDB.plugin(leveldb);
const uuid = '00000000000000000000000000000001';

export async function start(folder) {
  const database = new PouchDB(path.join(folder, room), { adapter: 'leveldb', revs_limit: 1000 });
  await database.info();
  // Every browser that waits for changes is a listener.
  database.setMaxListeners(0);
  const server = http.createServer((request, response) => void answer(database, request, response));
  server.keepAliveTimeout = 60_000;
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return {
    port: server.address().port,
    async load(documents) {
      const refused = (await database.bulkDocs(documents)).find((result) => result.error);
      if (refused) throw new Error(`a document was not inserted: ${refused.message}`);
    },
    async change(ids, value) {
      for (const id of ids) await database.put({ ...(await database.get(id)), quantity: value });
    },
  };
}

async function answer(database, request, response) {
  const cross = {
    'access-control-allow-origin': request.headers.origin ?? '*',
    'access-control-allow-credentials': 'true',
    'access-control-allow-headers': 'content-type',
    'access-control-allow-methods': 'GET, PUT, POST',
    'access-control-max-age': '7200',
  };
  if (request.method === 'OPTIONS') {
    response.writeHead(204, cross).end();
    return;
  }
  let status = 200;
  let body;
  try {
    body = await route(database, request, response);
  } catch (error) {
    status = error.status ?? 500;
    body = { error: error.name, reason: error.message };
  }
  if (!response.writableEnded && !response.destroyed) response.writeHead(status, { ...cross, 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function route(database, request, response) {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost');
  const [, , part, id] = pathname.split('/');
  const given = request.method === 'GET' ? undefined : JSON.parse((await text(request)) || 'null');
  if (pathname === '/') return { couchdb: 'Welcome', uuid };
  if (!part) return database.info();
  if (part === '_local' && request.method === 'GET') return database.get(`_local/${decodeURIComponent(id)}`);
  if (part === '_local') return database.put(given);
  if (part === '_changes') return changes(database, searchParams, response);
  if (part === '_revs_diff') return database.revsDiff(given);
  if (part === '_bulk_docs') return database.bulkDocs(given);
  if (part === '_bulk_get') return database.bulkGet({ ...given, revs: true, latest: true });
  throw Object.assign(new Error(pathname), { name: 'not_found', status: 404 });
}

/** What has changed since a place; a long poll that finds nothing waits for the next change. */
async function changes(database, asked, response) {
  const options = { since: Number(asked.get('since') ?? 0), style: asked.get('style') ?? 'main_only' };
  if (asked.has('limit')) options.limit = Number(asked.get('limit'));
  const found = await database.changes(options);
  if (found.results.length > 0 || asked.get('feed') !== 'longpoll') return found;
  const feed = database.changes({ ...options, since: found.last_seq, live: true, limit: 1 });
  response.once('close', () => feed.cancel());
  return new Promise((resolve, reject) => {
    feed.on('change', (change) => {
      feed.cancel();
      resolve({ results: [change], last_seq: change.seq });
    });
    feed.on('error', reject);
  });
}
