// The cases of tests/vectors/dql for runners in JavaScript. The README beside them describes the format; the reader for the tests
// in Rust is src/dql/src/tests/shared/case.rs.
//
// JSON.parse cannot tell 1 from 1.0, so JSON and CBOR are read here into texts: equal texts are equal values of equal types.

import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { repository } from './harness.mjs';

const folder = path.join(repository, 'tests/vectors/dql');

/** The time of every statement. */
export const now = '2024-02-29T12:30:15.250Z';
export const timeZone = 'Europe/Berlin';

/** All cases of all files that `runner` does not leave out, in the form that `runCases` takes, with what is expected. */
export async function cases(runner) {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.dqltest')).sort();
  const all = [];
  for (const file of files) all.push(...readCases(file, await readFile(path.join(folder, file), 'utf8')));
  const collections = [...new Set(all.flatMap((one) => [...one.collections, ...targets(one.statement)]))];
  const chosen = all.filter((one) => !one.not.includes(runner));
  for (const one of chosen) prepare(one, collections);
  return { chosen, leftOut: all.length - chosen.length };
}

const targets = (statement) => [...statement.matchAll(/\bINSERT INTO\s+([a-z]+)/g)].map(([, name]) => name);

function readCases(file, text) {
  const shared = [];
  const found = [];
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const [, word, rest] = /^(\S+) ?(.*)$/s.exec(line);
    if (word === 'case') found.push(newCase(`${file}: ${rest}`));
    else if (word === 'expr') found.push(expression(file, rest));
    else if (word === 'doc' && found.length === 0) shared.push(rest);
    else readLine(found.at(-1), word, rest);
  }
  for (const one of found) {
    if (one.documents.length === 0 && one.needsData) one.documents = shared;
    one.collections = ['c', ...one.others.map(([collection]) => collection)];
  }
  return found;
}

function newCase(name) {
  return { name, statement: '', args: '{}', documents: [], others: [], indexes: [], not: [], rows: null, after: null, error: null, needsData: true };
}

function expression(file, line) {
  const at = line.lastIndexOf(' => ');
  const expected = line.slice(at + 4);
  const rows = [expected === 'missing' ? '{}' : `{"v": ${expected}}`];
  return { ...newCase(`${file}: ${line}`), statement: `SELECT ${line.slice(0, at)} AS v`, rows, needsData: false };
}

function readLine(one, word, rest) {
  const split = () => [rest.slice(0, rest.indexOf(' ')), rest.slice(rest.indexOf(' ') + 1)];
  if (word === 'run') one.statement = rest;
  else if (word === 'and') one.statement += `\n${rest}`;
  else if (word === 'args') one.args = rest;
  else if (word === 'doc') one.documents = [...one.documents, rest];
  else if (word === 'in') one.others.push(split());
  else if (word === 'index') one.indexes.push(rest);
  else if (word === 'not') one.not.push(rest);
  else if (word === 'row') one.rows = [...(one.rows ?? []), rest];
  else if (word === 'rows') one.rows = [];
  else if (word === 'after') one.after = rest === 'none' ? [] : [...(one.after ?? []), rest];
  else if (word === 'error') one.error = rest;
  else throw new Error(`${one.name}: ${word} ${rest}`);
}

/** Adds the statements before and after a case; documents stand in their text, so that 1.0 stays a float. */
function prepare(one, collections) {
  const inserts = {};
  for (const [collection, json] of [...one.documents.map((json) => ['c', json]), ...one.others]) (inserts[collection] ??= []).push(`(${json})`);
  one.before = Object.entries(inserts).map(([collection, all]) => `INSERT INTO ${collection} DOCUMENTS ${all.join(', ')}`);
  one.before.push(...one.indexes.map((index) => `CREATE INDEX ${index}`));
  one.state = JSON.stringify(one.before);
  one.undo = collections.map((collection) => `EVICT FROM ${collection}`);
  one.undo.push(...one.indexes.map((index) => `DROP INDEX ${/^(\S+ ON \S+)/.exec(index)[1]}`));
  one.reads = !/^\s*(INSERT|UPDATE|DELETE|EVICT|CREATE|DROP|ALTER|PROFILE|ADVISE)/i.test(one.statement);
}

