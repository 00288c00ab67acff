// Starts the page: configuration, replica, panels, service worker.

import { Browse } from './browse.js';
import { readConfig } from './config.js';
import { Console } from './console.js';
import { type Database, failureOf, openDatabase } from './database.js';
import { Detail } from './detail.js';
import { byId, h, icon } from './dom.js';
import { offerInstall, registerWorker } from './install.js';
import { Peers } from './peers.js';
import { addSamples } from './samples.js';
import { StatusBar } from './status.js';

type Panel = 'browse' | 'console' | 'detail' | 'peers';

let toastTimer: ReturnType<typeof setTimeout> | undefined;

function showPanel(panel: Panel): void {
  document.body.dataset.panel = panel;
  for (const button of document.querySelectorAll<HTMLElement>('[data-shows]')) {
    const current = button.dataset.shows === panel || (panel === 'detail' && button.dataset.shows === 'browse' && button.closest('#bottom') !== null);
    const currentWide = button.dataset.shows === 'detail' && panel === 'browse';
    if (current || currentWide) button.setAttribute('aria-current', 'page');
    else button.removeAttribute('aria-current');
  }
}

/** A sentence that goes away by itself; with an action it stays longer. */
function say(text: string, action?: { label: string; run: () => void }): void {
  const toast = byId('toast');
  const hide = (): void => toast.replaceChildren();
  toast.replaceChildren(
    h('div', { class: 'toast' }, h('span', {}, text),
      action && h('button', { type: 'button', onclick: () => { hide(); action.run(); } }, action.label)),
  );
  clearTimeout(toastTimer);
  toastTimer = setTimeout(hide, action ? 12000 : 3500);
}

function drawPanels(database: Database): void {
  const { ditto, hasBigPeer } = database;
  const failed = (error: unknown): void => {
    const { code, message } = failureOf(error);
    console.error(code, message);
    say(`${message.split('\n')[0]} (${code})`);
  };
  let browse: Browse | undefined;
  const detail = new Detail({
    ditto,
    failed,
    said: say,
    opened: (id) => browse?.select(id),
    close: () => {
      showPanel('browse');
      byId('list').focus({ preventScroll: true });
    },
  });
  browse = new Browse({
    ditto,
    failed,
    open: (collection, id) => {
      detail.open(collection, id);
      showPanel('detail');
    },
    create: (collection) => {
      showPanel('detail');
      detail.create(collection);
    },
    collectionChanged: (collection) => {
      document.title = `${collection.label} · Shoal`;
      detail.clear();
      if (document.body.dataset.panel === 'detail' || matchMedia('(max-width: 899px)').matches) showPanel('browse');
    },
  });
  new StatusBar(database, failed);
  new Peers(ditto, hasBigPeer);
  new Console(ditto);
  byId('samples').addEventListener('click', () => void addSamples(ditto).then((added) => say(`Added ${added} documents`), failed));
}

function showFatal(error: unknown): void {
  const { code, message } = failureOf(error);
  console.error(error);
  document.body.dataset.fatal = code;
  byId('fatal').hidden = false;
  byId('fatal-code').textContent = code;
  byId('fatal-message').textContent = message;
  byId('fatal-retry').addEventListener('click', () => location.reload());
  byId('fatal-retry').focus();
}

async function start(): Promise<void> {
  for (const element of document.querySelectorAll<HTMLElement>('[data-icon]')) element.prepend(icon(element.dataset.icon!));
  for (const button of document.querySelectorAll<HTMLElement>('[data-shows]')) {
    button.addEventListener('click', () => showPanel(button.dataset.shows as Panel));
  }
  showPanel('browse');
  offerInstall();
  registerWorker(say);
  try {
    const config = await readConfig(new URL(location.href));
    byId('database').textContent = config.directory ? `${config.database} · ${config.directory}` : config.database;
    const database = await openDatabase(config);
    drawPanels(database);
    document.body.dataset.ready = '';
    document.querySelector('main')!.inert = false;
    addEventListener('pagehide', (event) => {
      if (!event.persisted) void database.ditto.close();
    });
  } catch (error) {
    showFatal(error);
  }
}

void start();
