/**
 * Knows whether code that runs now runs inside the scope of a transaction.
 *
 * A browser has no context that follows an `await`. What is known: a scope starts with a call, and goes on in the microtasks after
 * one of its statements is answered. Inside is therefore the call itself and the first microtasks behind such an answer, unless
 * something else of ours is answered or called in between, or was just before: the engine answers several callers in one go, and
 * what each of them does next is a matter of how many microtasks it takes. So code outside is never taken for inside; code inside that has awaited
 * something else first is not seen, and only the warning about long transactions tells of it.
 */

/** Wrappers around `execute` add a few microtasks each before the scope goes on. */
const MICROTASKS = 8;

/** @internal */
export class Scope {
  #entered = 0;
  #depth = 0;
  /** How many others were just answered, and may go on in one of the next microtasks. */
  #others = 0;

  /** Whether code that runs now runs inside a scope. */
  get isInside(): boolean {
    return this.#depth > 0;
  }

  /** Runs the synchronous start of a scope. */
  start<T>(run: () => T): T {
    this.#depth += 1;
    const entered = ++this.#entered;
    try {
      return run();
    } finally {
      if (this.#entered === entered) this.#depth = 0;
    }
  }

  /** A statement of the scope was answered: what runs next goes on inside. */
  enter(): void {
    const entered = ++this.#entered;
    this.#depth = this.#others > 0 ? 0 : 1;
    const wait = (left: number): void => {
      if (this.#entered !== entered) return;
      if (left === 0) this.#depth = 0;
      else queueMicrotask(() => wait(left - 1));
    };
    wait(MICROTASKS);
  }

  /** What runs next belongs to somebody else. */
  leave(): void {
    this.#entered += 1;
    this.#depth = 0;
    this.#others += 1;
    const wait = (left: number): void => {
      if (left === 0) this.#others -= 1;
      else queueMicrotask(() => wait(left - 1));
    };
    wait(MICROTASKS);
  }
}

/** Blanks and comments. */
const GAP = String.raw`(?:\s|--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*\*/)`;
const WRITES = new RegExp(`^${GAP}*(?:(?:PROFILE${GAP}+)?(?:INSERT|UPDATE|DELETE|EVICT)|CREATE|DROP|ADVISE${GAP}+AND)\\b`, 'i');

/** @internal Says whether a statement would wait for an open transaction to end. */
export function isWriting(statement: string): boolean {
  return WRITES.test(statement);
}
