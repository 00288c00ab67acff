/** JSON with 64-bit integers as digits and binary as base64, in which it has no form of its own. */

/** @internal */
export function toJSON(value: unknown): string {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return JSON.stringify(toBase64(value));
  if (Array.isArray(value)) return `[${value.map(toJSON).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined);
    return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${toJSON(field)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

/** Beyond 15 digits a number may not hold every integer. */
const LONG_INTEGER = /\d{16}/;
/** Strings, copied as they are, and numbers. */
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * Reads JSON; integers that a number cannot hold become `bigint`.
 *
 * @internal
 */
export function fromJSON(text: string): unknown {
  if (!LONG_INTEGER.test(text)) return JSON.parse(text);
  // A mark that the text does not hold makes strings of the long integers, and only of them.
  let mark = 'bigint:';
  while (text.includes(mark)) mark = `_${mark}`;
  const isLong = (token: string) => /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token));
  const marked = text.replace(TOKENS, (token) => (isLong(token) ? `"${mark}${token}"` : token));
  return JSON.parse(marked, (_name, value: unknown) =>
    typeof value === 'string' && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  );
}

function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
