//! The seam to the outside: what a skin implements so that a store survives, and the words it speaks.
//!
//! A device keeps four kinds of records: the log (one record a commit, keyed by sequence), blocks (immutable, named by
//! `BlockId`), one manifest, and small named meta records. Every call is atomic: it happens whole or not at all, also when
//! the process dies in the middle. This is the only file of the room with `async`; the futures need not be `Send`, because
//! browsers' are not. `DeviceNow` is the same device without waiting, for the simulator, which has no executor.

use std::fmt;

use value::{ErrorCode, Failure, Millis, Seq};

/// Log records in ascending order, unframed and verified.
pub type Records = Vec<(Seq, Vec<u8>)>;

/// What kind of block a device holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlockKind {
    /// A sorted run of rows.
    Segment,
}

/// Names one immutable record of a device; never reused within a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId {
    /// The kind.
    pub kind: BlockKind,
    /// The number within the kind.
    pub id: u64,
}

impl BlockId {
    /// Names a segment.
    pub fn segment(id: u64) -> BlockId {
        BlockId { kind: BlockKind::Segment, id }
    }

    /// Returns the device's key: the kind (1 byte, 1 = segment) and the number (8 bytes, big-endian).
    pub fn to_bytes(self) -> [u8; 9] {
        let mut bytes = [0; 9];
        bytes[0] = match self.kind {
            BlockKind::Segment => 1,
        };
        bytes[1..].copy_from_slice(&self.id.to_be_bytes());
        bytes
    }

    /// Reads a device's key; `None` for a kind that this version does not know.
    pub fn from_bytes(bytes: &[u8]) -> Option<BlockId> {
        let (kind, id) = bytes.split_first()?;
        let id = u64::from_be_bytes(id.try_into().ok()?);
        (*kind == 1).then_some(BlockId::segment(id))
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            BlockKind::Segment => write!(f, "segment {}", self.id),
        }
    }
}

/// What a device holds when a peer starts; blocks are read later, as they are needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootImage {
    /// The manifest; `None` before the first flush.
    pub manifest: Option<Vec<u8>>,
    /// The small records: replica and store id, parameters.
    pub meta: Vec<(String, Vec<u8>)>,
    /// All records still kept, also those at or below the floor: they serve peers that catch up.
    pub log: Records,
    /// Sequences of records that could not be read; they are not in `log`.
    pub damaged: Vec<Seq>,
}

/// How much a commit must survive before it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: the device may acknowledge before it has written.
    Memory,
    /// The end of the process; not a power cut.
    #[default]
    Relaxed,
    /// A power cut.
    Strict,
}

/// What became of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// Others have appended since `expected`: these are their records. Nothing was written.
    Conflict(Records),
    /// Written under this sequence.
    Done(Seq),
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// Another compactor was faster: this is its manifest. Nothing was written.
    Conflict(Vec<u8>),
    /// Written, all of it.
    Done,
}

/// A flush or a compaction: written whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceBatch {
    /// The version of the manifest that this batch replaces, 0 for none; the device compares it inside the transaction.
    pub expected_manifest: u64,
    /// The new manifest.
    pub manifest: Vec<u8>,
    /// New blocks.
    pub puts: Vec<(BlockId, Vec<u8>)>,
    /// Blocks that the new manifest no longer names.
    pub deletes: Vec<BlockId>,
    /// Small records to set in the same transaction.
    pub meta: Vec<(String, Vec<u8>)>,
    /// Bytes of the blocks in `deletes`, for `usage`: a device that charges by the record should not have to read them.
    pub deleted_bytes: u64,
    /// Log records up to and including this one go. Of the newest record of all an empty one stays: it is the device's
    /// memory of its head.
    pub delete_log_through: Option<Seq>,
}

