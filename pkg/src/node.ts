/** What Node has and browsers have not; loaded so that bundlers for the browser never see it. */

interface Host {
  process?: { versions?: { node?: string }; cwd?(): string; platform?: string };
}

/** Says whether this runs under Node, or something that has its modules. @internal */
export function isNode(): boolean {
  return typeof (globalThis as Host).process?.versions?.node === 'string';
}

/** Says whether a store can be kept in files: where there is IndexedDB it is kept there. @internal */
export function hasFiles(): boolean {
  return isNode() && typeof indexedDB === 'undefined';
}

/** Loads `node:<path>`. @internal */
export function nodeModule<T>(...path: string[]): Promise<T> {
  // Joined at run time: a literal, even one that a minifier folds back, makes bundlers for the browser look for it.
  const name = `node:${path.join('/')}`;
  return import(/* @vite-ignore */ /* webpackIgnore: true */ name) as Promise<T>;
}

/** Returns the absolute form of a path, from the directory that the process works in now. @internal */
export function absolutePath(path: string): string {
  const { process } = globalThis as Host;
  const windows = process?.platform === 'win32';
  const isAbsolute = windows ? /^([a-z]:)?[\\/]/i.test(path) : path.startsWith('/');
  if (isAbsolute) return path;
  const separator = windows ? '\\' : '/';
  return [process?.cwd?.() ?? '.', ...path.split(/[\\/]/).filter((part) => part !== '' && part !== '.')].join(separator);
}
