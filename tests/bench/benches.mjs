// The benches of this folder by name.

import { store } from './store.mjs';

export const benches = { store };
