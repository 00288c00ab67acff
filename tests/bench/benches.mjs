// The benches of this folder by name.

import { dql } from './dql.mjs';
import { store } from './store.mjs';

export const benches = { store, dql };
