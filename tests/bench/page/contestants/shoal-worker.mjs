// Shoal with its engine in a dedicated worker. The memory of the module is in that worker, which tells it over a channel (`worker.mjs`); its
// JavaScript heap is not counted.

import { openWith, start } from './shoal.mjs';

export { start };

export const open = (name) => openWith(name, { worker: true });

/** Bytes of the worker's module; 0 while there is no worker. */
export function moduleBytes() {
  return new Promise((resolve) => {
    const channel = new BroadcastChannel('module-bytes');
    const end = (bytes) => {
      channel.close();
      resolve(bytes);
    };
    channel.onmessage = ({ data }) => end(data);
    channel.postMessage('tell');
    // A worker that exists answers at once; before the first opening there is none.
    setTimeout(() => end(0), 1000);
  });
}
