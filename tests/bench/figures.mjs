// The figures of `bench store`: names, units, goals, titles, and how rounds become one figure. Ratios are to the bytes of the documents' JSON
// unless their title says otherwise.

/** The figures that have a goal, in the order of the report. `over`: the goal is a least value instead of a greatest. */
export const goals = {
  bulk_10k_ms: { unit: 'ms', goal: 300, title: '10,000 documents in bulk' },
  bulk_10k_vs_dexie: { unit: 'ratio', goal: 20, over: true, title: '10,000 documents in bulk, times faster than Dexie' },
  insert_p50_vs_raw_put: { unit: 'ratio', goal: 1.5, title: 'One awaited insert over a raw put, p50' },
  concurrent_1k_ms: { unit: 'ms', goal: 60, title: '1,000 inserts started at once' },
  cold_open_10k_ms: { unit: 'ms', goal: 60, title: 'Cold open and point read, 10,000 documents' },
  cold_open_100k_ms: { unit: 'ms', goal: 100, title: 'Cold open and point read, 100,000 documents' },
  scan_100k_ms: { unit: 'ms', goal: 400, title: 'Cold scan of 100,000 documents' },
  memory_100k_ratio: { unit: 'ratio', goal: 1.5, title: 'Memory after a scan of 100,000 documents' },
  disk_ratio: { unit: 'ratio', goal: 0.5, title: 'Bytes on the device, 10,000 documents' },
  other_tab_p50_ms: { unit: 'ms', goal: 6, title: 'A write seen in another tab, p50' },
};

/** Figures beside them, without a goal. */
export const extras = {
  wasm_compile_ms: { unit: 'ms', title: 'Fetch and compile the module' },
  wasm_start_ms: { unit: 'ms', title: 'Start the module' },
  insert_p50_ms: { unit: 'ms', title: 'One awaited insert, p50' },
  raw_put_p50_ms: { unit: 'ms', title: 'A raw put beside it, p50' },
  load_100k_ms: { unit: 'ms', title: '100,000 documents in ten bulks' },
  disk_ratio_at_once: { unit: 'ratio', title: 'Bytes on the device before they settled, 10,000 documents' },
  disk_ratio_100k: { unit: 'ratio', title: 'Bytes on the device, 100,000 documents' },
  disk_origin_ratio: { unit: 'ratio', title: 'The browser’s count of them, 10,000 documents' },
  disk_origin_ratio_100k: { unit: 'ratio', title: 'The browser’s count of them, 100,000 documents' },
  memory_heap_100k_ratio: { unit: 'ratio', title: 'The JavaScript heap’s part of the memory' },
};

/** All of them by name. */
export const all = { ...goals, ...extras };

/** What was measured: a number for every round, by contestant and figure. */
export class Samples {
  #values = new Map();

  add(contestant, figure, value) {
    if (!(figure in all)) throw new Error(`there is no figure ${figure}`);
    const key = `${contestant} ${figure}`;
    this.#values.set(key, [...(this.#values.get(key) ?? []), value]);
  }

  of(contestant, figure) {
    return this.#values.get(`${contestant} ${figure}`) ?? [];
  }

  /** The figures of one contestant out of a table, in the form of the JSON; what was not measured is absent. */
  figures(contestant, table) {
    const measured = Object.keys(table).filter((figure) => this.of(contestant, figure).length > 0);
    return Object.fromEntries(measured.map((figure) => [figure, summary(this.of(contestant, figure), table[figure])]));
  }

  /** The whole of the JSON but for the run itself. */
  report(ours, peers) {
    const whole = (contestant) => ({ ...this.figures(contestant, goals), extra: this.figures(contestant, extras) });
    return { ...whole(ours), peers: Object.fromEntries(peers.map((peer) => [peer, whole(peer)])) };
  }
}

function summary(values, { unit, goal = null }) {
  return { value: rounded(median(values)), unit, goal, rounds: values.length, min: rounded(Math.min(...values)), max: rounded(Math.max(...values)) };
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Whether a figure is as good as its goal. */
export function met(name, value) {
  const { goal, over } = goals[name];
  return over ? value >= goal : value <= goal;
}

const rounded = (value) => Number(value.toPrecision(4));