/**
 * Runs cases one after the other. `execute(statement, args)` gives the rows in any form; `ready` is asked after indexes were made, until
 * it says yes. Documents and indexes stay for the next case if that wants the same. Needs nothing around it: it runs in pages too.
 */
export async function runCases(cases, execute, ready) {
  const answers = [];
  let state = '[]';
  let undo = [];
  for (const one of cases) {
    if (one.needsData && state !== one.state) {
      for (const statement of undo) await execute(statement, '{}');
      for (const statement of one.before) await execute(statement, '{}');
      if (one.indexes.length > 0) while (!(await ready())) await new Promise((resolve) => setTimeout(resolve, 1));
      ({ state, undo } = one);
    }
    try {
      const rows = await execute(one.statement, one.args);
      const after = one.after === null ? null : await execute('SELECT * FROM c', '{}');
      answers.push({ rows, after });
    } catch (error) {
      answers.push({ code: error.code ?? 'none', message: error.message });
    }
    if (!one.reads) state = 'changed';
  }
  return answers;
}

/** What is wrong with an answer whose rows are canonical texts; null if nothing is. */
export function difference(one, answer) {
  const mistake = (what, expected, found) => `${one.name}\n  ${one.statement}\n  expected ${what} ${expected}\n  found    ${found}`;
  if (one.error !== null || answer.code) {
    if (one.error === answer.code) return null;
    return mistake('', one.error ?? `${one.rows}`, answer.code ? `${answer.code}: ${answer.message}` : answer.rows.join('\n'));
  }
  const ordered = one.statement.includes('ORDER BY');
  for (const [what, sorted] of [['rows', !ordered], ['after', true]]) {
    if (one[what] === null) continue;
    let [expected, found] = [one[what].map(readJson), answer[what]];
    if (sorted) [expected, found] = [expected.toSorted(), found.toSorted()];
    if (expected.join('\n') !== found.join('\n')) return mistake(what, expected.join('\n'), found.join('\n'));
  }
  return null;
}

const float = (number) => (Object.is(number, -0) ? '-0f' : `${number}f`);
const object = (fields) => `{${fields.map(([name, value]) => `${JSON.stringify(name)}:${value}`).sort().join(',')}}`;

const stringOrNumber = /"(?:[^"\\]|\\.)*"|-?\d[-+.\deE]*/g;

/** Parses JSON; numbers become objects with their digits, for `canonical`. */
export function parseExact(text) {
  return JSON.parse(text.replace(stringOrNumber, (found) => (found.startsWith('"') ? found : `{"#":"${found}"}`)));
}

/** Returns the text of what `parseExact` gave; equal texts are equal values. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const digits = value['#'];
  if (digits === undefined) return object(Object.entries(value).map(([name, inner]) => [name, canonical(inner)]));
  return /^-?\d+$/.test(digits) && BigInt.asIntN(64, BigInt(digits)) === BigInt(digits) ? String(BigInt(digits)) : float(Number(digits));
}

const readJson = (text) => canonical(parseExact(text));

/** Returns the canonical text of a value in CBOR, given as bytes in hexadecimal. */
export function readCbor(hex) {
  const bytes = Buffer.from(hex, 'hex');
  let at = 0;
  const argument = (info) => {
    if (info < 24) return BigInt(info);
    const length = 1 << (info - 24);
    const number = BigInt(`0x${bytes.toString('hex', at, at + length)}`);
    at += length;
    return number;
  };
  const value = () => {
    const [major, info] = [bytes[at] >> 5, bytes[at] & 31];
    at += 1;
    if (major === 7 && info === 27) return float(bytes.readDoubleBE((at += 8) - 8));
    if (major === 7 && info === 26) return float(bytes.readFloatBE((at += 4) - 4));
    if (major === 7) return { 20: 'false', 21: 'true', 22: 'null' }[info];
    const number = argument(info);
    const many = (read) => Array.from({ length: Number(number) }, read);
    if (major === 0) return String(number);
    if (major === 1) return String(-1n - number);
    if (major === 3) return JSON.stringify(bytes.toString('utf8', at, (at += Number(number))));
    if (major === 4) return `[${many(value).join(',')}]`;
    if (major === 5) return object(many(() => [JSON.parse(value()), value()]));
    throw new Error(`no value of DQL: ${hex}`);
  };
  return value();
}
