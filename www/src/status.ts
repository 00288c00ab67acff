// The status bar: sync in plain words, waiting changes, peers, storage, and the switch.

import type { Ditto } from 'shoal';
import type { Database, SyncStatus } from './database.js';
import { byId, debounced, setText } from './dom.js';
import { bytes } from './format.js';
import { linkWords, pendingWords, syncWords } from './words.js';

const usageEveryMs = 4000;
const usageSettleMs = 300;

export class StatusBar {
  private readonly toggle = byId<HTMLInputElement>('online');

  private readonly ditto: Ditto;

  constructor(private readonly database: Database, private readonly failed: (error: unknown) => void) {
    const { ditto } = database;
    this.ditto = ditto;
    this.toggle.checked = true;
    this.toggle.disabled = false;
    this.toggle.addEventListener('change', () => this.switchSync());
    const usageSoon = debounced(usageSettleMs, () => void this.drawUsage());
    ditto.sync.observeStatus((status) => {
      this.draw(status);
      usageSoon();
    });
    database.refusalChanged = () => this.draw(ditto.sync.status);
    this.draw(ditto.sync.status);
    void this.drawUsage();
    setInterval(() => void this.drawUsage(), usageEveryMs);
  }

  private switchSync(): void {
    try {
      if (this.toggle.checked) this.ditto.sync.start();
      else this.ditto.sync.stop();
    } catch (error) {
      this.toggle.checked = this.ditto.sync.isActive;
      this.failed(error);
    }
  }

  private draw(status: SyncStatus): void {
    const words = syncWords(status, this.database);
    const state = byId('state');
    state.dataset.tone = words.tone;
    state.dataset.bigPeer = status.bigPeer;
    setText(byId('state-short'), words.short);
    setText(byId('state-long'), words.long);
    setText(byId('pending'), pendingWords(status, this.database.hasBigPeer));
    byId('pending').classList.toggle('some', status.pendingCommits > 0);
    setText(byId('links'), linkWords(status));
    this.toggle.checked = status.isOn;
  }

  private async drawUsage(): Promise<void> {
    const { mode, reason } = this.ditto.storage;
    const usage = await this.ditto.storage.usage();
    const kept = bytes(usage.logBytes + usage.segmentBytes);
    setText(byId('storage'), mode === 'indexeddb' ? `${kept} in IndexedDB` : 'In memory: lost on reload');
    byId('storage').title = reason ?? '';
    byId('storage').classList.toggle('bad', mode !== 'indexeddb');
  }
}
