// The benches of this folder by name.

import { dql } from './dql.mjs';
import { store } from './store.mjs';
import { sync } from './sync.mjs';

export const benches = { store, dql, sync };
