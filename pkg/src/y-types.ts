/**
 * What a binding needs of Yjs: the shapes of `yjs` 13 and of the awareness of `y-protocols` 1, so that the package depends on neither.
 */

/** The module `yjs`: `import * as Y from 'yjs'`. */
export interface YModule {
  Doc: new () => YDocument;
  applyUpdate(doc: any, update: Uint8Array, origin?: unknown): void;
  encodeStateAsUpdate(doc: any, stateVector?: Uint8Array): Uint8Array;
  encodeStateVector(doc: any): Uint8Array;
  mergeUpdates(updates: Uint8Array[]): Uint8Array;
}

/** A `Y.Doc`. */
export interface YDocument {
  on(name: 'update', listener: (update: Uint8Array, origin: any) => void): unknown;
  off(name: 'update', listener: (update: Uint8Array, origin: any) => void): unknown;
}

/** Clients whose states have come, changed or gone. */
export interface YAwarenessChange {
  added: number[];
  updated: number[];
  removed: number[];
}

/** An `Awareness` of `y-protocols/awareness`. */
export interface YAwareness {
  clientID: number;
  states: Map<number, any>;
  meta: Map<number, { clock: number; lastUpdated: number }>;
  getLocalState(): any;
  setLocalState(state: any): void;
  on(name: 'update', listener: (change: YAwarenessChange, origin: any) => void): unknown;
  off(name: 'update', listener: (change: YAwarenessChange, origin: any) => void): unknown;
  emit(name: any, args: any): unknown;
}

/** The root of the Y.Doc: `getText('default')`, `getArray('default')` or `getXmlFragment('default')`. */
export type YKind = 'text' | 'list' | 'xml';
