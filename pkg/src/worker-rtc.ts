/**
 * Stand-ins for `RTCPeerConnection` and `RTCDataChannel` in a worker, which has none: the real ones are on the page.
 *
 * Only what `src/web/src/rtc.rs` uses: one negotiated channel a connection, made right after it. Calls go to the page as messages,
 * events come back. `bufferedAmount` counts what is on its way to the page too, so that the engine's bound holds for both.
 */

import type { Port } from './port.js';

type Detail = {
  candidate?: RTCIceCandidateInit | null;
  state?: string;
  data?: ArrayBuffer;
  taken?: number;
  queued?: number;
};

const connections = new Map<number, StandInConnection>();
let port: Port;
let next = 1;

/** Makes the stand-ins global. */
export function installRtc(given: Port): void {
  port = given;
  Object.assign(globalThis, { RTCPeerConnection: StandInConnection });
}

/** Takes an event of a real object. */
export function heardRtc(id: number, type: string, detail: Detail): void {
  connections.get(id)?.heard(type, detail);
}

class StandInConnection extends EventTarget {
  readonly #id = next++;
  readonly #configuration: RTCConfiguration;
  #channel: StandInChannel | null = null;
  connectionState = 'new';

  constructor(configuration: RTCConfiguration) {
    super();
    this.#configuration = configuration;
    connections.set(this.#id, this);
  }

  createDataChannel(label: string, init: RTCDataChannelInit): StandInChannel {
    this.#channel = new StandInChannel(this.#id);
    const { negotiated, id } = init;
    // The threshold is set right after this call returns.
    queueMicrotask(() => {
      if (!connections.has(this.#id)) return;
      const low = this.#channel?.bufferedAmountLowThreshold ?? 0;
      port.tell('rtcConnect', [this.#id, plain(this.#configuration), label, { negotiated, id, low }]);
    });
    return this.#channel;
  }

  createOffer(): Promise<RTCSessionDescriptionInit> {
    return this.#call('createOffer');
  }

  createAnswer(): Promise<RTCSessionDescriptionInit> {
    return this.#call('createAnswer');
  }

  setLocalDescription(description: RTCSessionDescriptionInit): Promise<void> {
    return this.#call('setLocalDescription', plain(description));
  }

  setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void> {
    return this.#call('setRemoteDescription', plain(description));
  }

  addIceCandidate(candidate: RTCIceCandidateInit): Promise<void> {
    return this.#call('addIceCandidate', plain(candidate));
  }

  close(): void {
    if (connections.delete(this.#id)) port.tell('rtcClose', [this.#id]);
  }

  heard(type: string, detail: Detail): void {
    if (type === 'icecandidate') {
      this.dispatchEvent(Object.assign(new Event(type), { candidate: detail.candidate }));
    } else if (type === 'connectionstatechange') {
      this.connectionState = detail.state ?? this.connectionState;
      this.dispatchEvent(new Event(type));
    } else {
      this.#channel?.heard(type, detail);
    }
  }

  #call(method: string, argument?: unknown): Promise<any> {
    return new Promise((resolve, reject) => {
      // After the message that makes the real connection.
      queueMicrotask(() => port.ask('rtcCall', [this.#id, method, argument]).then(resolve, reject));
    });
  }
}

class StandInChannel extends EventTarget {
  readonly #connection: number;
  #onTheWay = 0;
  #queued = 0;
  binaryType = 'arraybuffer';
  bufferedAmountLowThreshold = 0;
  readyState = 'connecting';

  constructor(connection: number) {
    super();
    this.#connection = connection;
  }

  get bufferedAmount(): number {
    return this.#onTheWay + this.#queued;
  }

  /** The bytes lie in the module's memory, which does not move: they are copied. */
  send(bytes: Uint8Array): void {
    const copy = bytes.slice();
    this.#onTheWay += copy.byteLength;
    port.tell('rtcSend', [this.#connection, copy], [copy.buffer]);
  }

  /** The event `close` comes from the page. */
  close(): void {
    if (this.readyState === 'closed') return;
    this.readyState = 'closing';
    if (connections.has(this.#connection)) port.tell('rtcHangUp', [this.#connection]);
  }

  heard(type: string, { state, data, taken = 0, queued = 0 }: Detail): void {
    if (type === 'buffered') {
      const before = this.bufferedAmount;
      this.#onTheWay -= taken;
      this.#queued = queued;
      const low = this.bufferedAmountLowThreshold;
      if (before > low && this.bufferedAmount <= low) this.dispatchEvent(new Event('bufferedamountlow'));
    } else if (type === 'message') {
      this.dispatchEvent(Object.assign(new Event(type), { data }));
    } else {
      this.readyState = state ?? this.readyState;
      this.dispatchEvent(new Event(type));
    }
  }
}

/** The objects of the glue carry accessors; only their fields cross. */
function plain(value: object): unknown {
  return JSON.parse(JSON.stringify(value));
}
