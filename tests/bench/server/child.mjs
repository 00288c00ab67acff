// The process of a server in Node: `child.mjs NAME FOLDER`, asked by messages of its parent and gone with it.

import { documents } from '../page/documents.mjs';

const [name, folder] = process.argv.slice(2);
const { start } = await import(`./${name}.mjs`);
const server = await start(folder);
const batch = 10_000;

const operations = {
  async load(first, count) {
    for (let done = 0; done < count; done += batch) await server.load(documents(first + done, Math.min(batch, count - done)));
  },
  change: (first, count, value) => server.change(documents(first, count).map(({ _id }) => _id), value),
};

process.on('disconnect', () => process.exit());
process.on('message', async (message) => {
  try {
    await operations[message.do](...message.given);
    process.send({});
  } catch (error) {
    process.send({ error: error.stack ?? String(error) });
  }
});
process.send({ port: server.port });
