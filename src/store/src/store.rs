//! The seam that the engine reads and writes through: `trait Store`, and the words it speaks.
//!
//! A store never acts by itself: a read either answers from memory or names the blocks that are missing; a write is told
//! after the log has it; maintenance is a value that the skin carries out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use value::{DecodeError, ErrorCode, Failure, Millis, Seq};

use crate::device::{BlockId, DeviceBatch, DeviceError, Written};
use crate::key::{Key, KeyRange};
use crate::lsm::OpenError;

/// One row of a range: the key and its bytes.
pub type Row = (Key, Vec<u8>);

/// One commit's effect on the key space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The position of the commit in the log.
    pub seq: Seq,
    /// Size of the commit's log record; 0 when unknown, then the changes are counted. It decides how much log is kept.
    pub record_bytes: u64,
    /// The new bytes of each key; `None` deletes it.
    pub changes: BTreeMap<Key, Option<Vec<u8>>>,
}

impl Batch {
    /// Starts an empty batch.
    pub fn new(seq: Seq) -> Batch {
        Batch { seq, ..Batch::default() }
    }

    /// Sets a key; a later call for the same key wins.
    pub fn put(&mut self, key: Key, bytes: Vec<u8>) -> &mut Batch {
        self.changes.insert(key, Some(bytes));
        self
    }

    /// Deletes a key; deleting an absent key is allowed.
    pub fn delete(&mut self, key: Key) -> &mut Batch {
        self.changes.insert(key, None);
        self
    }

    /// Says whether the batch changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Whether a visit goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// The next row, please.
    Continue,
    /// That was enough.
    Stop,
}

/// Takes a row: the bytes of its key, and its bytes.
pub type Visitor<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Visit;

/// Rows that a store without a better way reads at a time.
const VISIT_ROWS: usize = 256;

/// An ordered map of keys to bytes, brought forward one commit at a time.
pub trait Store {
    /// Returns the bytes of a key, or `None` when it is absent or deleted.
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, ReadError>;

    /// As `get`, without a copy where the store can lend its bytes.
    fn lend(&self, key: &Key) -> Result<Option<Cow<'_, [u8]>>, ReadError> {
        Ok(self.get(key)?.map(Cow::Owned))
    }

    /// Returns the first rows of a range, ascending, at most `limit`; fewer mean that the range ends there.
    ///
    /// The caller resumes with `range.after(&last)`. All or nothing: with a block missing no row is returned.
    fn range(&self, range: &KeyRange, limit: usize) -> Result<Vec<Row>, ReadError>;

    /// Shows the rows of a range, ascending, until told to stop; nothing is copied where the store can lend its bytes.
    ///
    /// Unlike `range` not all or nothing: with a block missing, the rows before it have been shown.
    fn visit(&self, range: &KeyRange, visit: Visitor<'_>) -> Result<(), ReadError> {
        let mut rest = range.clone();
        loop {
            let rows = self.range(&rest, VISIT_ROWS)?;
            if rows.iter().any(|(key, bytes)| visit(key.as_bytes(), bytes) == Visit::Stop) {
                return Ok(());
            }
            match rows.last() {
                Some((key, _)) if rows.len() == VISIT_ROWS => rest = rest.after(key),
                _ => return Ok(()),
            }
        }
    }

    /// Returns where about the last so many rows of a range start; its start when it has no more, or when nobody knows.
    ///
    /// Who reads a range backward reads from there to its end, and then what is before. The key is below the end of the
    /// range unless the range is empty, so this comes to an end; rows that were deleted count.
    fn tail(&self, range: &KeyRange, _rows: usize) -> Result<Key, ReadError> {
        Ok(range.start.clone())
    }

    /// Checks that a whole range can be read from memory; the error names all its missing blocks at once.
    ///
    /// Who will read all of a long range asks this first, instead of being told of a few blocks at a time.
    fn resident(&self, _range: &KeyRange) -> Result<(), ReadError> {
        Ok(())
    }

    /// Makes a commit visible to readers.
    ///
    /// The batch is already durable in the log (or becomes so in one atomic transaction of an embedded engine). A batch at or
    /// below `applied()` changes nothing: replaying a log is harmless.
    fn apply(&mut self, batch: Batch) -> Result<(), StoreError>;

    /// Returns the position of the last commit that readers see.
    fn applied(&self) -> Seq;

    /// Takes a block that the skin has read; `None` when the device no longer has it.
    ///
    /// A block that arrives without having been asked for, or twice, is harmless.
    fn admit(&mut self, _block: BlockId, _bytes: Option<Vec<u8>>) -> Result<(), ReadError> {
        Ok(())
    }

    /// Returns the next step of housekeeping, or `None` when there is none; also brings the cache back under its budget.
    ///
    /// Call it after commits, while no statement is parked on a block, until it returns `None`. After `Load` the skin admits
    /// the blocks and asks again; after `Write` it writes the batch and reports to `maintained`. While a write is under
    /// way the answer is `None`, and reads and commits go on.
    fn maintenance(&mut self, _now: Millis) -> Option<Maintenance> {
        None
    }

    /// Says whether other engines over the same device may still have to read what was just flushed from the log.
    fn keep_log_for_others(&mut self, _keep: bool) {}

    /// Returns when `maintenance` will have something to do though nothing is committed until then; `None` for never.
    fn maintenance_at(&self) -> Option<Millis> {
        None
    }

    /// Takes the outcome of the `Write` that `maintenance` returned.
    ///
    /// A failure leaves everything as it was, to be tried again. A conflict (another tab was faster) takes over the winner's
    /// manifest, which may move `applied()` forward; it fails only if that manifest cannot be read.
    fn maintained(&mut self, _outcome: Result<Written, DeviceError>) -> Result<(), OpenError> {
        Ok(())
    }

    /// Gives up a block that a read called damaged, so that reads go on without it; says whether there was one.
    ///
    /// Older rows may show where it held newer ones. The next `maintenance` records it.
    fn give_up(&mut self, _block: BlockId) -> bool {
        false
    }

    /// Takes over a manifest that another writer of the device has written, after a read answered `Stale`.
    /// Stores without a manifest have nothing to do.
    fn adopt(&mut self, _manifest: &[u8]) -> Result<(), OpenError> {
        Ok(())
    }
}

