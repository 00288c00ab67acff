// The peers panel: who is connected to whom, drawn and told.

import type { Ditto } from 'shoal';
import type { Graph, SyncStatus } from './database.js';
import { byId, h, s, setText } from './dom.js';
import { bytes, plural, shortKey } from './format.js';

type SyncLink = SyncStatus['links'][number];

interface Spot {
  key: string;
  name: string;
  kind: 'big' | 'local' | 'remote';
  x: number;
  y: number;
}

interface Edge {
  from: string;
  to: string;
  transport: 'WebRTC' | 'WebSocket';
}

const width = 360;
const height = 250;
const bigPeerKey = 'big-peer';

export class Peers {
  private graph: Graph;
  private status: SyncStatus;

  constructor(private readonly ditto: Ditto, private readonly hasBigPeer: boolean) {
    this.graph = ditto.presence.graph;
    this.status = ditto.sync.status;
    ditto.presence.observe((graph) => {
      this.graph = graph;
      this.draw();
    });
    ditto.sync.observeStatus((status) => {
      this.status = status;
      this.draw();
    });
    this.draw();
    void this.drawStorage();
    setInterval(() => void this.drawStorage(), 4000);
  }

  private draw(): void {
    const spots = place(this.graph, this.status, this.hasBigPeer);
    byId('graph').replaceChildren(drawing(spots, edgesOf(this.graph, this.status)));
    byId('peer-list').replaceChildren(...this.status.links.map((link) => this.linkItem(link, spots)));
    byId('peer-none').hidden = this.status.links.length > 0;
    setText(byId('fact-pending'), waitingWords(this.status, this.hasBigPeer));
    setText(byId('fact-received'), plural(this.status.documentsReceived, 'document'));
    setText(byId('fact-key'), shortKey(this.graph.localPeer.peerKey));
    byId('fact-key').title = this.graph.localPeer.peerKey;
  }

  private linkItem(link: SyncLink, spots: Spot[]): HTMLElement {
    const name = link.isBigPeer ? 'Big Peer' : (spots.find((spot) => spot.key === link.peerKey)?.name ?? shortKey(link.peerKey));
    return h('li', {},
      h('span', { class: 'peer-name' }, name),
      h('span', { class: 'tag', 'data-transport': link.transport }, link.transport),
      h('span', { class: 'subtle' }, acknowledgedWords(link, this.status)));
  }

  private async drawStorage(): Promise<void> {
    const usage = await this.ditto.storage.usage();
    setText(byId('fact-storage'), this.ditto.storage.mode === 'indexeddb' ? `IndexedDB: log ${bytes(usage.logBytes)}, segments ${bytes(usage.segmentBytes)}` : 'Memory only: a reload loses what was not synced');
    const { originUsage, originQuota } = usage;
    setText(byId('fact-quota'), originQuota ? `${bytes(originUsage ?? 0)} of ${bytes(originQuota)}` : 'not told by this browser');
  }
}

function waitingWords(status: SyncStatus, hasBigPeer: boolean): string {
  if (!hasBigPeer) return 'no server to wait for';
  return status.pendingCommits === 0 ? 'nothing' : plural(status.pendingCommits, 'change');
}

/** Only the Big Peer's acknowledgements tell everything: a peer may have a commit by another way. */
function acknowledgedWords(link: SyncLink, status: SyncStatus): string {
  if (!link.isBigPeer) return 'direct';
  return status.pendingCommits > 0 ? `${plural(status.pendingCommits, 'change')} behind` : 'has everything';
}

/** The Big Peer above, the others on an arc below it, this tab in the middle of them; without a Big Peer, all on a whole ring. */
function place(graph: Graph, status: SyncStatus, hasBigPeer: boolean): Spot[] {
  const server = hasBigPeer || status.links.some((link) => link.isBigPeer);
  const devices = graph.remotePeers.filter((peer) => !isBigPeer(peer, status)).sort((a, b) => (a.peerKey < b.peerKey ? -1 : 1));
  const round: Omit<Spot, 'x' | 'y'>[] = devices.map((peer) => ({ key: peer.peerKey, name: nameOf(peer), kind: 'remote' }));
  round.splice(Math.floor(round.length / 2), 0, { key: graph.localPeer.peerKey, name: 'This tab', kind: 'local' });
  const spots: Spot[] = round.map((one, index) => ({ ...one, ...(server ? onArc(index, round.length) : onRing(index, round.length)) }));
  if (server) spots.push({ key: bigPeerKey, name: 'Big Peer', kind: 'big', x: width / 2, y: 44 });
  return spots;
}

