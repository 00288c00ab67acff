//! The storage room: a log-structured store over a block device, without input or output of its own.
//!
//! In go batches (one commit's effect on the key space, already durable in the log) and blocks that the skin has read. Out
//! come rows, the names of blocks that must be read first, and device batches that the skin writes atomically. `Lsm` is the
//! engine, `MemoryStore` its twin over a plain map; `Device` is what a skin implements (IndexedDB), `MemoryDevice`
//! its twin, `FileDevice` one over the few verbs of a host's folder; `BlobDevice` is the seam for attachments; `conformance` holds the suites that every implementation
//! of them has to pass.
//!
//! Invariants, as absences: no CRDT and no wire (values are opaque bytes); no clock (time is an argument); no loose string
//! keys (`Key` has constructors); no cipher (`envelope` knows only where a ciphertext lies); no method that both reads the device and writes it; no `async` but for `Device` and `BlobDevice`; no method
//! that changes what readers see before the log has it.
//!
//! Sources: O'Neil et al. 1996 (log-structured merge tree), LevelDB's table format for the prefix-compressed block with
//! restart points, `docs/storage.md` for our layouts and figures.

pub mod blob_device;
pub mod conformance;
mod device;
pub mod envelope;
mod faulty_device;
mod file_device;
mod filter;
mod hosted;
mod key;
mod layout;
pub mod log;
mod lsm;
mod manifest;
mod memory_device;
mod memory_folder;
mod memory_store;
mod packing;
pub mod parcel;
mod rows;
mod segment;
mod store;
mod verify;

pub use blob_device::{BlobDevice, BlobDeviceNow, BlobListing, BlobPlace};
pub use device::{
    Appended, BlockId, BlockKind, BootImage, Device, DeviceBatch, DeviceError, DeviceNow, Durability, Records, Usage,
    Written,
};
pub use faulty_device::{Fault, FaultyDevice, Target};
pub use file_device::{FileDevice, Folder};
pub use hosted::Hosted;
pub use key::{Key, KeyRange, Parsed};
pub use layout::{Opaque, ValueLayout};
pub use lsm::{Lsm, LsmConfig, LsmStats, OpenError};
pub use manifest::{ManifestHead, manifest_head};
pub use memory_device::MemoryDevice;
pub use memory_folder::MemoryFolder;
pub use memory_store::MemoryStore;
pub use store::{Batch, Maintenance, ReadError, Row, Store, StoreError, Visit, Visitor};
pub use verify::{Content, Finding, FindingKind, Verification, VerifyCounts, VerifyReport, verify_now};

#[cfg(test)]
mod tests;
