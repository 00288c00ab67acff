// How the rounds of a bench become figures. A bench has a table of figures that have a goal (`over`: the goal is a least value instead of
// a greatest) and one of figures without, both in the order of the report.

/** What was measured: a number for every round, by contestant and figure. */
export class Samples {
  #goals;
  #extras;
  #values = new Map();
  #reasons = new Map();

  constructor({ goals, extras }) {
    this.#goals = goals;
    this.#extras = extras;
  }

  add(contestant, figure, value) {
    const key = this.#key(contestant, figure);
    this.#values.set(key, [...(this.#values.get(key) ?? []), value]);
  }

  /** Notes why a contestant will never have a figure. */
  lacks(contestant, figure, reason) {
    this.#reasons.set(this.#key(contestant, figure), reason);
  }

  of(contestant, figure) {
    return this.#values.get(`${contestant} ${figure}`) ?? [];
  }

  /**
   * The figures of one contestant out of a table, in the form of the JSON; what was not measured is absent, and what the contestant has
   * not is `null` with the reason.
   */
  figures(contestant, table) {
    const figures = {};
    for (const [figure, about] of Object.entries(table)) {
      const values = this.of(contestant, figure);
      const reason = this.#reasons.get(`${contestant} ${figure}`);
      if (values.length > 0) figures[figure] = summary(values, about);
      else if (reason !== undefined) figures[figure] = { value: null, unit: about.unit, reason };
    }
    return figures;
  }

  /** The whole of the JSON but for the run itself. */
  report(ours, peers) {
    const whole = (contestant) => ({ ...this.figures(contestant, this.#goals), extra: this.figures(contestant, this.#extras) });
    return { ...whole(ours), peers: Object.fromEntries(peers.map((peer) => [peer, whole(peer)])) };
  }

  #key(contestant, figure) {
    if (!(figure in this.#goals) && !(figure in this.#extras)) throw new Error(`there is no figure ${figure}`);
    return `${contestant} ${figure}`;
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

/** Whether a value is as good as its goal. */
export const met = ({ goal, over }, value) => (over ? value >= goal : value <= goal);

/** Three figures, as people read them. */
export const show = (value) => (value >= 100 ? Math.round(value).toLocaleString('en-GB') : String(Number(value.toPrecision(3))));

const rounded = (value) => Number(value.toPrecision(4));
