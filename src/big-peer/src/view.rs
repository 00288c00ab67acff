//! The view: what the log adds up to, as rows on the disk, in fjall.
//!
//! It implements the engine's `Store`: a commit's rows and the position it brings the view to are one atomic batch. Nothing
//! waits for its durability: the log has the truth, so a view that is missing, damaged, of another log or ahead of it is
//! deleted and made again. It never parks a read and needs no housekeeping from the engine.
//!
//! Sources: fjall 3 (log-structured merge tree); the rule that its journal is never the only copy comes from its recovery
//! gaps, `docs/storage.md`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs, io};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use store::{Batch, Key, KeyRange, ReadError, Row, Store, StoreError};
use value::{Seq, StoreId};

use crate::metrics::Metrics;

/// The rows of one database.
pub struct View {
    database: Database,
    rows: Keyspace,
    meta: Keyspace,
    applied: Seq,
    metrics: Arc<Metrics>,
}

/// What a view must agree with.
#[derive(Clone, Copy, Debug)]
pub struct LogPosition {
    /// The log it was made from.
    pub store: StoreId,
    /// The last record of that log.
    pub head: Seq,
}

/// Why a view was made anew.
#[derive(Debug, PartialEq, Eq)]
pub enum Rebuild {
    /// It is ahead of the log.
    Ahead(Seq),
    /// It cannot be read; in the words of the storage engine.
    Damaged(String),
    /// It was made from another log, or by another version of this program.
    Foreign,
    /// There was none.
    Missing,
}

/// Why there is no view.
#[derive(Debug)]
pub enum ViewError {
    /// The storage engine failed on a fresh directory.
    Backend(fjall::Error),
    /// The old view could not be deleted.
    Io {
        /// The directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl fmt::Display for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ViewError::Backend(error) => write!(f, "the view cannot be made: {error}"),
            ViewError::Io { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}

impl std::error::Error for ViewError {}

impl View {
    /// Opens the view in a directory, or makes an empty one when the old one does not fit the log.
    ///
    /// The caller brings it forward from `applied()` by the records of the log.
    pub fn open(
        directory: &Path,
        log: LogPosition,
        metrics: &Arc<Metrics>,
    ) -> Result<(View, Option<Rebuild>), ViewError> {
        let rebuild = if directory.exists() {
            match View::load(directory, metrics) {
                Ok((view, stamp)) if stamp == stamp_of(log.store) && view.applied <= log.head => {
                    return Ok((view, None));
                }
                Ok((view, stamp)) if stamp == stamp_of(log.store) => Rebuild::Ahead(view.applied),
                Ok(_) => Rebuild::Foreign,
                Err(error) => Rebuild::Damaged(error.to_string()),
            }
        } else {
            Rebuild::Missing
        };
        if rebuild != Rebuild::Missing {
            fs::remove_dir_all(directory).map_err(|source| ViewError::Io { path: directory.to_owned(), source })?;
        }
        let (view, _) = View::load(directory, metrics).map_err(ViewError::Backend)?;
        view.meta.insert(STAMP, stamp_of(log.store)).map_err(ViewError::Backend)?;
        view.database.persist(PersistMode::SyncAll).map_err(ViewError::Backend)?;
        Ok((view, Some(rebuild)))
    }

    /// Returns what makes the view durable from another thread, so that fewer records are replayed after a crash.
    pub fn persister(&self) -> Persister {
        Persister(self.database.clone())
    }

    fn load(directory: &Path, metrics: &Arc<Metrics>) -> Result<(View, Vec<u8>), fjall::Error> {
        let database = Database::builder(directory)
            .cache_size(CACHE_BYTES)
            .manual_journal_persist(true)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .worker_threads(1)
            .open()?;
        let rows = database.keyspace("rows", KeyspaceCreateOptions::default)?;
        let meta = database.keyspace("meta", KeyspaceCreateOptions::default)?;
        let stamp = meta.get(STAMP)?.map(|bytes| bytes.to_vec()).unwrap_or_default();
        let applied = meta.get(APPLIED)?.and_then(|bytes| Some(u64::from_be_bytes(bytes.as_ref().try_into().ok()?)));
        let applied = Seq(applied.unwrap_or(0));
        Ok((View { database, rows, meta, applied, metrics: Arc::clone(metrics) }, stamp))
    }
}

impl Store for View {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.rows.get(key.as_bytes()).map_err(read_error)?.map(|bytes| bytes.to_vec()))
    }

    fn range(&self, range: &KeyRange, limit: usize) -> Result<Vec<Row>, ReadError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let start = range.start.as_bytes();
        let found = match &range.end {
            Some(end) => self.rows.range(start..end.as_bytes()),
            None => self.rows.range(start..),
        };
        let mut rows = Vec::new();
        for row in found.take(limit) {
            let (key, bytes) = row.into_inner().map_err(read_error)?;
            rows.push((Key::from_bytes(key.to_vec()), bytes.to_vec()));
        }
        Ok(rows)
    }

    fn tail(&self, range: &KeyRange, rows: usize) -> Result<Key, ReadError> {
        if range.is_empty() {
            return Ok(range.start.clone());
        }
        let start = range.start.as_bytes();
        let found = match &range.end {
            Some(end) => self.rows.range(start..end.as_bytes()),
            None => self.rows.range(start..),
        };
        match found.rev().nth(rows) {
            Some(row) => Ok(Key::from_bytes(row.into_inner().map_err(read_error)?.0.to_vec())),
            None => Ok(range.start.clone()),
        }
    }

    fn apply(&mut self, batch: Batch) -> Result<(), StoreError> {
        if batch.seq <= self.applied {
            return Ok(());
        }
        let mut writes = self.database.batch();
        for (key, change) in batch.changes {
            match change {
                Some(bytes) => writes.insert(&self.rows, key.as_bytes(), bytes),
                None => writes.remove(&self.rows, key.as_bytes()),
            }
        }
        writes.insert(&self.meta, APPLIED, batch.seq.0.to_be_bytes());
        writes.commit().map_err(store_error)?;
        self.applied = batch.seq;
        self.metrics.view_batches.inc();
        Ok(())
    }

    fn applied(&self) -> Seq {
        self.applied
    }
}

/// Makes a view durable.
#[derive(Clone)]
pub struct Persister(Database);

impl Persister {
    /// Returns once everything applied so far is on the device. Milliseconds.
    pub fn persist(&self) -> Result<(), StoreError> {
        self.0.persist(PersistMode::SyncData).map_err(store_error)
    }
}

fn stamp_of(store: StoreId) -> Vec<u8> {
    let mut stamp = vec![FORMAT];
    stamp.extend_from_slice(&store.0.to_be_bytes());
    stamp
}

fn read_error(error: fjall::Error) -> ReadError {
    ReadError::Backend(error.to_string())
}

fn store_error(error: fjall::Error) -> StoreError {
    match error {
        fjall::Error::Io(error) if error.kind() == io::ErrorKind::StorageFull => StoreError::QuotaExceeded,
        error => StoreError::Backend(error.to_string()),
    }
}

/// Raised when the meaning of the rows changes; older views are made again.
const FORMAT: u8 = 1;
const STAMP: &str = "stamp";
const APPLIED: &str = "applied";
/// Blocks kept in memory.
const CACHE_BYTES: u64 = 128 * 1024 * 1024;
/// Bounds the time to open after a crash.
const JOURNAL_BYTES_MAX: u64 = 128 * 1024 * 1024;
