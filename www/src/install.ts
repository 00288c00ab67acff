// The installable side: registers the service worker, offers its updates, and shows the install button when the browser allows it.

import { byId } from './dom.js';

type Say = (text: string, action?: { label: string; run: () => void }) => void;

interface InstallEvent extends Event {
  prompt: () => Promise<void>;
}

/** A waiting update takes over when the person says so, never in the middle of an edit. */
export function registerWorker(say: Say): void {
  const container = navigator.serviceWorker;
  if (!container) return;
  // The first worker takes charge of a page that is already right; only a change of worker is a change of version.
  let controlled = container.controller !== null;
  container.addEventListener('controllerchange', () => {
    if (controlled) location.reload();
    controlled = true;
  });
  container.register('sw.js').then(
    (registration) => {
      const offer = (worker: ServiceWorker | null): void => {
        if (worker?.state === 'installed' && container.controller) {
          say('A new version is ready.', { label: 'Use it', run: () => worker.postMessage('take-over') });
        }
      };
      offer(registration.waiting);
      registration.addEventListener('updatefound', () => {
        const worker = registration.installing;
        worker?.addEventListener('statechange', () => offer(worker));
      });
    },
    (error: unknown) => console.warn('no service worker, so no start without network:', error),
  );
}

export function offerInstall(): void {
  const button = byId('install');
  addEventListener('beforeinstallprompt', (event) => {
    event.preventDefault();
    button.hidden = false;
    button.addEventListener('click', () => {
      button.hidden = true;
      void (event as InstallEvent).prompt();
    }, { once: true });
  });
}
