/** Who is in reach. */

import type { RawPeer, RawPresence } from './bindings.js';
import { CBOR } from './cbor.js';
import type { Core } from './core.js';
import type { Ditto } from './ditto.js';
import { DittoError } from './error.js';
import { toJSON } from './json.js';
import { Observer } from './observer.js';

/** What carries a connection. WebRTC shows as `P2PWiFi`. */
export type ConnectionType = 'P2PWiFi' | 'WebSocket' | 'AccessPoint' | 'Bluetooth' | 'Multicast';

/** The system a peer runs on. */
export type PeerOS = 'Generic' | 'iOS' | 'tvOS' | 'Android' | 'Linux' | 'Windows' | 'macOS';

/** A connection of two peers. */
export interface Connection {
  /** `<peer1><-><peer2>:<type>`. */
  readonly id: string;
  readonly connectionType: ConnectionType;
  readonly peer1: string;
  readonly peer2: string;
}

/** A peer. */
export interface Peer {
  readonly peerKey: string;
  readonly peerMetadata: { [key: string]: any };
  readonly identityServiceMetadata: { [key: string]: any };
  readonly deviceName: string;
  /** Its connections; the one to the Big Peer has the Big Peer's key at its other end. */
  readonly connections: Connection[];
  readonly isConnectedToDittoServer: boolean;
  readonly isCompatible?: boolean;
  readonly os?: PeerOS;
  readonly dittoSdkVersion?: string;
}

/** This peer and the others in reach, directly or through others. The Big Peer is not among them. */
export interface PresenceGraph {
  readonly localPeer: Peer;
  readonly remotePeers: Peer[];
}

/** Decides whether another peer may connect. */
export type ConnectionRequestHandler = (request: ConnectionRequest) => Promise<ConnectionRequestAuthorization>;

/** The decision. */
export type ConnectionRequestAuthorization = 'allow' | 'deny';

/** A peer that wants to connect. */
export class ConnectionRequest {
  readonly peerKey: string;
  readonly peerMetadata: { [key: string]: any };
  readonly identityServiceMetadata: { [key: string]: any };
  readonly connectionType: ConnectionType;

  /** @internal */
  constructor(peer: Peer, connectionType: ConnectionType) {
    this.peerKey = peer.peerKey;
    this.peerMetadata = peer.peerMetadata;
    this.identityServiceMetadata = peer.identityServiceMetadata;
    this.connectionType = connectionType;
  }

  /** The peer's metadata as JSON. */
  get peerMetadataJSONString(): string {
    return toJSON(this.peerMetadata);
  }

  /** The identity service's metadata as JSON. */
  get identityServiceMetadataJSONString(): string {
    return toJSON(this.identityServiceMetadata);
  }
}

const METADATA_BYTES_MAX = 4096;

/** Who is in reach of one database. */
export class Presence {
  /** The database. */
  readonly ditto: Ditto;
  readonly #core: Core;
  #metadata: { [key: string]: any } = Object.freeze({});
  #handler: ConnectionRequestHandler | null = null;

  /** @internal */
  constructor(ditto: Ditto, core: Core) {
    this.ditto = ditto;
    this.#core = core;
  }

  /** The peers in reach now. */
  get graph(): PresenceGraph {
    const raw = this.#core.latest('presence');
    return raw === undefined ? this.#alone() : graphOf(raw);
  }

  /** Calls back with the present graph, and with every new one. */
  observe(didChangeHandler: (graph: PresenceGraph) => void): Observer {
    const stop = this.#core.on('presence', (raw) => didChangeHandler(graphOf(raw)));
    didChangeHandler(this.graph);
    return new Observer(stop);
  }

  /** What this peer tells about itself. */
  get peerMetadata(): { [key: string]: any } {
    return this.#metadata;
  }

  /** Sets what this peer tells about itself: an object of at most 4 KB. */
  async setPeerMetadata(peerMetadata: { [key: string]: any }): Promise<void> {
    if (typeof peerMetadata !== 'object' || peerMetadata === null || Array.isArray(peerMetadata)) {
      throw new DittoError('validation/not-an-object', 'Peer metadata is an object.');
    }
    const bytes = CBOR.encode(peerMetadata);
    if (bytes.length > METADATA_BYTES_MAX) {
      throw new DittoError('validation/size-limit-exceeded', `Peer metadata has at most ${METADATA_BYTES_MAX} bytes, not ${bytes.length}.`);
    }
    this.#metadata = Object.freeze(CBOR.decode(bytes) as { [key: string]: any });
    await this.#core.run((peer) => peer.setProfile(this.ditto.deviceName, bytes));
  }

  /** What this peer tells about itself, as JSON. */
  get peerMetadataJSONString(): string {
    return toJSON(this.#metadata);
  }

  /** Sets what this peer tells about itself from JSON. */
  async setPeerMetadataJSONString(jsonString: string): Promise<void> {
    let metadata: unknown;
    try {
      metadata = JSON.parse(jsonString);
    } catch (cause) {
      throw new DittoError('validation/invalid-json', 'Peer metadata is not valid JSON.', { cause });
    }
    await this.setPeerMetadata(metadata as { [key: string]: any });
  }

  /** Decides per peer; kept, but not asked yet. */
  get connectionRequestHandler(): ConnectionRequestHandler | null {
    return this.#handler;
  }

  set connectionRequestHandler(handler: ConnectionRequestHandler | null) {
    // A handler that is never asked would let in whom its author wants out.
    if (handler !== null) throw new DittoError('unsupported', 'presence.connectionRequestHandler is not supported by this build of Shoal.');
    this.#handler = null;
  }

  #alone(): PresenceGraph {
    const local: RawPeer = {
      key: '',
      deviceName: this.ditto.deviceName,
      metadata: CBOR.encode(this.#metadata),
      isBigPeer: false,
      version: '',
      links: [],
    };
    return graphOf({ local, remotes: [] });
  }
}

function graphOf(raw: RawPresence): PresenceGraph {
  const servers = new Set(raw.remotes.filter((peer) => peer.isBigPeer).map((peer) => peer.key));
  const peers = raw.remotes.filter((peer) => !peer.isBigPeer);
  return { localPeer: peerOf(raw.local, servers), remotePeers: peers.map((peer) => peerOf(peer, servers)) };
}

function peerOf(raw: RawPeer, servers: ReadonlySet<string>): Peer {
  const connections = raw.links.map(({ peer, transport }): Connection => {
    const [peer1, peer2] = [raw.key, peer].sort() as [string, string];
    const connectionType = transport === 'WebRTC' ? 'P2PWiFi' : 'WebSocket';
    return { id: `${peer1}<->${peer2}:${connectionType}`, connectionType, peer1, peer2 };
  });
  return {
    peerKey: raw.key,
    peerMetadata: CBOR.decode(raw.metadata) as { [key: string]: any },
    identityServiceMetadata: {},
    deviceName: raw.deviceName,
    connections,
    isConnectedToDittoServer: raw.links.some((link) => servers.has(link.peer)),
    isCompatible: true,
    os: 'Generic',
    dittoSdkVersion: raw.version,
  };
}
