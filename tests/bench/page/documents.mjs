// The documents of every benchmark: ten fields, about 300 bytes of JSON, the same for the same index on every machine.
//
// Nothing here is constant text, so that a store which compresses is not flattered: ids are 12 random bytes in hexadecimal,
// names, streets, cities and notes are words of random syllables out of a vocabulary of 4,096 with the skew of a language, and
// numbers and times are uniform. What repeats is what repeats in real data: field names, five states, two booleans, four mail hosts.

const vocabularySize = 4096;
const onsets = ['b', 'br', 'c', 'ch', 'd', 'dr', 'f', 'fl', 'g', 'gr', 'h', 'j', 'k', 'l', 'm', 'n', 'p', 'pl', 'r', 's', 'st', 't', 'tr', 'v', 'w', 'z'];
const nuclei = ['a', 'e', 'i', 'o', 'u', 'ai', 'ea', 'ie', 'oo', 'ou'];
const codas = ['', '', '', 'l', 'm', 'n', 'nd', 'r', 's', 'st', 't'];
const states = ['open', 'packed', 'shipped', 'delivered', 'returned'];
const hosts = ['example.com', 'mail.example.org', 'post.example.net', 'inbox.example'];
const firstTime = Date.UTC(2024, 0, 1);
const spanMs = 2 * 365 * 24 * 3600 * 1000;

/** The scan keeps the documents whose `quantity` is this: about one in a hundred. */
export const keptQuantity = 7;

/** A small generator of uniform 32-bit numbers (sfc32), so that a document depends on its index alone. */
function generator(seed) {
  let a = seed | 0;
  let b = 0x9e3779b9;
  let c = 0x243f6a88;
  let counter = 1;
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return sum >>> 0;
  };
  for (let turn = 0; turn < 12; turn += 1) next();
  return { below: (limit) => Math.floor((next() / 2 ** 32) * limit), bits: next };
}

const vocabulary = (() => {
  const random = generator(1);
  const pick = (list) => list[random.below(list.length)];
  const words = new Set();
  while (words.size < vocabularySize) {
    let word = '';
    for (let left = 1 + random.below(3); left > 0; left -= 1) word += pick(onsets) + pick(nuclei) + pick(codas);
    words.add(word);
  }
  // Frequent words are short: the draw below prefers the beginning.
  return [...words].sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
})();

const capital = (word) => word[0].toUpperCase() + word.slice(1);
const hexadecimal = (number) => number.toString(16).padStart(8, '0');

/** The document with this index. */
export function document(index) {
  const random = generator(index + 2);
  const word = () => vocabulary[Math.floor((random.below(2 ** 26) / 2 ** 26) ** 2 * vocabularySize)];
  const first = word();
  const last = word();
  return {
    _id: hexadecimal(random.bits()) + hexadecimal(random.bits()) + hexadecimal(random.bits()),
    name: `${capital(first)} ${capital(last)}`,
    email: `${first}.${last}${random.below(100)}@${hosts[random.below(hosts.length)]}`,
    state: states[random.below(states.length)],
    paid: random.below(2) === 0,
    quantity: random.below(100),
    amount: random.below(1_000_000) / 100,
    createdAt: new Date(firstTime + random.below(spanMs)).toISOString(),
    address: { street: `${1 + random.below(200)} ${capital(word())} ${capital(word())}`, city: capital(word()), zip: String(10_000 + random.below(90_000)) },
    note: Array.from({ length: 3 + random.below(6) }, word).join(' '),
  };
}

/** `count` documents from index `first` on. */
export const documents = (first, count) => Array.from({ length: count }, (_, offset) => document(first + offset));

/** Bytes of the documents as JSON without spaces. */
export function jsonBytes(list) {
  const encoder = new TextEncoder();
  return list.reduce((sum, each) => sum + encoder.encode(JSON.stringify(each)).length, 0);
}