function onArc(index: number, total: number): { x: number; y: number } {
  if (total === 1) return { x: width / 2, y: 176 };
  const margin = total === 2 ? 0.24 : 0.06;
  const angle = Math.PI * (1 - margin - (1 - 2 * margin) * (index / (total - 1)));
  return { x: width / 2 + Math.cos(angle) * 120, y: 118 + Math.sin(angle) * 86 };
}

function onRing(index: number, total: number): { x: number; y: number } {
  if (total === 1) return { x: width / 2, y: height / 2 };
  const angle = Math.PI * (1 + (2 * index) / total);
  return { x: width / 2 + Math.cos(angle) * 104, y: height / 2 - 6 + Math.sin(angle) * 78 };
}

function nameOf(peer: Graph['localPeer']): string {
  const name = peer.deviceName || shortKey(peer.peerKey);
  return name.length > 16 ? `${name.slice(0, 15)}…` : name;
}

const isBigPeer = (peer: Graph['localPeer'], status: SyncStatus): boolean => status.links.some((link) => link.isBigPeer && link.peerKey === peer.peerKey);

function edgesOf(graph: Graph, status: SyncStatus): Edge[] {
  const edges = new Map<string, Edge>();
  const add = (from: string, to: string, transport: Edge['transport']): void => {
    const key = from < to ? `${from} ${to}` : `${to} ${from}`;
    if (!edges.has(key)) edges.set(key, { from, to, transport });
  };
  const local = graph.localPeer.peerKey;
  const servers = new Set(status.links.filter((link) => link.isBigPeer).map((link) => link.peerKey));
  const spotKey = (key: string): string => (servers.has(key) ? bigPeerKey : key);
  for (const link of status.links) add(local, link.isBigPeer ? bigPeerKey : link.peerKey, link.isBigPeer ? 'WebSocket' : link.transport);
  for (const peer of graph.remotePeers) {
    if (peer.isConnectedToDittoServer && !servers.has(peer.peerKey)) add(peer.peerKey, bigPeerKey, 'WebSocket');
    for (const connection of peer.connections) {
      add(spotKey(connection.peer1), spotKey(connection.peer2), connection.connectionType === 'WebSocket' ? 'WebSocket' : 'WebRTC');
    }
  }
  return [...edges.values()];
}

function drawing(spots: Spot[], edges: Edge[]): SVGElement {
  const at = new Map(spots.map((spot) => [spot.key, spot]));
  const drawn = edges.filter((edge) => at.has(edge.from) && at.has(edge.to));
  const told = drawn.map((edge) => `${at.get(edge.from)!.name} to ${at.get(edge.to)!.name} by ${edge.transport}`);
  const label = told.length > 0 ? `Connections: ${told.join('; ')}` : 'No connections';
  return s('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label },
    ...drawn.map((edge) => {
      const from = at.get(edge.from)!;
      const to = at.get(edge.to)!;
      return s('line', { x1: from.x, y1: from.y, x2: to.x, y2: to.y, class: `edge ${edge.transport}` });
    }),
    ...spots.map((spot) =>
      s('g', { class: `spot ${spot.kind}`, transform: `translate(${spot.x} ${spot.y})` },
        spot.kind === 'big' ? s('rect', { x: -20, y: -16, width: 40, height: 32, rx: 9 }) : s('circle', { r: spot.kind === 'local' ? 15 : 11 }),
        s('text', { y: spot.kind === 'big' ? -22 : 30, 'text-anchor': 'middle' }, spot.name)),
    ),
  );
}
