//! The log on one machine: a directory of segments per database, with nothing to set up.
//!
//! Each database has its own writer thread, so a slow flush of one does not hold up another. Readers open the files
//! themselves and stop at the durable length; they never wait for the writer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use value::Seq;

use super::recover::{self, Recovery};
use super::segment::{self, DiskFile, OpenLogFile, SegmentReader};
use super::writer::{Append, Shared, Writer};
use super::{Answer, AppendError, LogEngine, LogError, Tail};
use crate::metrics::Metrics;

/// How a log is opened.
pub struct FileLogOptions {
    /// A segment with at least so many bytes gets no more records.
    pub segment_bytes_max: u64,
    /// Opens the files that are appended to.
    pub open: fn() -> OpenLogFile,
    /// Where flushes and bytes are counted.
    pub metrics: Arc<Metrics>,
}

impl Default for FileLogOptions {
    fn default() -> FileLogOptions {
        FileLogOptions {
            segment_bytes_max: 64 * 1024 * 1024,
            open: || Box::new(DiskFile::open),
            metrics: Arc::new(Metrics::default()),
        }
    }
}

/// The log of all databases of this process.
pub struct FileLog {
    databases: BTreeMap<String, DatabaseLog>,
}

struct DatabaseLog {
    shared: Arc<Shared>,
    /// `None` while the log is being dropped.
    queue: Option<Sender<Append>>,
    thread: Option<JoinHandle<()>>,
    recovery: Recovery,
}

impl FileLog {
    /// Opens the logs of the named databases, each in its own directory, recovering each.
    pub fn open<'a>(
        databases: impl IntoIterator<Item = (&'a str, PathBuf)>,
        options: &FileLogOptions,
    ) -> Result<FileLog, LogError> {
        let mut opened = BTreeMap::new();
        for (database, directory) in databases {
            opened.insert(database.to_owned(), open_database(database, &directory, options)?);
        }
        Ok(FileLog { databases: opened })
    }

    /// Returns what was found and cut when a database's log was opened.
    pub fn recovery(&self, database: &str) -> Option<Recovery> {
        self.databases.get(database).map(|log| log.recovery)
    }

    /// Rewrites the damaged segments of a database that is not open, keeping every whole record.
    pub fn salvage(database: &str, directory: &Path) -> Result<Recovery, LogError> {
        recover::salvage(&segment::list(directory)?, database)
    }

    fn shared(&self, database: &str) -> Result<&Arc<Shared>, LogError> {
        self.databases.get(database).map(|log| &log.shared).ok_or(LogError::UnknownDatabase)
    }
}

impl LogEngine for FileLog {
    fn append(&self, database: &str, expected: Option<Seq>, record: Vec<u8>, answer: Answer) {
        match self.databases.get(database).and_then(|log| log.queue.as_ref()) {
            Some(queue) => {
                if let Err(mpsc::SendError(append)) = queue.send(Append { expected, record, answer }) {
                    (append.answer)(Err(AppendError::Failed(LogError::Stopped)));
                }
            }
            None => answer(Err(AppendError::Failed(LogError::UnknownDatabase))),
        }
    }

    fn head(&self, database: &str) -> Result<Seq, LogError> {
        Ok(self.shared(database)?.lock().head)
    }

    fn tail(&self, database: &str, after: Seq) -> Result<Tail, LogError> {
        read_tail(self.shared(database)?, database, after)
    }

    fn recent(&self, database: &str, bytes_max: u64) -> Result<Seq, LogError> {
        let state = self.shared(database)?.lock().clone();
        let mut left = bytes_max;
        for segment in state.segments.into_iter().rev() {
            if segment.bytes <= left {
                left -= segment.bytes;
                continue;
            }
            let end = segment.bytes;
            let mut reader = SegmentReader::open(segment, database)?;
            let mut position = Seq(0);
            while end - reader.offset() > left {
                match reader.next() {
                    Some(entry) => position = entry?.0,
                    None => break,
                }
            }
            return Ok(position);
        }
        Ok(Seq(0))
    }

    fn trim(&self, database: &str, upto: Seq) -> Result<(), LogError> {
        let shared = self.shared(database)?;
        loop {
            let mut state = shared.lock();
            // All records of a segment are below the first of the next one.
            let is_past = state.segments.get(1).is_some_and(|next| next.first.0 <= upto.0.saturating_add(1));
            if !is_past {
                return Ok(());
            }
            let segment = state.segments.remove(0);
            drop(state);
            std::fs::remove_file(&segment.path).map_err(LogError::io(&segment.path))?;
        }
    }

    fn is_writable(&self) -> bool {
        self.databases.values().all(|log| log.shared.is_writable())
    }
}

impl Drop for FileLog {
    fn drop(&mut self) {
        for log in self.databases.values_mut() {
            drop(log.queue.take());
        }
        for log in self.databases.values_mut() {
            if log.thread.take().is_some_and(|thread| thread.join().is_err()) {
                tracing::error!("a thread of the log panicked");
            }
        }
    }
}

/// Reads the durable records after a position.
pub(super) fn read_tail(shared: &Shared, database: &str, after: Seq) -> Result<Tail, LogError> {
    let mut segments = shared.lock().clone().segments;
    let skipped = segments.iter().rposition(|segment| segment.first <= Seq(after.0.saturating_add(1))).unwrap_or(0);
    segments.drain(..skipped);
    let database = database.to_owned();
    let entries = segments.into_iter().flat_map(move |segment| -> Tail {
        match SegmentReader::open(segment, &database) {
            Ok(reader) => Box::new(reader),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    });
    Ok(Box::new(entries.filter(move |entry| entry.as_ref().map_or(true, |(seq, _)| *seq > after))))
}

fn open_database(database: &str, directory: &Path, options: &FileLogOptions) -> Result<DatabaseLog, LogError> {
    std::fs::create_dir_all(directory).map_err(LogError::io(directory))?;
    let mut segments = segment::list(directory)?;
    let (head, recovery) = recover::recover(&mut segments, database)?;
    if recovery.torn_bytes > 0 {
        tracing::warn!(database, bytes = recovery.torn_bytes, "cut a tail that was never acknowledged off the log");
    }
    let shared = Arc::new(Shared::new(segments, head));
    let (queue, appends) = mpsc::channel();
    let writer = Writer {
        database: database.to_owned(),
        directory: directory.to_owned(),
        segment_bytes_max: options.segment_bytes_max,
        open: (options.open)(),
        shared: Arc::clone(&shared),
        metrics: Arc::clone(&options.metrics),
        file: None,
    };
    let thread = std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || writer.run(&appends))
        .map_err(LogError::io(directory))?;
    Ok(DatabaseLog { shared, queue: Some(queue), thread: Some(thread), recovery })
}
