//! Every reader of bytes from outside, and what each must stand: whatever the bytes, it answers with an error or with something
//! that is written and read back as the same, and it takes no more memory than the limits allow for so many bytes.
//!
//! The fuzz targets of `/fuzz` call [`Decoder::check`]; `decoding.rs` calls it with mutated samples in every `cargo test`. Memory
//! is the most that was allocated at a time while reading, as a counting allocator says.
//!
//! Invariant: nothing here needs more of a room than what is public.

mod reading;
mod sample;

use std::fmt::Write;

use value::limits::FRAME_BYTES_MAX;

/// Bytes that a byte of a DEFLATE stream can become at most.
const EXPANSION_MAX: u64 = 1032;

/// Returns the bytes of memory that so many bytes may take while they are read.
type Memory = fn(u64) -> u64;

/// One reader.
pub struct Decoder {
    /// As a fuzz target is named.
    pub name: &'static str,
    /// Checks some bytes, under the memory that so many may take.
    read: fn(&[u8], Memory),
    memory: Memory,
    /// Returns what is written in good faith, to start from.
    pub samples: fn() -> Vec<Vec<u8>>,
}

impl Decoder {
    /// Panics if the bytes make the reader panic, take too much memory or are not read back as written; prints them then.
    pub fn check(&self, bytes: &[u8]) {
        let _shown = Shown { name: self.name, bytes };
        (self.read)(bytes, self.memory);
    }
}

/// A document or a delta.
pub const DOCUMENT: Decoder =
    Decoder { name: "document", read: reading::document, memory: of_document, samples: sample::documents };

/// A frame of the protocol.
pub const MESSAGE: Decoder =
    Decoder { name: "message", read: reading::message, memory: of_plain, samples: sample::messages };

/// An entry of the presence map.
pub const PRESENCE: Decoder =
    Decoder { name: "presence", read: reading::presence, memory: of_plain, samples: sample::entries };

/// A record of the log.
pub const RECORD: Decoder =
    Decoder { name: "record", read: reading::record, memory: of_plain, samples: sample::records };

/// Two deltas in shorthand, one after the other on a link.
pub const SHORTHAND: Decoder =
    Decoder { name: "shorthand", read: reading::shorthand, memory: of_plain, samples: sample::shorthands };

/// The rows of a parcel, before they are compressed: a compressor would hide them from mutation.
pub const PARCEL: Decoder =
    Decoder { name: "parcel", read: reading::parcel, memory: of_packed, samples: sample::parcels };

/// The changes in a message, as they come and, if they are a list, before they are compressed.
pub const UNIT: Decoder = Decoder { name: "unit", read: reading::unit, memory: of_packed, samples: sample::units };

/// An update of a Yjs client to a LIST, TEXT or XML, as the first byte says.
pub const UPDATE: Decoder =
    Decoder { name: "update", read: reading::update, memory: of_update, samples: sample::updates };

/// All of them.
#[allow(dead_code, reason = "a fuzz target names its own")]
pub const ALL: [&Decoder; 8] = [&DOCUMENT, &MESSAGE, &PARCEL, &PRESENCE, &RECORD, &SHORTHAND, &UNIT, &UPDATE];

/// What is read piece by piece: each piece takes a byte at least and is a few words in memory.
fn of_plain(bytes: u64) -> u64 {
    64 * 1024 + 64 * bytes
}

/// What yrs makes of an update: its blocks, several times.
fn of_update(bytes: u64) -> u64 {
    1024 * 1024 + 4096 * bytes
}

/// A path shares its start with the path before, up to the 64 MiB that all paths may take.
fn of_document(bytes: u64) -> u64 {
    of_plain(bytes) + (bytes.saturating_mul(bytes) / 16).min(64 * 1024 * 1024)
}

/// Of bytes that were inflated: rows share their keys and their templates, up to the size of a frame, and are there as rows, as
/// what the reader makes of them, and as much again while a list grows.
fn of_packed(bytes: u64) -> u64 {
    64 * 1024 + 32 * bytes + 4 * bytes.saturating_mul(bytes).min(FRAME_BYTES_MAX as u64)
}

/// Returns to how many bytes so many can be inflated.
fn inflated(bytes: usize) -> u64 {
    (bytes as u64 * EXPANSION_MAX).min(FRAME_BYTES_MAX as u64)
}

/// Prints the bytes when their check panics.
struct Shown<'a> {
    name: &'static str,
    bytes: &'a [u8],
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let hex = self.bytes.iter().fold(String::new(), |mut text, byte| {
                write!(text, "{byte:02x}").expect("a string takes everything");
                text
            });
            eprintln!("{} {hex}", self.name);
        }
    }
}