/// How much a device holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Framed log records, bytes.
    pub log_bytes: u64,
    /// Log records, count.
    pub log_records: u64,
    /// Blocks, bytes.
    pub segment_bytes: u64,
    /// Blocks, count.
    pub segments: u64,
    /// Manifest and small records, bytes.
    pub meta_bytes: u64,
}

/// A block device as the skins implement it.
///
/// An error other than `QuotaExceeded` or `PermissionDenied` leaves open whether the call has happened. That is harmless: a
/// repeated append meets its own record as a conflict, and a repeated batch loses against its own manifest.
#[allow(async_fn_in_trait, reason = "browser futures are not Send, and no caller needs them to be")]
pub trait Device {
    /// Reads everything that a peer needs to start.
    async fn boot(&self) -> Result<BootImage, DeviceError>;

    /// Appends a record behind `expected`, the head that the writer knows (0 for an empty log).
    ///
    /// Takes the sequence inside the write transaction, with `log::next_seq`, and frames the record there. The record is not
    /// empty: an empty one is what trimming leaves of the head. Errors:
    /// `Trimmed` when the records since `expected` are no longer all there; `Closed` when the log ends before `expected`,
    /// because the device was cleared under the writer.
    async fn append(
        &self,
        expected: Seq,
        now: Millis,
        record: Vec<u8>,
        durability: Durability,
    ) -> Result<Appended, DeviceError>;

    /// Returns the records after a sequence. Errors: `Trimmed` when they are no longer all there.
    async fn tail(&self, after: Seq) -> Result<Records, DeviceError>;

    /// Returns blocks in the order asked for; `None` for one that is not there.
    async fn read(&self, blocks: &[BlockId]) -> Result<Vec<Option<Vec<u8>>>, DeviceError>;

    /// Returns the manifest as it is now, for `Lsm::reload`.
    async fn manifest(&self) -> Result<Option<Vec<u8>>, DeviceError>;

    /// Writes a batch atomically, if the manifest is still the expected one.
    ///
    /// Errors: `Closed` when a manifest was expected and there is none, because the device was cleared under the writer.
    async fn write(&self, batch: DeviceBatch) -> Result<Written, DeviceError>;

    /// Sets a small record.
    async fn put_meta(&self, name: &str, bytes: Vec<u8>) -> Result<(), DeviceError>;

    /// Deletes everything.
    async fn clear(&self) -> Result<(), DeviceError>;

    /// Returns how much is held.
    async fn usage(&self) -> Result<Usage, DeviceError>;

    /// Returns the names of all blocks, in any order; `None` from a device that cannot list them.
    async fn blocks(&self) -> Result<Option<Vec<BlockId>>, DeviceError> {
        Ok(None)
    }
}

/// A device that never waits; every such device is a `Device` too. Contracts as there.
pub trait DeviceNow {
    /// As `Device::boot`.
    fn boot_now(&self) -> Result<BootImage, DeviceError>;
    /// As `Device::append`.
    fn append_now(
        &self,
        expected: Seq,
        now: Millis,
        record: Vec<u8>,
        durability: Durability,
    ) -> Result<Appended, DeviceError>;
    /// As `Device::tail`.
    fn tail_now(&self, after: Seq) -> Result<Records, DeviceError>;
    /// As `Device::read`.
    fn read_now(&self, blocks: &[BlockId]) -> Result<Vec<Option<Vec<u8>>>, DeviceError>;
    /// As `Device::manifest`.
    fn manifest_now(&self) -> Result<Option<Vec<u8>>, DeviceError>;
    /// As `Device::write`.
    fn write_now(&self, batch: DeviceBatch) -> Result<Written, DeviceError>;
    /// As `Device::put_meta`.
    fn put_meta_now(&self, name: &str, bytes: Vec<u8>) -> Result<(), DeviceError>;
    /// As `Device::clear`.
    fn clear_now(&self) -> Result<(), DeviceError>;
    /// As `Device::usage`.
    fn usage_now(&self) -> Result<Usage, DeviceError>;
    /// As `Device::blocks`.
    fn blocks_now(&self) -> Result<Option<Vec<BlockId>>, DeviceError> {
        Ok(None)
    }
}

