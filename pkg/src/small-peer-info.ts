/** What a small peer tells the Big Peer about itself. Kept here; not published yet. */

import { CBOR } from './cbor.js';
import { DittoError } from './error.js';
import { toJSON } from './json.js';

const METADATA_BYTES_MAX = 128 * 1024;

/** Information about this peer for the Big Peer. */
export class SmallPeerInfo {
  /** Whether it is collected. */
  isEnabled = true;
  #metadata: { [key: string]: any } = Object.freeze({});

  /** What the application adds: an object of at most 128 KB, 64 levels deep. */
  get metadata(): { [key: string]: any } {
    return this.#metadata;
  }

  set metadata(metadata: { [key: string]: any }) {
    if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
      throw new DittoError('validation/not-an-object', 'Metadata is an object.');
    }
    const bytes = CBOR.encode(metadata);
    if (bytes.length > METADATA_BYTES_MAX) throw new DittoError('validation/size-limit-exceeded', 'Metadata has at most 128 KB.');
    this.#metadata = Object.freeze(CBOR.decode(bytes) as { [key: string]: any });
  }

  /** The metadata as JSON. */
  get metadataJSONString(): string {
    return toJSON(this.#metadata);
  }

  set metadataJSONString(jsonString: string) {
    try {
      this.metadata = JSON.parse(jsonString) as { [key: string]: any };
    } catch (cause) {
      if (cause instanceof DittoError) throw cause;
      throw new DittoError('validation/invalid-json', 'Metadata is not valid JSON.', { cause });
    }
  }
}
