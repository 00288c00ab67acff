/**
 * One store's folder under Node, as the engine's device of files needs it (`src/web/src/folder.rs` is the other side).
 *
 * Every call is synchronous, and done when it returns. One process at a time: the folder is locked while it is open. What the
 * operating system refuses is thrown as it is; the engine reads the error's `code`.
 */

import { DittoError } from './error.js';
import { takeLock } from './node-lock.js';
import { nodeModule } from './node.js';

/** What is used of `node:fs`. @internal */
export interface Files {
  closeSync(file: number): void;
  fsyncSync(file: number): void;
  linkSync(from: string, to: string): void;
  mkdirSync(path: string, options: { recursive: true }): void;
  openSync(path: string, flags: 'a' | 'r' | 'w'): number;
  readdirSync(path: string): string[];
  readFileSync(path: string): Uint8Array;
  renameSync(from: string, to: string): void;
  rmSync(path: string, options: { force: true }): void;
  truncateSync(path: string, bytes: number): void;
  writeFileSync(path: string, text: string): void;
  writeSync(file: number, bytes: Uint8Array, offset: number): number;
}

/** What the engine calls. */
export interface Folder {
  list(): string[];
  read(name: string): Uint8Array | null;
  write(name: string, bytes: Uint8Array): void;
  append(name: string, bytes: Uint8Array, strict: boolean): void;
  cut(name: string, bytes: number): void;
  remove(name: string): void;
  sync(): void;
  close(): void;
}

/**
 * Opens a store in a folder, which is made if it is not there, and unlocks the folder again when that fails.
 *
 * @internal
 */
export async function inFolder<T>(path: string, open: (folder: Folder) => Promise<T>): Promise<T> {
  const [files, system] = await Promise.all([nodeModule<Files>('fs'), nodeModule<{ sep: string }>('path')]);
  let folder: NodeFolder;
  try {
    files.mkdirSync(path, { recursive: true });
    folder = new NodeFolder(files, `${path}${system.sep}`);
  } catch (cause) {
    throw toFolderError(path, cause);
  }
  try {
    return await open(folder);
  } catch (cause) {
    folder.close();
    throw cause;
  }
}

function toFolderError(path: string, cause: unknown): unknown {
  if (cause instanceof DittoError) return cause;
  const { code, message } = cause as { code?: string; message?: string };
  const denied = code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
  const kind = denied ? 'io/permission-denied' : 'io/operation-failed';
  return new DittoError(kind, `persistenceDirectory ${path} cannot be used: ${message ?? String(cause)}.`, { cause });
}

class NodeFolder implements Folder {
  readonly #files: Files;
  /** With the separator at its end. */
  readonly #path: string;
  readonly #unlock: () => void;
  #isOpen = true;
  /** The log file that was appended to last: opening it for every commit costs more than the commit. */
  #log: { name: string; file: number } | null = null;

  constructor(files: Files, path: string) {
    this.#files = files;
    this.#path = path;
    this.#unlock = takeLock(files, path);
  }

  list(): string[] {
    return this.#open().readdirSync(this.#path);
  }

  read(name: string): Uint8Array | null {
    const files = this.#open();
    try {
      return files.readFileSync(this.#path + name);
    } catch (cause) {
      if ((cause as { code?: string }).code === 'ENOENT') return null;
      throw cause;
    }
  }

  write(name: string, bytes: Uint8Array): void {
    const files = this.#open();
    const part = `${this.#path}${name}.part`;
    const file = files.openSync(part, 'w');
    try {
      this.#writeAll(file, bytes);
      files.fsyncSync(file);
    } finally {
      files.closeSync(file);
    }
    files.renameSync(part, this.#path + name);
  }

  append(name: string, bytes: Uint8Array, strict: boolean): void {
    const files = this.#open();
    if (this.#log?.name !== name) {
      this.#letGo();
      this.#log = { name, file: files.openSync(this.#path + name, 'a') };
    }
    this.#writeAll(this.#log.file, bytes);
    if (strict) files.fsyncSync(this.#log.file);
  }

  /** The system may write less than it is given. */
  #writeAll(file: number, bytes: Uint8Array): void {
    for (let written = 0; written < bytes.length; ) written += this.#files.writeSync(file, bytes, written);
  }

  cut(name: string, bytes: number): void {
    this.#open().truncateSync(this.#path + name, bytes);
  }

  remove(name: string): void {
    if (this.#log?.name === name) this.#letGo();
    this.#open().rmSync(this.#path + name, { force: true });
  }

  sync(): void {
    const files = this.#open();
    let folder: number;
    try {
      folder = files.openSync(this.#path, 'r');
    } catch {
      // Windows opens no folders; there a rename is in the file system's journal.
      return;
    }
    try {
      files.fsyncSync(folder);
    } finally {
      files.closeSync(folder);
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#letGo();
    this.#isOpen = false;
    this.#unlock();
  }

  #letGo(): void {
    if (this.#log !== null) this.#files.closeSync(this.#log.file);
    this.#log = null;
  }

  #open(): Files {
    if (!this.#isOpen) throw Object.assign(new Error('the folder was closed'), { code: 'CLOSED' });
    return this.#files;
  }
}
