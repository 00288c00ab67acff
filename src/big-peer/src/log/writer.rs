//! The thread that writes one database's log: everything that waits becomes durable by one flush.
//!
//! It takes all queued appends, writes them at once, calls fdatasync, and only then publishes the new head and answers. A
//! failed flush leaves the device in an unknown state (the kernel may have dropped the dirty pages), so nothing is ever
//! written after one: see "fsyncgate", and Rebello et al., "Can Applications Recover from fsync Failures?", 2020.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard};

use value::{Hlc, Seq};

use super::record::{RECORD_BYTES_MAX, RECORD_HEADER_BYTES, encode_header, encode_record};
use super::segment::{self, LogFile, OpenLogFile, Segment};
use super::{Answer, AppendError, LogError, file};
use crate::clock::{Stopwatch, now};
use crate::metrics::Metrics;

/// A record on its way.
pub(super) struct Append {
    pub(super) expected: Option<Seq>,
    pub(super) record: Vec<u8>,
    pub(super) answer: Answer,
}

/// What the writer and the readers of one database share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    writable: AtomicBool,
}

/// What is durable.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) segments: Vec<Segment>,
    pub(super) head: Seq,
}

impl Shared {
    pub(super) fn new(segments: Vec<Segment>, head: Seq) -> Shared {
        Shared { state: Mutex::new(State { segments, head }), writable: AtomicBool::new(true) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds the state of the log")
    }

    pub(super) fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Acquire)
    }
}

/// The writer of one database.
pub(super) struct Writer {
    pub(super) database: String,
    pub(super) directory: PathBuf,
    pub(super) segment_bytes_max: u64,
    pub(super) open: OpenLogFile,
    pub(super) shared: Arc<Shared>,
    pub(super) metrics: Arc<Metrics>,
    /// The last segment, once it is open for appending.
    pub(super) file: Option<Box<dyn LogFile>>,
}

impl Writer {
    /// Serves appends until the last sender is gone.
    pub(super) fn run(mut self, queue: &Receiver<Append>) {
        while let Ok(first) = queue.recv() {
            let mut bytes = first.record.len();
            let mut group = vec![first];
            while bytes < GROUP_BYTES_MAX
                && let Ok(next) = queue.try_recv()
            {
                bytes += next.record.len();
                group.push(next);
            }
            self.commit(group);
        }
    }

    /// Makes a group durable and answers it.
    fn commit(&mut self, group: Vec<Append>) {
        let mut accepted = Vec::with_capacity(group.len());
        let mut conflicts = Vec::new();
        let mut buffer = Vec::new();
        let mut head = self.shared.lock().head;
        let started = self.segment_for(head);
        let synced = self.shared.lock().segments.last().map_or(0, |segment| segment.bytes);
        for append in group {
            if let Err(error) = &started {
                (append.answer)(Err(AppendError::Failed(copy(error))));
            } else if append.record.len() > RECORD_BYTES_MAX {
                (append.answer)(Err(AppendError::Failed(LogError::TooLarge { bytes: append.record.len() })));
            } else if let Some(expected) = append.expected
                && expected != head
            {
                conflicts.push((expected, append.answer));
            } else {
                head = next_seq(head);
                buffer.reserve(RECORD_HEADER_BYTES + append.record.len());
                encode_record(head, synced as u32, &append.record, &mut buffer);
                accepted.push((append.answer, head));
            }
        }
        self.flush(accepted, &buffer, head);
        for (expected, answer) in conflicts {
            let entries = file::read_tail(&self.shared, &self.database, expected).and_then(Iterator::collect);
            answer(Err(entries.map_or_else(AppendError::Failed, AppendError::Conflict)));
        }
    }

