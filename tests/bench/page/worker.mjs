// The beginning of the package's worker script in the benchmark: it watches the module and tells the size of its memory when asked.

import { moduleBytes } from './watch.mjs';

const channel = new BroadcastChannel('module-bytes');
channel.onmessage = ({ data }) => {
  if (data === 'tell') channel.postMessage(moduleBytes());
};
