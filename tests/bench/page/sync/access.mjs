// What a page and a server have to agree on.

export const database = 'bench';
export const token = 'bench-development-token';
/** The database of PouchDB, the room of Yjs. */
export const room = 'documents';
