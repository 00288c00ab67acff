import assert from 'node:assert/strict';
import { scenario } from './harness.mjs';

const documents = Number(process.env.SHOAL_EXPORT_DOCUMENTS ?? 20_000);

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
