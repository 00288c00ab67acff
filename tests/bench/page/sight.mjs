// When values were first seen by an observer, for whoever waits for them; the pages of one browser agree on the time.

/** A time that pages of one browser agree on. */
export const now = () => performance.timeOrigin + performance.now();

export class Sights {
  #sights = new Map();

  /** Notes that a value is seen now, unless it was seen before. */
  note(value) {
    const sight = this.#of(value);
    if (sight.at !== undefined) return;
    sight.at = now();
    sight.tell(sight.at);
  }

  /** When a value was seen, as soon as it is. */
  of(value) {
    return this.#of(value).told;
  }

  #of(value) {
    let sight = this.#sights.get(value);
    if (sight === undefined) {
      sight = { at: undefined };
      sight.told = new Promise((resolve) => (sight.tell = resolve));
      this.#sights.set(value, sight);
    }
    return sight;
  }
}
