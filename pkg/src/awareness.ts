/**
 * Awareness as bytes: the messages 1 (states) and 3 (who is there?) of `y-protocols`, as `y-websocket` sends them.
 *
 * States: how many, then of each the client, its clock and its state as JSON; `null` for one that has left.
 */

import type { YAwareness, YAwarenessChange } from './y-types.js';

const STATES = 1;
const QUERY = 3;
/** Longest message, bytes; what is longer is not sent. */
const BYTES_MAX = 16 * 1024;

/** Asks the others for their states. */
export const awarenessQuery = new Uint8Array([QUERY]);

/** Returns the message that this client has left; it stays in its own awareness, with a newer clock. */
export function leaving(awareness: YAwareness): Uint8Array | null {
  const client = awareness.clientID;
  awareness.meta.set(client, { clock: (awareness.meta.get(client)?.clock ?? 0) + 1, lastUpdated: Date.now() });
  return encodeAwareness(awareness, [client], true);
}

/** Returns the states of clients; nothing if they are too long. `isGone`: as if they had left. */
export function encodeAwareness(awareness: YAwareness, clients: readonly number[], isGone = false): Uint8Array | null {
  const body: number[] = [];
  writeNumber(body, clients.length);
  for (const client of clients) {
    const state = isGone ? null : awareness.states.get(client);
    const json = new TextEncoder().encode(JSON.stringify(state ?? null));
    writeNumber(body, client);
    writeNumber(body, awareness.meta.get(client)?.clock ?? 0);
    writeNumber(body, json.length);
    if (body.length + json.length > BYTES_MAX) return null;
    for (const byte of json) body.push(byte);
  }
  const message = [STATES];
  writeNumber(message, body.length);
  return message.length + body.length > BYTES_MAX ? null : new Uint8Array([...message, ...body]);
}

/** Takes a message; says whether it asks for states. What is no message is ignored: it comes from anybody. */
export function hearAwareness(awareness: YAwareness, message: Uint8Array, origin: unknown): 'asked' | 'heard' {
  if (message[0] === QUERY) return 'asked';
  try {
    const reader = new Reader(message);
    if (reader.number() !== STATES) return 'heard';
    reader.number();
    const states: [number, number, object | null][] = [];
    for (let left = reader.number(); left > 0; left -= 1) {
      const [client, clock, state] = [reader.number(), reader.number(), JSON.parse(reader.text()) as unknown];
      if (typeof state !== 'object') return 'heard';
      states.push([client, clock, state]);
    }
    apply(awareness, states, origin);
  } catch {
    // Cut off or no JSON.
  }
  return 'heard';
}

/** The newer clock counts; at the same one a leaving client does. Nobody else can make this client leave. */
function apply(awareness: YAwareness, states: [number, number, object | null][], origin: unknown): void {
  const change: YAwarenessChange = { added: [], updated: [], removed: [] };
  const differing: number[] = [];
  for (const [client, clock, state] of states) {
    const known = awareness.meta.get(client);
    const before = awareness.states.get(client) as unknown;
    const leaves = state === null && before !== undefined;
    if (known !== undefined && (clock < known.clock || (clock === known.clock && !leaves))) continue;
    const isOwn = client === awareness.clientID && awareness.getLocalState() !== null;
    awareness.meta.set(client, { clock: isOwn && state === null ? clock + 1 : clock, lastUpdated: Date.now() });
    if (isOwn && state === null) continue;
    if (state === null) {
      awareness.states.delete(client);
      if (before !== undefined) change.removed.push(client);
    } else {
      awareness.states.set(client, state);
      (before === undefined ? change.added : change.updated).push(client);
      if (before !== undefined && JSON.stringify(before) !== JSON.stringify(state)) differing.push(client);
    }
  }
  const { added, updated, removed } = change;
  if (added.length + differing.length + removed.length > 0) awareness.emit('change', [{ added, updated: differing, removed }, origin]);
  if (added.length + updated.length + removed.length > 0) awareness.emit('update', [change, origin]);
}

function writeNumber(out: number[], number: number): void {
  while (number > 127) {
    out.push((number % 128) + 128);
    number = Math.floor(number / 128);
  }
  out.push(number);
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  number(): number {
    let number = 0;
    for (let factor = 1; factor < 2 ** 53; factor *= 128) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      number += (byte & 127) * factor;
      if (byte < 128) return number;
    }
    throw new RangeError('cut off');
  }

  text(): string {
    const end = this.number() + this.#at;
    if (end > this.#bytes.length) throw new RangeError('cut off');
    const text = new TextDecoder().decode(this.#bytes.subarray(this.#at, end));
    this.#at = end;
    return text;
  }
}