    fn flush(&mut self, accepted: Vec<(Answer, Seq)>, buffer: &[u8], head: Seq) {
        if accepted.is_empty() {
            return;
        }
        let result = self.write(buffer);
        if result.is_ok() {
            let mut state = self.shared.lock();
            state.head = head;
            if let Some(segment) = state.segments.last_mut() {
                segment.bytes += buffer.len() as u64;
            }
            self.metrics.log_records.inc_by(accepted.len() as u64);
            self.metrics.log_bytes.inc_by(buffer.len() as u64);
        }
        for (answer, seq) in accepted {
            answer(match &result {
                Ok(()) => Ok(seq),
                Err(error) => Err(AppendError::Failed(copy(error))),
            });
        }
    }

    fn write(&mut self, buffer: &[u8]) -> Result<(), LogError> {
        let segment = self.shared.lock().segments.last().cloned().expect("a segment was started for this group");
        let file = self.file.as_mut().expect("a segment was started for this group");
        if let Err(source) = file.append(buffer) {
            // A full disk is no broken disk: what was half written goes away, and the next append may find room.
            if is_full(&source) && file.cut(segment.bytes).is_ok() {
                return Err(LogError::Full { path: segment.path });
            }
            return Err(self.stop(LogError::Io { path: segment.path, source }));
        }
        let start = Stopwatch::start();
        let synced = file.sync();
        self.metrics.fdatasync_seconds.observe(start.seconds());
        synced.map_err(|source| self.stop(LogError::Io { path: segment.path, source }))
    }

    /// Sees to it that a segment with room is open.
    fn segment_for(&mut self, head: Seq) -> Result<(), LogError> {
        if !self.shared.is_writable() {
            return Err(LogError::Stopped);
        }
        let last = self.shared.lock().segments.last().cloned();
        match last {
            Some(last) if last.bytes < self.segment_bytes_max => {
                if self.file.is_none() {
                    let file = (self.open)(&last.path).map_err(|source| LogError::Io { path: last.path, source })?;
                    self.file = Some(file);
                }
                Ok(())
            }
            Some(_) | None => self.start_segment(next_seq(head)),
        }
    }

    fn start_segment(&mut self, first: Seq) -> Result<(), LogError> {
        let path = self.directory.join(segment::file_name(first));
        let header = encode_header(&self.database, first);
        let made = (self.open)(&path).and_then(|mut file| {
            file.append(&header)?;
            file.sync()?;
            Ok(file)
        });
        let made = made.map_err(LogError::io(&path)).and_then(|file| {
            segment::sync_directory(&self.directory)?;
            Ok(file)
        });
        match made {
            Ok(file) => {
                self.file = Some(file);
                self.shared.lock().segments.push(Segment { path, first, bytes: header.len() as u64 });
                Ok(())
            }
            Err(LogError::Io { source, .. }) if is_full(&source) && std::fs::remove_file(&path).is_ok() => {
                Err(LogError::Full { path })
            }
            Err(error) => Err(self.stop(error)),
        }
    }

    /// Refuses all later appends.
    fn stop(&self, error: LogError) -> LogError {
        self.shared.writable.store(false, Ordering::Release);
        tracing::error!(database = %self.database, %error, "the log failed; writes are refused until a restart");
        error
    }
}

/// Positions are clock readings, so that they grow across a restore and say when.
fn next_seq(head: Seq) -> Seq {
    Seq((head.0 + 1).max(Hlc::from_millis(now()).0))
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Every waiter of a group is told the same cause.
fn copy(error: &LogError) -> LogError {
    match error {
        LogError::Damaged { path, offset, detail } => {
            LogError::Damaged { path: path.clone(), offset: *offset, detail: detail.clone() }
        }
        LogError::Full { path } => LogError::Full { path: path.clone() },
        LogError::Io { path, source } => {
            LogError::Io { path: path.clone(), source: io::Error::new(source.kind(), source.to_string()) }
        }
        LogError::NewerFormat { path, version } => LogError::NewerFormat { path: path.clone(), version: *version },
        LogError::Stopped => LogError::Stopped,
        LogError::TooLarge { bytes } => LogError::TooLarge { bytes: *bytes },
        LogError::UnknownDatabase => LogError::UnknownDatabase,
    }
}

/// Bounds the memory of a group and the time its first waiter waits.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;
