//! The leaf room: what every other room means by a value, an identifier, a time and an error.
//!
//! In goes nothing but bytes and plain data; out come values, their total order, their binary form and the table of error
//! codes. The room knows no document, no language and no wire.
//!
//! Invariants, as absences: no input or output, no `async`, no clock and no randomness (both are arguments); no decoder
//! without a limit on bytes, depth and count.
//!
//! Sources: RFC 8949 (CBOR, deterministic encoding) for the value codec; Kulkarni et al. 2014 for the hybrid logical clock.

pub mod blob;
pub mod bytes;
pub mod cbor;
pub mod error;
pub mod hash;
mod hex;
pub mod hlc;
pub mod id;
pub mod limits;
pub mod order;
pub mod order_key;
mod recent;
mod small_map;
mod value;

pub use blob::{BlobId, ChunkList};
pub use bytes::{DecodeError, Reader, Writer};
pub use error::{ErrorCode, Failure};
pub use hash::{checksum, hash64, hash128_of};
pub use hex::{HexOr, read_hex_or, write_hex_or};
pub use hlc::{Hlc, HlcClock, Millis};
pub use id::{CollectionName, DocId, IdError, PeerKey, ReplicaId, Seq, StoreId};
pub use recent::Recent;
pub use small_map::SmallMap;
pub use value::{Object, Value};
