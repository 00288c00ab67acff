// The codec on its own: what goes in comes out, in the same form as the engine's.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CBOR, DittoError } from '../dist/index.js';

const hex = (bytes) => Buffer.from(bytes).toString('hex');

test('values read back as written', () => {
  const values = [
    0, 23, 24, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER, -1, -24, -25, -256, -257, Number.MIN_SAFE_INTEGER,
    1.5, -0.25, 1e300, 2 ** 53, '', 'żółw', 'x'.repeat(300), true, false, null, [], [1, [2, [3]]], {}, { a: { b: [1] } },
    new Uint8Array([]), new Uint8Array(300), 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n), -(2n ** 53n),
  ];
  for (const value of values) assert.deepEqual(CBOR.decode(CBOR.encode(value)), value);
});

test('text of every length and kind is what TextEncoder makes of it', () => {
  for (const letter of ['x', 'ż', '€', '😀', '\ud800']) {
    for (const length of [0, 1, 7, 8, 11, 12, 23, 24, 31, 32, 33, 85, 86, 95, 96, 97, 127, 128, 255, 256, 21_845, 21_846, 65_535, 65_536]) {
      const text = letter.repeat(length);
      const bytes = new TextEncoder().encode(text);
      const encoded = CBOR.encode(text);
      const head = bytes.length < 24 ? 1 : bytes.length < 256 ? 2 : bytes.length < 65_536 ? 3 : 5;
      assert.equal(encoded.length, head + bytes.length, `${letter} ${length}`);
      assert.deepEqual(encoded.subarray(head), bytes, `${letter} ${length}`);
      assert.equal(CBOR.decode(encoded), new TextDecoder().decode(bytes));
    }
  }
});

test('a value may be encoded while another is, and after one that was refused', () => {
  const outer = { a: 'x'.repeat(50), get b() { return CBOR.encode({ inner: [1, 2, 3] }).length; }, c: 'end' };
  assert.deepEqual(CBOR.decode(CBOR.encode(outer)), { a: outer.a, b: 11, c: 'end' });
  assert.throws(() => CBOR.encode({ a: 'left over', b: NaN }), DittoError);
  assert.deepEqual(CBOR.decode(CBOR.encode([1])), [1]);
});

test('integers take the form of the RFC', () => {
  // RFC 8949, appendix A.
  const vectors = { 0: '00', 23: '17', 24: '1818', 100: '1864', 1000: '1903e8', 1000000: '1a000f4240', 1000000000000: '1b000000e8d4a51000' };
  for (const [number, bytes] of Object.entries(vectors)) assert.equal(hex(CBOR.encode(Number(number))), bytes);
  assert.equal(hex(CBOR.encode(-1000)), '3903e7');
  assert.equal(hex(CBOR.encode({ a: 1, b: [2, 3] })), 'a26161016162820203');
});

test('a small bigint is the same number', () => {
  assert.equal(hex(CBOR.encode(5n)), '05');
  assert.equal(CBOR.decode(CBOR.encode(5n)), 5);
});

test('missing fields are left out, and __proto__ is a field like others', () => {
  assert.deepEqual(CBOR.decode(CBOR.encode({ a: undefined, b: 1 })), { b: 1 });
  const decoded = CBOR.decode(CBOR.encode(JSON.parse('{"__proto__": {"polluted": true}}')));
  assert.equal(decoded.polluted, undefined);
  assert.deepEqual(Object.keys(decoded), ['__proto__']);
});

test('a replacer sees every key', () => {
  const bytes = CBOR.encodeWithReplacer({ a: 1, b: 'x' }, (key, value) => (key === 'a' ? 'one' : value));
  assert.deepEqual(CBOR.decode(bytes), { a: 'one', b: 'x' });
});

test('what has no form is refused', () => {
  for (const value of [NaN, Infinity, () => 1, Symbol('x'), new Date(0), new Map(), 2n ** 63n]) {
    assert.throws(() => CBOR.encode({ value }), (error) => error instanceof DittoError && error.code === 'query/arguments-invalid');
  }
  const ring = {};
  ring.ring = ring;
  assert.throws(() => CBOR.encode(ring), (error) => error.code === 'validation/depth-limit-exceeded');
});

test('every truncation is an error', () => {
  const bytes = CBOR.encode({ a: [1, 'text', 2n ** 60n], b: new Uint8Array(3), c: 1.5 });
  for (let length = 0; length < bytes.length; length += 1) {
    assert.throws(() => CBOR.decode(bytes.subarray(0, length)), DittoError, `${length} of ${bytes.length} bytes`);
  }
});
