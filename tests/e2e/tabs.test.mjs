import { scenario } from './harness.mjs';
import { takesOver } from './take-over.mjs';

const ids = 'SELECT _id FROM movies ORDER BY _id';

scenario('two tabs of one directory are co-writers, and closing either loses nothing', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  const first = await stage.peer(context, site);
  const second = await stage.peer(context, site);
  await first.rows("INSERT INTO movies DOCUMENTS ({'_id': '1'})");
  await second.eventually(ids, {}, [{ _id: '1' }]);
  await second.rows("INSERT INTO movies DOCUMENTS ({'_id': '2'})");
  await first.eventually(ids, {}, [{ _id: '1' }, { _id: '2' }]);

  await first.rows("INSERT INTO movies DOCUMENTS ({'_id': '3'})");
  await first.page.close();
  await second.eventually(ids, {}, [{ _id: '1' }, { _id: '2' }, { _id: '3' }]);
  await second.rows("INSERT INTO movies DOCUMENTS ({'_id': '4'})");
  await second.page.close();
  const third = await stage.peer(context, site);
  await third.eventually(ids, {}, [{ _id: '1' }, { _id: '2' }, { _id: '3' }, { _id: '4' }]);
});

scenario('of two tabs with a Big Peer the other takes over the link when its holder closes', (stage) => takesOver(stage));

scenario('two tabs of different directories are two peers over WebRTC with no server', async (stage) => {
  const site = await stage.site();
  const context = await stage.context();
  const first = await stage.peer(context, site, { directory: 'first' });
  const second = await stage.peer(context, site, { directory: 'second' });
  await first.linked();
  await second.linked();
  await first.rows("INSERT INTO movies DOCUMENTS ({'_id': '1', 'Title': 'One'})");
  await second.eventually('SELECT * FROM movies', {}, [{ _id: '1', Title: 'One' }]);
  await second.rows("UPDATE movies SET Title = 'Two' WHERE _id = '1'");
  await first.eventually('SELECT * FROM movies', {}, [{ _id: '1', Title: 'Two' }]);
});
