// The state of sync in plain words: one sentence that tells a person what is true and what happens next.

import { ERROR_CODES } from 'shoal';
import type { Database, SyncStatus } from './database.js';
import { count, plural } from './format.js';

export interface Words {
  tone: 'bad' | 'busy' | 'calm' | 'good';
  short: string;
  long: string;
}

export function syncWords(status: SyncStatus, { hasBigPeer, refusal }: Database): Words {
  const peers = status.links.filter((link) => !link.isBigPeer).length;
  const direct = peers > 0 ? ` Still in step with ${plural(peers, 'peer')} directly.` : '';
  if (!status.isOn) {
    return { tone: 'calm', short: 'Offline', long: 'Offline because you asked. Changes are kept here and sent when you go online.' };
  }
  if (!hasBigPeer) {
    return peers > 0
      ? { tone: 'good', short: `With ${plural(peers, 'peer')}`, long: `In step with ${plural(peers, 'peer')}, no server involved.` }
      : { tone: 'busy', short: 'Looking for peers', long: 'No server: looking for other tabs and browsers. Changes are kept here.' };
  }
  switch (status.bigPeer) {
    case 'off':
      return { tone: 'calm', short: 'Not connected', long: `Another tab holds the connection, or none is open yet.${direct}` };
    case 'connecting':
      return { tone: 'busy', short: 'Connecting', long: `Connecting to the Big Peer…${direct}` };
    case 'authentication-required':
      return refusal
        ? { tone: 'bad', short: 'Not accepted', long: `The Big Peer did not accept the token. Changes are kept here.${direct}` }
        : { tone: 'busy', short: 'Logging in', long: `Logging in to the Big Peer…${direct}` };
    case 'backing-off':
      return { tone: 'bad', short: 'No Big Peer', long: `${ERROR_CODES[status.reason ?? 'sync/unreachable']} Trying again; changes are kept here.${direct}` };
    case 'live':
      if (status.catchingUp > 0) {
        return { tone: 'busy', short: 'Receiving', long: `Receiving documents: ${count(status.documentsReceived)} so far.` };
      }
      if (status.pendingCommits > 0) {
        return { tone: 'busy', short: 'Sending', long: `Sending ${plural(status.pendingCommits, 'change')} to the Big Peer.` };
      }
      return { tone: 'good', short: 'In sync', long: 'In sync with the Big Peer.' };
  }
}

/** Changes wait for the Big Peer; without one there is nobody to wait for. */
export function pendingWords(status: SyncStatus, hasBigPeer: boolean): string {
  if (!hasBigPeer) return '';
  return status.pendingCommits === 0 ? 'Nothing waiting' : `${plural(status.pendingCommits, 'change')} waiting`;
}

/** For example `Big Peer by WebSocket, 2 peers by WebRTC`. */
export function linkWords(status: SyncStatus): string {
  const parts: string[] = [];
  if (status.links.some((link) => link.isBigPeer)) parts.push('Big Peer by WebSocket');
  const peers = status.links.filter((link) => !link.isBigPeer);
  const transports = [...new Set(peers.map((link) => link.transport))];
  if (peers.length > 0) parts.push(`${plural(peers.length, 'peer')} by ${transports.join(' and ')}`);
  return parts.length > 0 ? parts.join(', ') : 'No peers connected';
}
