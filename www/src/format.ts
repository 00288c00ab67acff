// Values as a person reads them.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

/** What stands for "no value". */
export const none = '–';

export const count = (n: number): string => whole.format(n);

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

export function bytes(n: number): string {
  if (n < 1000) return `${n} B`;
  if (n < 1_000_000) return `${Math.round(n / 1000)} kB`;
  if (n < 1_000_000_000) return `${(n / 1_000_000).toFixed(1)} MB`;
  return `${(n / 1_000_000_000).toFixed(1)} GB`;
}

export const plain = (value: unknown): string => (value === null || value === undefined || value === '' ? none : String(value));
export const dollars = (value: unknown): string => (typeof value === 'number' ? `$${compact.format(value)}` : none);
export const decimal = (value: unknown): string => (typeof value === 'number' ? value.toFixed(1) : none);
export const integer = (value: unknown): string => (typeof value === 'number' ? whole.format(value) : none);

/** The year in `Jun 12 1998` or `1970-01-01`. */
export function year(value: unknown): string {
  const found = /\b(\d{4})\b/.exec(String(value ?? ''));
  return found?.[1] ?? none;
}

/** The first twelve characters of a peer key: enough to tell peers apart on one screen. */
export const shortKey = (key: string): string => (key.length > 12 ? `${key.slice(0, 12)}…` : key);

/** A value on one line of JSON; BigInt as digits and bytes as their number. */
export function json(value: unknown, space?: number): string {
  const text = JSON.stringify(
    value,
    (_, inner: unknown) => {
      if (typeof inner === 'bigint') return inner.toString();
      if (inner instanceof Uint8Array) return `<${inner.length} bytes>`;
      return inner;
    },
    space,
  );
  return text ?? 'missing';
}
