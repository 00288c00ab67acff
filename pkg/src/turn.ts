/**
 * Gives the event loop its turn.
 *
 * An engine in the page answers in microtasks. Code that awaits nothing but its answers would run for ever within one turn of the
 * event loop: no event, no timer, no frame, and nothing from IndexedDB, which commits and index builds wait for. So an answer
 * that comes late in a turn is held back until the next one.
 */

/** How long a turn may last before answers are held back: half a frame. */
const TURN_MS = 8;

/** @internal */
export class Turn {
  /** When the first answer of this turn came. */
  #since: number | undefined;
  #next: Promise<void> | undefined;

  /** Returns what an answer has to wait for; nothing while the turn is young. */
  wait(): Promise<void> | undefined {
    const now = performance.now();
    if (this.#since !== undefined) return now - this.#since < TURN_MS ? undefined : this.#next;
    this.#since = now;
    this.#next = nextTurn().then(() => {
      this.#since = undefined;
    });
    return undefined;
  }
}

const { setImmediate } = globalThis as { setImmediate?: (work: () => void) => void };
const waiting: (() => void)[] = [];
let ports: MessageChannel | undefined;

/** @internal Resolves in the next turn of the event loop; between two of them a browser paints and hears keys. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    // In Node an open channel would keep the process alive.
    if (setImmediate !== undefined) return setImmediate(resolve);
    // A timer waits 4 ms where timers are nested; for what is neither Node nor a browser.
    if (typeof MessageChannel === 'undefined') return void setTimeout(resolve);
    waiting.push(resolve);
    ports ??= channel();
    ports.port2.postMessage(null);
  });
}

function channel(): MessageChannel {
  const made = new MessageChannel();
  made.port1.onmessage = () => waiting.shift()?.();
  return made;
}