impl<D: DeviceNow> Device for D {
    async fn boot(&self) -> Result<BootImage, DeviceError> {
        self.boot_now()
    }

    async fn append(
        &self,
        expected: Seq,
        now: Millis,
        record: Vec<u8>,
        durability: Durability,
    ) -> Result<Appended, DeviceError> {
        self.append_now(expected, now, record, durability)
    }

    async fn tail(&self, after: Seq) -> Result<Records, DeviceError> {
        self.tail_now(after)
    }

    async fn read(&self, blocks: &[BlockId]) -> Result<Vec<Option<Vec<u8>>>, DeviceError> {
        self.read_now(blocks)
    }

    async fn manifest(&self) -> Result<Option<Vec<u8>>, DeviceError> {
        self.manifest_now()
    }

    async fn write(&self, batch: DeviceBatch) -> Result<Written, DeviceError> {
        self.write_now(batch)
    }

    async fn put_meta(&self, name: &str, bytes: Vec<u8>) -> Result<(), DeviceError> {
        self.put_meta_now(name, bytes)
    }

    async fn clear(&self) -> Result<(), DeviceError> {
        self.clear_now()
    }

    async fn usage(&self) -> Result<Usage, DeviceError> {
        self.usage_now()
    }

    async fn blocks(&self) -> Result<Option<Vec<BlockId>>, DeviceError> {
        self.blocks_now()
    }
}

/// Why a device did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceError {
    /// Another tab holds the database in a state in which it cannot be opened.
    Blocked,
    /// The connection is gone: reopen and replay.
    Closed,
    /// A record cannot be read; says which.
    Damaged(String),
    /// A newer program wrote this format; nothing was touched.
    NewerFormat(u64),
    /// Anything else, with the platform's own words.
    Other(String),
    /// The browser or the operating system forbids storage; with its own words.
    PermissionDenied(String),
    /// There is no space left; nothing was written.
    QuotaExceeded,
    /// The log no longer holds all records after the asked sequence; those up to this one are gone. Boot again.
    Trimmed(Seq),
}

impl DeviceError {
    /// Returns the error as a user gets it.
    pub fn failure(&self) -> Failure {
        let code = match self {
            DeviceError::Blocked => ErrorCode::StoreBlocked,
            DeviceError::Closed => ErrorCode::StoreClosed,
            DeviceError::Damaged(_) | DeviceError::Other(_) | DeviceError::Trimmed(_) => ErrorCode::StoreBackend,
            DeviceError::NewerFormat(_) => ErrorCode::StoreNewerFormat,
            DeviceError::PermissionDenied(_) => ErrorCode::IoPermissionDenied,
            DeviceError::QuotaExceeded => ErrorCode::StoreQuotaExceeded,
        };
        Failure::new(code, self.to_string())
    }
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceError::Blocked => {
                write!(f, "another tab holds the database; close the other tabs of this site, then retry")
            }
            DeviceError::Closed => write!(f, "the database was closed; open it again"),
            DeviceError::Damaged(what) => {
                write!(f, "{what} is damaged; connect to a peer that has the data, it is then fetched again")
            }
            DeviceError::NewerFormat(format) => {
                write!(f, "the store has format {format}, which is newer than this program; update Shoal")
            }
            DeviceError::Other(message) => write!(f, "the storage failed: {message}; retry"),
            DeviceError::PermissionDenied(message) => {
                write!(f, "storage is not allowed here: {message}; allow it for this site or directory")
            }
            DeviceError::QuotaExceeded => {
                write!(f, "there is no space left; free space or evict documents, then retry")
            }
            DeviceError::Trimmed(through) => {
                write!(f, "the log up to {} was compacted away; read the store again", through.0)
            }
        }
    }
}

impl std::error::Error for DeviceError {}
