/**
 * What a worker needs of its page: WebRTC, the state of the document, and the permission to keep data.
 *
 * Workers have sockets, IndexedDB, channels and locks of their own. They have no `RTCPeerConnection`: the real ones are here, and
 * `worker-rtc.ts` has stand-ins whose calls arrive as messages. They do not learn when the page is hidden, frozen or
 * shown again: those events are told. No rule of the protocol is here.
 */

import type { Port } from './port.js';

/** What the worker is told when it opens a store. */
export interface PageState {
  hasRtc: boolean;
  hidden: boolean;
}

const DOCUMENT_EVENTS = ['visibilitychange', 'freeze', 'resume'];
const WINDOW_EVENTS = ['pagehide', 'pageshow'];

/** The methods of a connection that answer with a promise. */
type Negotiation = 'addIceCandidate' | 'createAnswer' | 'createOffer' | 'setLocalDescription' | 'setRemoteDescription';

/** The page's side of one worker. */
export class WorkerHost {
  readonly #port: Port;
  readonly #connections = new Map<number, RTCPeerConnection>();
  readonly #channels = new Map<number, RTCDataChannel>();
  readonly #listening = new AbortController();

  constructor(port: Port) {
    this.#port = port;
  }

  /** Listens to the page, and returns how it is now. */
  start(): PageState {
    const listen = (target: EventTarget | undefined, on: string, types: readonly string[]) => {
      const heard = (event: Event) => {
        this.#port.tell('page', [on, event.type, isHidden(), (event as PageTransitionEvent).persisted === true]);
      };
      for (const type of types) target?.addEventListener(type, heard, { signal: this.#listening.signal });
    };
    listen(globalThis.document, 'document', DOCUMENT_EVENTS);
    listen(globalThis, 'window', WINDOW_EVENTS);
    return { hasRtc: typeof RTCPeerConnection === 'function', hidden: isHidden() };
  }

  /** Lets go of everything. */
  stop(): void {
    this.#listening.abort();
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
    this.#channels.clear();
  }

  /** Serves the worker. */
  serve(method: string, args: readonly any[]): unknown {
    switch (method) {
      case 'persist':
        return navigator.storage.persist();
      case 'rtcConnect':
        return this.#connect(args[0], args[1], args[2], args[3]);
      case 'rtcCall':
        return this.#call(args[0], args[1], args[2]);
      case 'rtcSend':
        return this.#send(args[0], args[1]);
      case 'rtcHangUp':
        return this.#channels.get(args[0])?.close();
      case 'rtcClose':
        return this.#close(args[0]);
      default:
        throw new TypeError(`a worker asked for ${method}`);
    }
  }

  /** Makes a connection and its only channel; one that the browser refuses has failed. */
  #connect(id: number, configuration: RTCConfiguration, label: string, init: RTCDataChannelInit & { low: number }): void {
    try {
      const connection = new RTCPeerConnection(configuration);
      this.#connections.set(id, connection);
      connection.addEventListener('icecandidate', ({ candidate }) => {
        this.#tell(id, 'icecandidate', { candidate: candidate?.toJSON() ?? null });
      });
      connection.addEventListener('connectionstatechange', () => {
        this.#tell(id, 'connectionstatechange', { state: connection.connectionState });
      });
      const channel = connection.createDataChannel(label, init);
      this.#channels.set(id, channel);
      channel.binaryType = 'arraybuffer';
      channel.bufferedAmountLowThreshold = init.low;
      for (const type of ['open', 'close']) channel.addEventListener(type, () => this.#tell(id, type, { state: channel.readyState }));
      channel.addEventListener('bufferedamountlow', () => this.#tellBuffered(id, channel, 0));
      channel.addEventListener('message', ({ data }) => {
        // Text is not the protocol; the engine does not take it either.
        if (data instanceof ArrayBuffer) this.#tell(id, 'message', { data }, [data]);
      });
    } catch {
      this.#port.tell('rtcEvent', [id, 'connectionstatechange', { state: 'failed' }]);
    }
  }

  async #call(id: number, method: Negotiation, argument: any): Promise<unknown> {
    const connection = this.#connections.get(id);
    if (connection === undefined) throw new TypeError('the connection was closed');
    const call = connection[method] as (this: RTCPeerConnection, argument: unknown) => Promise<RTCSessionDescriptionInit | void>;
    const { type, sdp } = (await call.call(connection, argument)) ?? {};
    return { type, sdp };
  }

  #send(id: number, bytes: Uint8Array<ArrayBuffer>): void {
    const channel = this.#channels.get(id);
    if (channel?.readyState !== 'open') return;
    try {
      channel.send(bytes);
    } catch {
      // The browser's queue is full: a message was lost, and with it the order that the link promises.
      channel.close();
    }
    this.#tellBuffered(id, channel, bytes.byteLength);
  }

  #close(id: number): void {
    this.#connections.get(id)?.close();
    this.#connections.delete(id);
    this.#channels.delete(id);
  }

  #tellBuffered(id: number, channel: RTCDataChannel, taken: number): void {
    this.#tell(id, 'buffered', { taken, queued: channel.bufferedAmount });
  }

  /** A connection that the worker has closed is heard no more. */
  #tell(id: number, type: string, detail: object, moved: Transferable[] = []): void {
    if (this.#connections.has(id)) this.#port.tell('rtcEvent', [id, type, detail], moved);
  }
}

function isHidden(): boolean {
  return globalThis.document?.hidden ?? false;
}
