// Outside of `test/`, where Node takes every file for a test.

import assert from 'node:assert/strict';

import { DittoError } from '../dist/index.js';

/** What `assert.rejects` and `assert.throws` ask: a DittoError of that code, with a message like that. */
export function failure(code, pattern = /./) {
  return (error) => {
    assert.ok(error instanceof DittoError, `${error} is a DittoError`);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, pattern);
    return true;
  };
}
