import assert from 'node:assert/strict';
import { scenario } from './harness.mjs';

const documents = Number(process.env.SHOAL_EXPORT_DOCUMENTS ?? 20_000);
const megabytes = Number(process.env.SHOAL_ATTACHMENT_MB ?? 64);

/** Runs some work and returns what the page held at most meanwhile, buffers included and garbage not. */
async function peakOf(peer, work) {
  const session = await peer.page.context().newCDPSession(peer.page);
  const live = async () => {
    await session.send('HeapProfiler.collectGarbage');
    const { usedSize, backingStorageSize = 0 } = await session.send('Runtime.getHeapUsage');
    return usedSize + backingStorageSize;
  };
  const before = await live();
  let [peak, isDone] = [0, false];
  const done = work().finally(() => (isDone = true));
  while (!isDone) peak = Math.max(peak, (await live()) - before);
  return [await done, peak];
}

scenario(`${documents} documents are exported to a Blob and imported into a fresh store, with bounded memory`, async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  const peer = await stage.peer(context, site, { start: false, directory: 'from' });
  await peer.page.evaluate(fill, { documents });
  const figures = await peer.page.evaluate(async () => {
    const { Ditto, DittoConfig } = window.shoal;
    const from = window.ditto;
    const timed = async (work) => {
      const start = performance.now();
      const result = await work();
      return [result, Math.round(performance.now() - start)];
    };
    let [peak, heap] = [0, () => performance.memory?.usedJSHeapSize ?? 0];
    const before = heap();
    const onProgress = () => (peak = Math.max(peak, heap() - before));
    const [file, exportMs] = await timed(() => from.storage.export({ onProgress }));
    const to = await Ditto.open(new DittoConfig('e2e', { mode: 'smallPeersOnly' }, 'to'));
    window.to = to;
    const [result, importMs] = await timed(() => to.storage.import(file, { onProgress }));
    const [again, againMs] = await timed(() => to.storage.import(file));
    const [report, verifyMs] = await timed(() => to.storage.verify());
    const lines = [];
    let jsonBytes = 0;
    const [, ndjsonMs] = await timed(async () => {
      for (const reader = from.storage.exportCollection('movies').getReader(); ; ) {
        const { done, value } = await reader.read();
        if (done) break;
        lines.push(new Blob([value]));
        jsonBytes += value.length;
      }
    });
    const [collected, collectMs] = await timed(() => to.storage.importCollection('copies', new Blob(lines), { onProgress }));
    return { exportMs, importMs, againMs, verifyMs, ndjsonMs, collectMs, fileBytes: file.size, jsonBytes, peakHeapBytes: peak, result, again, report, collected };
  });
  const { result, again, report, collected, ...told } = figures;
  console.log(`export: ${JSON.stringify({ ...told, fileOverJson: told.fileBytes / told.jsonBytes })}`);
  assert.deepEqual([result.documents, result.changed, again.changed], [documents, documents, 0]);
  assert.deepEqual(report.findings, []);
  assert.deepEqual(collected, { documents, written: documents });
  assert.ok(told.fileBytes < told.jsonBytes / 2, 'the file is compressed');
  assert.ok(told.peakHeapBytes < 100_000_000, `memory is bounded: ${told.peakHeapBytes} bytes`);
  const same = await peer.page.evaluate(async () => {
    const sample = 'SELECT * FROM movies WHERE _id = :id';
    const one = async (ditto, id) => (await ditto.store.execute(sample, { id })).items[0].jsonString();
    const ids = ['d0', 'd9999', 'd19999'];
    return Promise.all(ids.map(async (id) => (await one(window.ditto, id)) === (await one(window.to, id))));
  });
  assert.deepEqual(same, [true, true, true]);
});