/// One step of housekeeping for the skin to carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Maintenance {
    /// Read these blocks, `admit` each, and ask again.
    Load(Vec<BlockId>),
    /// Write this atomically and call `maintained`.
    Write(DeviceBatch),
}

/// Why a read has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// An embedded engine failed; with its own words.
    Backend(String),
    /// A block is unreadable. The caller may `quarantine` it and fetch its key range from another peer.
    Damaged {
        /// The block.
        block: BlockId,
        /// What is wrong with it.
        reason: DecodeError,
    },
    /// These blocks must be read and admitted first; then ask again.
    NotResident(Vec<BlockId>),
    /// A block has vanished: another tab has compacted. Read the manifest, call `Lsm::reload`, ask again.
    Stale,
}

impl ReadError {
    /// Returns the error as a user gets it.
    pub fn failure(&self) -> Failure {
        Failure::new(ErrorCode::StoreBackend, self.to_string())
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Backend(message) => write!(f, "the storage engine failed: {message}"),
            ReadError::Damaged { block, reason } => write!(
                f,
                "{block} cannot be read: {reason}; connect to a peer that has the data, it is then fetched again"
            ),
            ReadError::NotResident(blocks) => write!(f, "{} blocks have to be read first", blocks.len()),
            ReadError::Stale => write!(f, "another tab has rewritten the data; read it again"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Why a commit could not be made visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// An embedded engine failed; with its own words.
    Backend(String),
    /// There is no space left.
    QuotaExceeded,
}

impl StoreError {
    /// Returns the error as a user gets it.
    pub fn failure(&self) -> Failure {
        let code = match self {
            StoreError::Backend(_) => ErrorCode::StoreBackend,
            StoreError::QuotaExceeded => ErrorCode::StoreQuotaExceeded,
        };
        Failure::new(code, self.to_string())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Backend(message) => write!(f, "the storage engine failed: {message}; retry"),
            StoreError::QuotaExceeded => {
                write!(f, "there is no space left; free space or evict documents, then retry")
            }
        }
    }
}

impl std::error::Error for StoreError {}
