/**
 * The lock of a store's folder under Node: a file `lock` that says which process holds it.
 *
 * Node has no advisory locks. The file appears with its content in one step (a hard link), and counts for as long as its process
 * lives: the number of a process may be used again, so its start is written down too, where the system tells it (Linux). Processes
 * that do not see each other, in other containers or on other machines, are not kept apart.
 */

import { DittoError } from './error.js';
import type { Files } from './node-folder.js';

interface Host {
  process: { pid: number; kill(pid: number, signal: 0): void };
}

/**
 * Locks a folder and returns what unlocks it.
 *
 * `path` ends in a separator. Errors: `store/persistence-directory-locked` when a process that lives holds it, this one included.
 *
 * @internal
 */
export function takeLock(files: Files, path: string): () => void {
  const lock = `${path}lock`;
  const { pid } = (globalThis as unknown as Host).process;
  const own = `${pid}\n${startOf(files, pid)}\n${crypto.randomUUID()}\n`;
  const mine = `${path}lock-${crypto.randomUUID()}`;
  files.writeFileSync(mine, own);
  try {
    removeStale(files, lock, `${mine}-stale`);
    files.linkSync(mine, lock);
  } catch (cause) {
    if ((cause as { code?: string }).code === 'EEXIST') throw locked(path);
    throw cause;
  } finally {
    files.rmSync(mine, { force: true });
  }
  return () => {
    if (content(files, lock) === own) files.rmSync(lock, { force: true });
  };
}

/** Takes away the lock of a process that is dead; of several processes that try, one moves the file. */
function removeStale(files: Files, lock: string, aside: string): void {
  const found = content(files, lock);
  if (found === null || isHeld(files, found)) return;
  try {
    files.renameSync(lock, aside);
  } catch (cause) {
    if ((cause as { code?: string }).code === 'ENOENT') return;
    throw cause;
  }
  // Another process was faster, and this is its lock: it goes back.
  if (content(files, aside) !== found) files.linkSync(aside, lock);
  files.rmSync(aside, { force: true });
}

function isHeld(files: Files, found: string): boolean {
  const [pid, start] = found.split('\n');
  const number = Number(pid);
  if (!Number.isSafeInteger(number) || number <= 0) return false;
  try {
    (globalThis as unknown as Host).process.kill(number, 0);
  } catch (cause) {
    // EPERM: it lives, and belongs to somebody else.
    if ((cause as { code?: string }).code === 'ESRCH') return false;
  }
  const now = startOf(files, number);
  return start === '' || now === '' || start === now;
}

/** When a process was started, in the system's own words; empty where it does not tell. */
function startOf(files: Files, pid: number): string {
  const boot = content(files, '/proc/sys/kernel/random/boot_id');
  const stat = content(files, `/proc/${pid}/stat`);
  if (boot === null || stat === null) return '';
  // The name of the program is in parentheses and may hold anything; the start is the twentieth word behind it.
  const word = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return word === undefined ? '' : `${boot.trim()} ${word}`;
}

function content(files: Files, path: string): string | null {
  try {
    return new TextDecoder().decode(files.readFileSync(path));
  } catch (cause) {
    if ((cause as { code?: string }).code === 'ENOENT') return null;
    throw cause;
  }
}

function locked(path: string): DittoError {
  const message = `Another process, or another Ditto object of this one, uses ${path}: close it, or choose another persistenceDirectory.`;
  return new DittoError('store/persistence-directory-locked', message);
}
