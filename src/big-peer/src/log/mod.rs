//! The log: one total order of records per database, the truth that every view is made from.
//!
//! In go records (opaque bytes, one commit group each); out come positions, once a record is as durable as the engine
//! promises, and the records again, in order. The room knows nothing of what a record means.
//!
//! Invariants, as absences: no answer before the bytes are durable; no position is given twice; no record that was answered
//! is ever dropped without an operator's `--salvage`.
//!
//! Shape after Kafka's partition and `docs/storage.md`; `LogEngine` is what a cluster's log (NATS JetStream, PostgreSQL)
//! will implement beside [`FileLog`].

mod file;
mod record;
mod recover;
mod segment;
mod writer;

use std::path::PathBuf;
use std::{fmt, io};

use value::{ErrorCode, Failure, Seq};

pub use file::{FileLog, FileLogOptions};
pub use record::RECORD_BYTES_MAX;
pub use recover::Recovery;
pub use segment::{DiskFile, LogFile, OpenLogFile};

/// A record and its place.
pub type Entry = (Seq, Vec<u8>);

/// The records after a position, in order, read as they are asked for.
pub type Tail = Box<dyn Iterator<Item = Result<Entry, LogError>> + Send>;

/// Takes the outcome of one append; called on a thread of the log's own, so it must not block.
pub type Answer = Box<dyn FnOnce(Result<Seq, AppendError>) + Send>;

/// One total order of records per database.
pub trait LogEngine: Send + Sync {
    /// Appends a record and answers once it is durable.
    ///
    /// With `expected` only if the head is still there, else the answer is a conflict. Appends of one caller are answered in
    /// their order. Appends that wait together become durable together.
    fn append(&self, database: &str, expected: Option<Seq>, record: Vec<u8>, answer: Answer);

    /// Returns the position of the last durable record; `Seq(0)` when there is none.
    fn head(&self, database: &str) -> Result<Seq, LogError>;

    /// Returns the durable records after a position.
    fn tail(&self, database: &str, after: Seq) -> Result<Tail, LogError>;

    /// Returns a position that at most so many bytes of records follow.
    fn recent(&self, database: &str, bytes_max: u64) -> Result<Seq, LogError>;

    /// Forgets records up to a position, as far as the layout allows; later ones are never touched.
    fn trim(&self, database: &str, upto: Seq) -> Result<(), LogError>;

    /// Says whether records can still be appended.
    fn is_writable(&self) -> bool;
}

/// Why a record was not appended.
#[derive(Debug)]
pub enum AppendError {
    /// Others appended since `expected`: their records, in order. Nothing was written.
    Conflict(Vec<Entry>),
    /// The record is not durable and never will be.
    Failed(LogError),
}

/// Why the log cannot do what it was asked.
#[derive(Debug)]
pub enum LogError {
    /// Bytes that were once durable are not what was written.
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where the damage starts.
        offset: u64,
        /// What is wrong there.
        detail: String,
    },
    /// The disk has no space; nothing was written and later appends may work again.
    Full {
        /// The segment.
        path: PathBuf,
    },
    /// The operating system refused an operation.
    Io {
        /// On what.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// The segment was written by a newer version of the program.
    NewerFormat {
        /// The segment.
        path: PathBuf,
        /// Its version.
        version: u16,
    },
    /// A write or a flush failed earlier: what is on the disk is unknown, so nothing more is written until a restart.
    Stopped,
    /// The record is over [`RECORD_BYTES_MAX`].
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The log serves no database of that name.
    UnknownDatabase,
}

impl LogError {
    /// Returns the stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            LogError::Damaged { .. } | LogError::Io { .. } | LogError::Stopped => ErrorCode::StoreBackend,
            LogError::Full { .. } => ErrorCode::StoreQuotaExceeded,
            LogError::NewerFormat { .. } => ErrorCode::StoreNewerFormat,
            LogError::TooLarge { .. } => ErrorCode::ValidationSizeLimitExceeded,
            LogError::UnknownDatabase => ErrorCode::SyncDatabase,
        }
    }

    /// Returns the error as a client sees it.
    pub fn to_failure(&self) -> Failure {
        Failure::new(self.code(), self.to_string())
    }

    /// Names the file or directory of an operating system's error.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> LogError {
        let path = path.into();
        move |source| LogError::Io { path, source }
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogError::Damaged { path, offset, detail } => write!(
                f,
                "the log is damaged: {}, offset {offset}: {detail}. Restore it from a copy, or start once with --salvage \
                 to keep every record that is still whole",
                path.display()
            ),
            LogError::Full { path } => write!(f, "there is no space left on the device of {}", path.display()),
            LogError::Io { path, source } => write!(f, "{}: {source}", path.display()),
            LogError::NewerFormat { path, version } => {
                write!(f, "{} has format {version}, which is newer than this program", path.display())
            }
            LogError::Stopped => {
                write!(f, "an earlier write to the log failed; writes are refused until the server is restarted")
            }
            LogError::TooLarge { bytes } => {
                write!(f, "a commit of {bytes} bytes is over the limit of {RECORD_BYTES_MAX}")
            }
            LogError::UnknownDatabase => write!(f, "this server has no database of that name"),
        }
    }
}

impl std::error::Error for LogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LogError::Io { source, .. } => Some(source),
            LogError::Damaged { .. }
            | LogError::Full { .. }
            | LogError::NewerFormat { .. }
            | LogError::Stopped
            | LogError::TooLarge { .. }
            | LogError::UnknownDatabase => None,
        }
    }
}
