/** A database: the root of the API. */

import { Authenticator } from './auth.js';
import { CBOR } from './cbor.js';
import { checkConfig, directoryOf, DittoConfig, endpoint, pathOf } from './config.js';
import { Core } from './core.js';
import { DiskUsage } from './disk-usage.js';
import { rawSecret } from './encryption.js';
import { Logger } from './logger.js';
import { Observer } from './observer.js';
import { checkOptions, type DittoOptions } from './options.js';
import { Presence } from './presence.js';
import { SmallPeerInfo } from './small-peer-info.js';
import { Storage } from './storage.js';
import { Store } from './store.js';
import { Sync } from './sync.js';
import { deadlockDetection } from './transaction.js';
import { TransportConfig } from './transport-config.js';

/** How a transport is doing. */
export type TransportCondition =
  | 'Unknown'
  | 'OK'
  | 'GenericFailure'
  | 'AppInBackground'
  | 'MDNSFailure'
  | 'TCPListenFailure'
  | 'NoBLECentralPermission'
  | 'NoBLEPeripheralPermission'
  | 'CannotEstablishConnection'
  | 'BLEDisabled'
  | 'NoBLEHardware'
  | 'WiFiDisabled'
  | 'TemporarilyUnavailable';

/** Which transport. */
export type ConditionSource = 'BLE' | 'TCP' | 'AWDL' | 'MDNS' | 'WiFiAware';

const VERSION = '0.1.0';
const DEVICE_NAME_BYTES_MAX = 24;

/** A database. */
export class Ditto {
  /** Version of this package. */
  static readonly VERSION: string = VERSION;
  /** A browser has no directories. */
  static readonly DEFAULT_ROOT_DIRECTORY: string = '';

  /** The documents. */
  readonly store: Store;
  /** Sync with other peers. */
  readonly sync: Sync;
  /** Who is in reach. */
  readonly presence: Presence;
  /** Credentials for the Big Peer. */
  readonly auth: Authenticator;
  /** What this peer tells the Big Peer about itself. */
  readonly smallPeerInfo: SmallPeerInfo;
  /** Where the data is; an extension of the original. */
  readonly storage: Storage;
  /** How much space the data takes, as native SDKs tell it; an extension of the original. */
  readonly diskUsage: DiskUsage;
  /** The configuration it was opened with. */
  readonly config: Readonly<DittoConfig>;
  readonly #core: Core;
  /** Where files are kept, as it was when the database was opened. */
  readonly #path: string | undefined;
  #deviceName = 'browser';
  #transportConfig: TransportConfig = new TransportConfig().freeze();

  private constructor(config: DittoConfig, options: DittoOptions) {
    checkConfig(config);
    checkOptions(options);
    this.config = config.copy().freeze();
    const { databaseID, connect } = config;
    this.#path = pathOf(config);
    this.#core = new Core({
      database: databaseID,
      directory: directoryOf(config),
      ...(connect.mode === 'server' ? { bigPeerUrl: endpoint(connect.url, databaseID) } : {}),
      deviceName: this.#deviceName,
      version: VERSION,
      ...(this.#path === undefined ? {} : { path: this.#path }),
      ...(options.encryption === undefined ? {} : { encryption: rawSecret(options.encryption) }),
    }, options.worker === true ? 'worker' : 'page');
    this.#core.on('failed', ({ code, message }) => Logger.error(`${code}: ${message}`));
    this.#core.on('storage', ({ mode, reason, damaged }) => {
      if (damaged !== null) {
        Logger.error(`The storage has lost ${damaged}; what it held is fetched again from the peers that have it.`);
      }
      if (mode === 'memory' && reason !== null && typeof document !== 'undefined') {
        Logger.warning(`The data is kept in memory only and is lost with this page: ${reason}`);
      }
    });
    this.auth = new Authenticator(this, this.#core);
    this.store = new Store(this, this.#core, options.durability);
    this.sync = new Sync(this, this.#core);
    this.presence = new Presence(this, this.#core);
    this.storage = new Storage(this.#core, VERSION, this.#path);
    this.diskUsage = new DiskUsage(this.#core, directoryOf(config));
    this.smallPeerInfo = new SmallPeerInfo();
  }

  /** Opens a database; resolves when statements can run. */
  static async open(config: DittoConfig = DittoConfig.default, options: DittoOptions = {}): Promise<Ditto> {
    const ditto = new Ditto(config, options);
    await ditto.#core.opened;
    return ditto;
  }

  /** Opens a database and returns at once; what is asked of it waits until it is open. */
  static openSync(config: DittoConfig = DittoConfig.default, options: DittoOptions = {}): Ditto {
    return new Ditto(config, options);
  }

  /** Switches off the warning about transactions that stay open for 10 s. */
  static disableDeadlockDetection(): void {
    deadlockDetection.disable();
  }

  /** Whether that warning is on. */
  static hasDeadlockDetection(): boolean {
    return deadlockDetection.isEnabled;
  }

  /** Whether this host has what the engine needs. */
  static isEnvironmentSupported(): boolean {
    return typeof WebAssembly === 'object' && typeof BigInt === 'function' && typeof crypto === 'object';
  }

  /** The name in presence, at most 24 bytes of UTF-8. */
  get deviceName(): string {
    return this.#deviceName;
  }

  set deviceName(name: string) {
    let shortened = name;
    const bytes = () => new TextEncoder().encode(shortened).length;
    while (bytes() > DEVICE_NAME_BYTES_MAX) shortened = [...shortened].slice(0, -1).join('');
    this.#deviceName = shortened;
    this.#core.dismiss((peer) => peer.setProfile(this.#deviceName, CBOR.encode(this.presence.peerMetadata)));
  }

  /** The name of the store within this origin; under Node the absolute path of its directory, if it has one. */
  get absolutePersistenceDirectory(): string {
    return this.#path ?? directoryOf(this.config);
  }

  /** Always: there is no licence to check. */
  get isActivated(): boolean {
    return true;
  }

  /** Whether `close` was called. */
  get isClosed(): boolean {
    return this.#core.isClosed;
  }

  /** Accepted and ignored: there is no licence to check. */
  setOfflineOnlyLicenseToken(_licenseToken: string): void {}

  /** Which transports are used; a frozen copy. */
  get transportConfig(): TransportConfig {
    return this.#transportConfig;
  }

  /** Sets which transports are used. */
  setTransportConfig(transportConfig: TransportConfig): void {
    const config = transportConfig.copy().freeze();
    this.#core.post((peer) => peer.setIceServers([...config.connect.iceServers]));
    if (config.connect.websocketURLs.length > 0) {
      Logger.warning('connect.websocketURLs is ignored: the address of the Big Peer is in DittoConfig.');
    }
    this.#transportConfig = config;
  }

  /** Changes which transports are used. */
  updateTransportConfig(update: (transportConfig: TransportConfig) => void): Ditto {
    const config = this.#transportConfig.copy();
    update(config);
    this.setTransportConfig(config);
    return this;
  }

  /** Never calls back: a browser does not tell the condition of its transports. */
  observeTransportConditions(_callback: (condition: TransportCondition, source: ConditionSource) => void): Observer {
    return new Observer(() => undefined);
  }

  /** Saves what is in flight, ends sync and releases the store; later calls answer `store/closed`. */
  async close(): Promise<void> {
    await this.store.endBindings();
    for (const observer of this.store.observers) observer.cancel();
    await this.#core.close();
  }
}
