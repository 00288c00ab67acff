/** Credentials for the Big Peer. */

import type { Core } from './core.js';
import type { Ditto } from './ditto.js';
import { DittoError, toDittoError } from './error.js';
import { Logger } from './logger.js';
import { Observer } from './observer.js';

/** Supplies credentials, by calling `login`; 0 seconds left: there are none that count. */
export type AuthenticationExpirationHandler = (ditto: Ditto, timeUntilExpirationInSeconds: number) => any;

/** Whether the Big Peer accepted the credentials. */
export interface AuthenticationStatus {
  readonly isAuthenticated: boolean;
  readonly userID: string | null;
}

/** What became of a login; a refusal is told here and not thrown. */
export interface LoginResult {
  readonly clientInfo: string | null;
  readonly error: DittoError | null;
}

/** Authentication of one database. */
export class Authenticator {
  /** The provider of a Big Peer's development token. */
  static readonly DEVELOPMENT_PROVIDER = 'development';

  readonly #ditto: Ditto;
  readonly #core: Core;
  #handler: AuthenticationExpirationHandler | null = null;
  #wanted: number | null = null;
  #asking = false;
  #status: AuthenticationStatus = Object.freeze({ isAuthenticated: false, userID: null });
  readonly #observers = new Set<(status: AuthenticationStatus) => void>();

  /** @internal */
  constructor(ditto: Ditto, core: Core) {
    this.#ditto = ditto;
    this.#core = core;
    core.on('authenticationRequired', (secondsLeft) => {
      this.#wanted = secondsLeft;
      return this.required();
    });
    core.on('status', ({ authenticated }) => this.#changed(authenticated));
  }

  /** Whether there is a Big Peer to log in at. */
  get loginSupported(): boolean {
    return this.#ditto.config.connect.mode === 'server';
  }

  /** What supplies the credentials. */
  get expirationHandler(): AuthenticationExpirationHandler | null {
    return this.#handler;
  }

  /** Sets what supplies the credentials; it is called when there are none, when they ended, and some time before. */
  setExpirationHandler(handler: AuthenticationExpirationHandler | null): Promise<void> {
    this.#handler = handler;
    this.required();
    return Promise.resolve();
  }

  /** Whether the Big Peer accepted the credentials. */
  get status(): AuthenticationStatus {
    return this.#status;
  }

  /** Logs in. A refusal is in `error` of the result; only a closed database throws. */
  async login(token: string, provider: string): Promise<LoginResult> {
    this.#core.check();
    if (!this.loginSupported) {
      return { clientInfo: null, error: new DittoError('unsupported', 'There is no Big Peer to log in at: connect.mode is smallPeersOnly.') };
    }
    this.#wanted = null;
    try {
      await this.#core.run((peer) => peer.login(provider, token) as Promise<void>);
      return { clientInfo: null, error: null };
    } catch (cause) {
      return { clientInfo: null, error: toDittoError(cause) };
    }
  }

  /** Stops sync and forgets the credentials; the documents stay, unless `cleanup` evicts them. */
  async logout(cleanup?: (ditto: Ditto) => void): Promise<void> {
    this.#ditto.sync.stop();
    await this.#core.run((peer) => peer.logout());
    this.#changed(false);
    await cleanup?.(this.#ditto);
  }

  /** Calls back when the status has changed. */
  observeStatus(callback: (status: AuthenticationStatus) => void): Observer {
    const own = (status: AuthenticationStatus) => callback(status);
    this.#observers.add(own);
    return new Observer(() => this.#observers.delete(own));
  }

  /**
   * Calls the handler if credentials are wanted, once at a time; answers whether there is a handler.
   *
   * @internal
   */
  required(): boolean {
    const handler = this.#handler;
    if (handler === null) return false;
    if (this.#wanted === null || this.#asking) return true;
    const secondsLeft = this.#wanted;
    this.#wanted = null;
    this.#asking = true;
    const call = async () => {
      try {
        await handler(this.#ditto, secondsLeft);
      } catch (cause) {
        Logger.error(`The authentication expiration handler threw: ${String(cause)}`);
      }
      this.#asking = false;
      this.required();
    };
    void call();
    return true;
  }

  #changed(isAuthenticated: boolean): void {
    if (isAuthenticated === this.#status.isAuthenticated) return;
    this.#status = Object.freeze({ isAuthenticated, userID: null });
    for (const observer of [...this.#observers]) observer(this.#status);
  }
}
