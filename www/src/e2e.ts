// The bare page of the end-to-end tests: the module as `window.shoal`, and nothing else.

import * as shoal from 'shoal';

Object.assign(window, { shoal, wasmAddress: new URL('../shoal.wasm', document.baseURI).href });
