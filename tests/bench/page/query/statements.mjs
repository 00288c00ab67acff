// The statements of `bench dql`, the same text for every contestant that has a language; and what each of them must answer, computed from
// the documents by hand.

/** SELECTs by name; their parameters come from `given`. */
export const statements = {
  point: 'SELECT * FROM documents WHERE _id = :id',
  equal: 'SELECT * FROM documents WHERE quantity = :quantity',
  filterSort: 'SELECT * FROM documents WHERE paid = true AND amount > :amount ORDER BY createdAt DESC LIMIT 20',
  count: 'SELECT COUNT(*) AS n FROM documents',
  group: 'SELECT state, COUNT(*) AS n, SUM(quantity) AS total FROM documents GROUP BY state',
};

export const limit = 20;
const amount = 5000;
const quantities = 100;

/** A statement as applications have them, under an alias that may differ each time. */
export const typical = (alias) =>
  `SELECT ${alias}.name, ${alias}.amount, ${alias}.createdAt FROM documents AS ${alias} ` +
  `WHERE ${alias}.paid = true AND ${alias}.amount > 5000 AND ${alias}.state IN ('open', 'packed') ORDER BY ${alias}.createdAt DESC LIMIT 20`;

/**
 * Parameters that differ from turn to turn, so that nobody answers from a cache of results. The amounts all lie between two cents and
 * select the same documents.
 */
export const given = {
  point: (turn, ids) => ({ id: ids[(turn * 7919) % ids.length] }),
  equal: (turn) => ({ quantity: turn % quantities }),
  filterSort: (turn) => ({ amount: amount + (turn % 100_000) * 1e-8 }),
  count: () => ({}),
  group: () => ({}),
};

/** What a statement answered, in a form that can be compared: how many rows, and a checksum of their ids or values. */
export function answer(name, rows) {
  const text = { count: ({ n }) => `${n}`, group: ({ state, n, total }) => `${state} ${n} ${total}` }[name] ?? (({ _id }) => _id);
  const list = rows.map(text);
  // Only ORDER BY promises an order.
  if (name !== 'filterSort') list.sort();
  return { rows: list.length, checksum: checksum(list.join('\n')) };
}

/** The answers that are right for documents, by statement and then by the parameter that matters. */
export function answers(list) {
  const equal = Array.from({ length: quantities }, (_, quantity) => answer('equal', list.filter((each) => each.quantity === quantity)));
  const selected = list.filter((each) => each.paid && each.amount > amount).sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  return { equal, filterSort: answer('filterSort', selected.slice(0, limit)), count: answer('count', [{ n: list.length }]), group: answer('group', groups(list)) };
}

/** GROUP BY by hand. */
export function groups(list) {
  const found = new Map();
  for (const { state, quantity } of list) {
    const group = found.get(state) ?? { state, n: 0, total: 0 };
    group.n += 1;
    group.total += quantity;
    found.set(state, group);
  }
  return [...found.values()];
}

/** FNV-1a in 32 bits. */
function checksum(text) {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}
