/** The difference between two answers of one query. */

import { fieldBytes } from './cbor.js';
import { DittoError } from './error.js';
import type { QueryResultItem } from './query-result.js';

/** What changed from one list of items to the next. */
export class Diff {
  /** Indexes in the new list. */
  readonly insertions: number[] = [];
  /** Indexes in the old list. */
  readonly deletions: number[] = [];
  /** Indexes in the new list of items whose content changed. */
  readonly updates: number[] = [];
  /** Items that changed places among those that stayed: index in the old list, index in the new. */
  readonly moves: { from: number; to: number }[] = [];
}

interface Known {
  readonly index: number;
  readonly bytes: Uint8Array;
}

/** Compares each list of items with the one before; the first call reports everything as inserted. */
export class Differ {
  #known = new Map<string, Known>();

  /** Returns what changed since the last call. Items are told apart by `_id`. */
  diff(items: readonly QueryResultItem[]): Diff {
    const next = new Map<string, Known>();
    const diff = new Diff();
    const stayed: { from: number; to: number }[] = [];
    items.forEach((item, index) => {
      const key = identity(item);
      const bytes = item.raw;
      next.set(key, { index, bytes });
      const before = this.#known.get(key);
      if (before === undefined) {
        diff.insertions.push(index);
      } else {
        stayed.push({ from: before.index, to: index });
        if (!equal(before.bytes, bytes)) diff.updates.push(index);
      }
    });
    for (const [key, { index }] of this.#known) if (!next.has(key)) diff.deletions.push(index);
    diff.moves.push(...moved(stayed));
    this.#known = next;
    return diff;
  }
}

function identity(item: QueryResultItem): string {
  const id = fieldBytes(item.raw, '_id');
  if (id === null) throw new DittoError('differ/identity-key-path-invalid', 'An item has no _id to identify it by.');
  return String.fromCharCode(...id);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Returns the fewest items that have to move: all but a longest run whose old places ascend. */
function moved(stayed: readonly { from: number; to: number }[]): { from: number; to: number }[] {
  // tails[n]: the item with the smallest old place that ends a run of length n + 1.
  const tails: number[] = [];
  const previous: number[] = [];
  stayed.forEach(({ from }, i) => {
    let [low, high] = [0, tails.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (stayed[tails[middle]!]!.from < from) low = middle + 1;
      else high = middle;
    }
    previous[i] = low === 0 ? -1 : tails[low - 1]!;
    tails[low] = i;
  });
  const kept = new Set<number>();
  for (let i = tails.at(-1) ?? -1; i >= 0; i = previous[i]!) kept.add(i);
  return stayed.filter((_, i) => !kept.has(i));
}