scenario('an import that is aborted keeps what it had, and the next one finishes it', async (stage) => {
  const site = await stage.site();
  const peer = await stage.peer(await stage.context(), site, { start: false });
  await peer.page.evaluate(fill, { documents: 5000 });
  const outcome = await peer.page.evaluate(async () => {
    const { Ditto, DittoConfig } = window.shoal;
    const file = await window.ditto.storage.export();
    const to = await Ditto.open(new DittoConfig('e2e', { mode: 'smallPeersOnly' }, 'to'));
    const stopper = new AbortController();
    const count = async () => (await to.store.execute('SELECT COUNT(*) AS total FROM movies')).items[0].value.total;
    const aborted = await to.storage
      .import(file, { signal: stopper.signal, onProgress: ({ documents }) => documents > 0 && stopper.abort() })
      .then(() => null, (cause) => cause.name);
    const kept = await count();
    await to.storage.import(file);
    return { aborted, kept, all: await count() };
  });
  assert.equal(outcome.aborted, 'AbortError');
  assert.ok(outcome.kept > 0 && outcome.kept < 5000, `${outcome.kept} documents`);
  assert.equal(outcome.all, 5000);
});

scenario('attachments are exported and imported chunk by chunk, in the page and in a worker, with bounded memory', async (stage) => {
  const site = await stage.site();
  for (const worker of [false, true]) {
    const peer = await stage.peer(await stage.context(), site, { start: false, worker, directory: `from-${worker}` });
    const transfer = () => peer.page.evaluate(
      async ({ megabytes, worker }) => {
        const { Ditto, DittoConfig } = window.shoal;
        let made = 0;
        const source = new ReadableStream({
          pull(controller) {
            if (made === megabytes) return controller.close();
            const words = new Uint32Array(262144);
            for (let n = 0, state = made + 1; n < words.length; n++) words[n] = state = (Math.imul(state, 1664525) + 1013904223) | 0;
            made += 1;
            controller.enqueue(new Uint8Array(words.buffer));
          },
        });
        const attachment = await window.ditto.store.newAttachment(source, { name: 'large' });
        await window.ditto.store.execute('INSERT INTO files DOCUMENTS (:doc)', { doc: { _id: '1', f: attachment } });
        const started = performance.now();
        const file = await window.ditto.storage.export();
        const exported = performance.now();
        const to = await Ditto.open(new DittoConfig('e2e', { mode: 'smallPeersOnly' }, `to-${worker}`), { worker });
        const opened = performance.now();
        const result = await to.storage.import(file);
        const imported = performance.now();
        const report = await to.storage.verify();
        const verified = performance.now();
        const token = (await to.store.execute('SELECT f FROM files')).items[0].value.f;
        const sum = async (ditto) => {
          let sum = 0;
          for (const reader = (await ditto.store.fetchAttachment(token)).stream().getReader(); ; ) {
            const { done, value } = await reader.read();
            if (done) return sum;
            const words = new Uint32Array(value.buffer, value.byteOffset, value.length >> 2);
            for (let n = 0; n < words.length; n++) sum = (Math.imul(sum, 31) + words[n]) | 0;
          }
        };
        const same = (await sum(to)) === (await sum(window.ditto));
        const ms = { export: exported - started, import: imported - opened, verify: verified - imported };
        return { result, same, fileBytes: file.size, counts: report.counts, ok: report.ok, ms };
      },
      { megabytes, worker },
    );
    const [told, peak] = await peakOf(peer, transfer);
    console.log(`# ${megabytes} MiB of attachments ${worker ? 'in a worker' : 'in the page'}: ${JSON.stringify({ ...told.ms, fileBytes: told.fileBytes, peakHeapBytes: peak })}`);
    assert.deepEqual([told.result.attachments, told.same, told.ok], [1, true, true]);
    assert.deepEqual([told.counts.attachments, told.counts.attachmentBytes], [1, megabytes * 1024 * 1024]);
    assert.ok(peak < 40_000_000, `memory is bounded: ${peak} bytes`);
    await peer.page.close();
  }
});

/** Runs in the page. */
async function fill({ documents }) {
  const words = ['red', 'green', 'blue', 'slow', 'fast', 'old', 'new', 'tall'];
  for (let start = 0; start < documents; start += 5000) {
    const batch = Array.from({ length: Math.min(5000, documents - start) }, (_, index) => {
      const n = start + index;
      const word = (step) => words[(n * step) % words.length];
      return { _id: `d${n}`, title: `Document number ${n}`, tags: [word(3), word(5), word(7)], year: 1900 + (n % 120), rating: (n % 100) / 10, seller: { name: `${word(11)} ${n % 977}`, city: word(13) }, text: `${word(17)} ${word(19)} ${n} ${word(23)}` };
    });
    await window.ditto.store.execute('INSERT INTO movies DOCUMENTS (:batch)', { batch });
  }
}
