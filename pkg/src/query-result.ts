/** The answer to a statement. Rows stay in their binary form until they are looked at. */

import type { RawRows } from './bindings.js';
import { CBOR } from './cbor.js';
import { toJSON } from './json.js';

/** One row. */
export class QueryResultItem<T = any> {
  readonly #rows: RawRows;
  readonly #index: number;
  #value: T | undefined;

  /**
   * A view of its own for each of 100,000 rows would cost more than everything else in the page.
   *
   * @internal
   */
  constructor(rows: RawRows, index: number) {
    this.#rows = rows;
    this.#index = index;
  }

  /** The row as an object; decoded at the first use and kept. */
  get value(): T {
    if (this.#value === undefined) this.materialize();
    return this.#value as T;
  }

  /** Whether the decoded row is in memory. */
  get isMaterialized(): boolean {
    return this.#value !== undefined;
  }

  /** Decodes the row now. */
  materialize(): void {
    this.#value ??= CBOR.decode(this.raw) as T;
  }

  /** Forgets the decoded row; `value` decodes it again. */
  dematerialize(): void {
    this.#value = undefined;
  }

  /** Returns the binary form. */
  cborData(): Uint8Array {
    return this.raw.slice();
  }

  /** Returns the row as JSON: 64-bit integers as digits, binary as base64. */
  jsonString(): string {
    return toJSON(this.#value ?? CBOR.decode(this.raw));
  }

  /**
   * The binary form, not copied.
   *
   * @internal
   */
  get raw(): Uint8Array {
    const { bytes = NO_BYTES, ends = NO_ENDS } = this.#rows;
    return bytes.subarray(this.#index === 0 ? 0 : ends[this.#index - 1], ends[this.#index]);
  }
}

const NO_BYTES = new Uint8Array();
const NO_ENDS = new Uint32Array();

/** The answer to a statement. */
export class QueryResult<T = any> {
  /** The rows of a SELECT, of RETURNING, or of what a statement tells (EXPLAIN, PROFILE, ADVISE, SHOW), in order. */
  readonly items: QueryResultItem<T>[];
  /** Where the write is in the commit log; `null` for a read, in a transaction, or when nothing changed. */
  readonly commitID: bigint | null;
  readonly #mutated: Uint8Array | undefined;

  /** @internal */
  constructor(rows: RawRows) {
    // A loop, since 100,000 calls of a callback are felt.
    const count = rows.ends?.length ?? 0;
    this.items = new Array<QueryResultItem<T>>(count);
    for (let index = 0; index < count; index += 1) this.items[index] = new QueryResultItem<T>(rows, index);
    this.commitID = rows.commit ?? null;
    this.#mutated = rows.mutated;
  }

  /** Returns the `_id`s of the documents that a mutation touched, whether or not it has RETURNING. */
  mutatedDocumentIDsV2(): any[] {
    return this.#mutated === undefined ? [] : (CBOR.decode(this.#mutated) as any[]);
  }
}
