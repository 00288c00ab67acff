// A contestant that can only live in a worker: `bench` of the page passes every operation on. Clocks run in the worker, so that the
// messages are no part of a figure.

/** Puts `bench` in place in front of a worker. */
export function remote(script) {
  const worker = new Worker(script, { type: 'module' });
  const calls = new Map();
  let last = 0;
  worker.onmessage = ({ data: { call, value, error } }) => {
    const { resolve, reject } = calls.get(call);
    calls.delete(call);
    if (error === undefined) resolve(value);
    else reject(new Error(error));
  };
  const send = (operation, given) =>
    new Promise((resolve, reject) => {
      calls.set((last += 1), { resolve, reject });
      worker.postMessage({ call: last, operation, given });
    });
  window.bench = new Proxy({}, { get: (_, operation) => (...given) => send(operation, given) });
}

/** Answers the page. */
export function answerPage() {
  globalThis.onmessage = async ({ data: { call, operation, given } }) => {
    try {
      postMessage({ call, value: await globalThis.bench[operation](...given) });
    } catch (error) {
      postMessage({ call, error: String(error?.message ?? error) });
    }
  };
}
