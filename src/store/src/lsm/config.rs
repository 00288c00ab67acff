//! What an engine is given and what it tells: sizes, figures, and why it cannot be opened.

use std::fmt;

use value::{DecodeError, ErrorCode, Failure};

/// The sizes that the engine keeps to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LsmConfig {
    /// The memtable is flushed at this size, bytes.
    pub memtable_bytes_max: usize,
    /// The memtable is flushed at this count of commits: it bounds the replay at the next opening.
    pub wal_commits_max: usize,
    /// After so long without a commit, milliseconds, the memtable is flushed if the log holds so many bytes: what was
    /// overwritten again and again is then gone from the device.
    pub idle_flush: (u64, u64),
    /// So much flushed log stays at most, for peers that catch up, bytes; less while the store is small.
    pub wal_keep_bytes: u64,
    /// Flushed log stays at most so long, milliseconds.
    pub wal_keep_ms: u64,
    /// Log stays at least so long, milliseconds, however much it is: the other tabs read it in that time.
    pub wal_keep_ms_min: u64,
    /// A segment is closed at this size, bytes; one large row makes a larger segment.
    pub segment_bytes: usize,
    /// Segments in memory after `maintenance`, bytes.
    pub cache_bytes_max: usize,
    /// One step of merging reads about so many bytes of rows; 512 KiB take 2 ms natively.
    pub merge_bytes_max: u64,
}

impl Default for LsmConfig {
    fn default() -> LsmConfig {
        LsmConfig {
            memtable_bytes_max: 1024 * 1024,
            wal_commits_max: 1000,
            idle_flush: (1000, 64 * 1024),
            wal_keep_bytes: 8 * 1024 * 1024,
            wal_keep_ms: 24 * 60 * 60 * 1000,
            wal_keep_ms_min: 2 * 1000,
            // With its last row and the allocator's own bytes just below a power of two.
            segment_bytes: 127 * 1024,
            cache_bytes_max: 128 * 1024 * 1024,
            merge_bytes_max: 512 * 1024,
        }
    }
}

/// Why a store cannot be opened; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The manifest is unreadable: start a fresh store and fetch the data from peers.
    Damaged(DecodeError),
    /// A newer program wrote the store, with this format.
    NewerFormat(u64),
}

impl OpenError {
    /// Returns the error as a user gets it.
    pub fn failure(&self) -> Failure {
        let code = match self {
            OpenError::Damaged(_) => ErrorCode::StoreBackend,
            OpenError::NewerFormat(_) => ErrorCode::StoreNewerFormat,
        };
        Failure::new(code, self.to_string())
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Damaged(reason) => {
                write!(f, "the store's manifest cannot be read ({reason}); start a fresh store and sync again")
            }
            OpenError::NewerFormat(format) => {
                write!(f, "the store has format {format}, which is newer than this program; update Shoal")
            }
        }
    }
}

impl std::error::Error for OpenError {}

impl From<DecodeError> for OpenError {
    fn from(error: DecodeError) -> OpenError {
        match error {
            DecodeError::Version(format) => OpenError::NewerFormat(format),
            other => OpenError::Damaged(other),
        }
    }
}

/// What an engine holds at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LsmStats {
    /// Changes that are only in the log, bytes in memory.
    pub memtable_bytes: usize,
    /// Segments in memory, bytes.
    pub resident_bytes: usize,
    /// Segments in memory, count.
    pub resident_segments: usize,
    /// Runs that are not yet merged.
    pub runs: usize,
    /// Live segments, count.
    pub segments: usize,
    /// Live segments, bytes on the device.
    pub segment_bytes: u64,
    /// Rows in live segments, tombstones and superseded rows included.
    pub rows: u64,
}
