// The documents as RxDB is told of them, in pages and in its server.

const text = { type: 'string' };
export const schema = {
  version: 0,
  primaryKey: '_id',
  type: 'object',
  properties: {
    _id: { type: 'string', maxLength: 24 },
    name: text,
    email: text,
    state: text,
    paid: { type: 'boolean' },
    quantity: { type: 'integer' },
    amount: { type: 'number' },
    createdAt: text,
    address: { type: 'object', properties: { street: text, city: text, zip: text } },
    note: text,
  },
  required: ['_id'],
};
