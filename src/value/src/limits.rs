//! The bounds on everything that comes from outside.

/// Deepest nesting of a document or argument.
pub const DEPTH_MAX: usize = 64;
/// Largest document a local write may produce, bytes of its binary form.
pub const DOCUMENT_BYTES_MAX: usize = 5 * 1024 * 1024;
/// Longest identifier, bytes of its binary form.
pub const ID_BYTES_MAX: usize = 1024;
/// Longest name of a collection, bytes.
pub const COLLECTION_NAME_BYTES_MAX: usize = 256;
/// Longest name of a field, bytes.
pub const FIELD_NAME_BYTES_MAX: usize = 1024;
/// Longest statement, bytes of UTF-8.
pub const STATEMENT_BYTES_MAX: usize = 1024 * 1024;
/// Largest value decoded from outside in one piece (arguments of a statement), bytes.
pub const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Largest document that merging may produce, bytes: many writers, each under its own limit.
pub const MERGED_DOCUMENT_BYTES_MAX: usize = 40 * 1024 * 1024;
/// Largest frame of the sync protocol after reassembly, bytes: one merged document and what goes around it.
pub const FRAME_BYTES_MAX: usize = 44 * 1024 * 1024;
/// How far a remote clock may pull the local one forward, milliseconds.
pub const CLOCK_PULL_MS_MAX: u64 = 5 * 60 * 1000;
/// How far ahead a peer's clock may be before the peer is refused, milliseconds.
pub const CLOCK_SKEW_MS_MAX: u64 = 24 * 60 * 60 * 1000;
