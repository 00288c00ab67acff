/** Which transports are used. A browser looks at `connect.iceServers` only; the rest is kept for compatibility. */

import { DittoError } from './error.js';

/** Peer-to-peer on a local network. */
export interface TransportConfigLan {
  isEnabled: boolean;
  isMdnsEnabled: boolean;
  isMulticastEnabled: boolean;
}

/** Peer-to-peer transports. */
export interface TransportConfigPeerToPeer {
  bluetoothLE: { isEnabled: boolean };
  awdl: { isEnabled: boolean };
  wifiAware: { isEnabled: boolean };
  lan: TransportConfigLan;
}

/** Whom to connect to. */
export interface TransportConfigConnect {
  tcpServers: string[];
  websocketURLs: string[];
  /** Milliseconds. */
  retryInterval: number;
  /** STUN and TURN servers of WebRTC; none by default, which serves LAN and loopback. An extension of the original. */
  iceServers: RTCIceServer[];
}

/** Listening for TCP. */
export interface TransportConfigListenTCP {
  isEnabled: boolean;
  interfaceIP: string;
  port: number;
}

/** Listening for HTTP. */
export interface TransportConfigListenHTTP {
  isEnabled: boolean;
  interfaceIP: string;
  port: number;
  websocketSync: boolean;
  tlsKeyPath?: string;
  tlsCertificatePath?: string;
}

/** Listening; no browser can. */
export interface TransportConfigListen {
  tcp: TransportConfigListenTCP;
  http: TransportConfigListenHTTP;
}

/** What holds for all transports. */
export interface TransportConfigGlobal {
  syncGroup: number;
  routingHint: number;
}

/** Which transports are used. */
export class TransportConfig {
  peerToPeer: TransportConfigPeerToPeer = {
    bluetoothLE: { isEnabled: false },
    awdl: { isEnabled: false },
    wifiAware: { isEnabled: false },
    lan: { isEnabled: false, isMdnsEnabled: true, isMulticastEnabled: true },
  };
  connect: TransportConfigConnect = { tcpServers: [], websocketURLs: [], retryInterval: 5000, iceServers: [] };
  listen: TransportConfigListen = {
    tcp: { isEnabled: false, interfaceIP: '[::]', port: 4040 },
    http: { isEnabled: false, interfaceIP: '[::]', port: 80, websocketSync: true },
  };
  global: TransportConfigGlobal = { syncGroup: 0, routingHint: 0 };

  /** Switches all peer-to-peer transports. */
  setAllPeerToPeerEnabled(isEnabled: boolean): void {
    const { bluetoothLE, awdl, wifiAware, lan } = this.peerToPeer;
    for (const transport of [bluetoothLE, awdl, wifiAware, lan]) transport.isEnabled = isEnabled;
  }

  /** Switches the peer-to-peer transports of this platform. */
  setAvailablePeerToPeerEnabled(isEnabled: boolean): void {
    this.peerToPeer.lan.isEnabled = isEnabled;
  }

  /** Whether it can no longer be changed. */
  get isFrozen(): boolean {
    return Object.isFrozen(this);
  }

  /** Makes it unchangeable and returns it. */
  freeze(): TransportConfig {
    freezeDeep(this);
    return this;
  }

  /** Returns a copy that can be changed. */
  copy(): TransportConfig {
    return transportConfigFromDeserializable(transportConfigToSerializable(this));
  }

  /** Compares two configurations of listening for TCP. */
  static areListenTCPsEqual(left: TransportConfigListenTCP, right: TransportConfigListenTCP): boolean {
    return JSON.stringify(sorted(left)) === JSON.stringify(sorted(right));
  }

  /** Compares two configurations of listening for HTTP. */
  static areListenHTTPsEqual(left: TransportConfigListenHTTP, right: TransportConfigListenHTTP): boolean {
    return JSON.stringify(sorted(left)) === JSON.stringify(sorted(right));
  }
}

/** Returns the configuration as plain data. */
export function transportConfigToSerializable(config: TransportConfig): object {
  return structuredClone({ ...config });
}

/** Returns a configuration from plain data; what is missing has its default. */
export function transportConfigFromDeserializable(data: object): TransportConfig {
  const config = new TransportConfig();
  for (const part of ['peerToPeer', 'connect', 'listen', 'global'] as const) {
    const given: unknown = (data as Partial<TransportConfig>)[part];
    if (given === undefined) continue;
    if (typeof given !== 'object' || given === null) {
      throw new DittoError('validation/invalid-transport-config', `${part} must be an object.`);
    }
    Object.assign(config[part], structuredClone(given));
  }
  return config;
}

function freezeDeep(value: object): void {
  Object.freeze(value);
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) freezeDeep(inner as object);
}

function sorted(value: object): [string, unknown][] {
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}
