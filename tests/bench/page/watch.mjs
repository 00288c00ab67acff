// Sees the WebAssembly module of this realm come to life: how long its instance took, and its memory. The first import of a page or of
// a worker, since it has to be there before the module is.

let memory;
let took;

const instantiate = WebAssembly.instantiate.bind(WebAssembly);
WebAssembly.instantiate = async (...given) => {
  const asked = performance.now();
  const made = await instantiate(...given);
  took = performance.now() - asked;
  memory = (made.instance ?? made).exports.memory;
  return made;
};

/** Milliseconds that the making of the instance took. */
export const startMs = () => took;

/** Bytes of the module's memory, which never shrinks; 0 before there is an instance. */
export const moduleBytes = () => memory?.buffer.byteLength ?? 0;
