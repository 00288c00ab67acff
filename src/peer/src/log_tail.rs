//! The recent end of the log in memory: what live links and catch-ups are served from.
//!
//! Bounded by bytes; what fell off is served by a scan. The newest entries also remember what each change did, so that a
//! subscription's predicate can be tested before and after it, and a delta sent where the base was sent before.

use std::collections::VecDeque;
use std::rc::Rc;

use value::{Seq, StoreId};

use crate::draft::Change;
use crate::record::{LOCAL, Part};

/// Records kept, bytes.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Changes remembered with their fields, documents.
const CHANGES_MAX: usize = 4_000;

/// One commit.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// Its position.
    pub seq: Seq,
    /// What changed, by origin.
    pub parts: Rc<[Part]>,
    /// What the changes did, in no order; `None`: forgotten, or read back after a restart.
    pub changes: Option<Rc<[Change]>>,
    bytes: usize,
}

impl LogEntry {
    /// Says whether a link to that store has something to hear of it.
    pub fn is_news_for(&self, store: StoreId) -> bool {
        self.parts.iter().any(|part| part.origin != store && !part.docs.is_empty())
    }

    /// Says whether it changed documents, and not only small records.
    pub fn has_docs(&self) -> bool {
        self.parts.iter().any(|part| !part.docs.is_empty())
    }

    /// Says whether something was written here.
    pub fn is_local(&self) -> bool {
        self.parts.iter().any(|part| part.origin == LOCAL && !part.docs.is_empty())
    }
}

/// The recent commits, ascending.
#[derive(Debug, Default)]
pub struct LogTail {
    entries: VecDeque<LogEntry>,
    head: Seq,
    floor: Seq,
    bytes: usize,
    changes: usize,
    /// Entries before this index have no changes any more.
    forgotten: usize,
}

impl LogTail {
    /// Starts with nothing, at a position.
    pub fn new(floor: Seq) -> LogTail {
        LogTail { head: floor, floor, ..LogTail::default() }
    }

    /// Returns the position of the last commit.
    pub fn head(&self) -> Seq {
        self.head
    }

    /// Returns the position after which every commit is here.
    pub fn floor(&self) -> Seq {
        self.floor
    }

    /// Adds a commit; returns whether the floor rose.
    pub fn push(&mut self, seq: Seq, parts: Vec<Part>, changes: Option<Vec<Change>>, bytes: usize) -> bool {
        assert!(seq > self.head, "positions in a log grow");
        self.head = seq;
        self.bytes += bytes;
        self.changes += changes.as_ref().map_or(0, Vec::len);
        self.entries.push_back(LogEntry { seq, parts: parts.into(), changes: changes.map(Into::into), bytes });
        while self.changes > CHANGES_MAX && self.forgotten + 1 < self.entries.len() {
            let forgotten = self.entries[self.forgotten].changes.take();
            self.changes -= forgotten.map_or(0, |changes| changes.len());
            self.forgotten += 1;
        }
        let floor = self.floor;
        while self.bytes > BYTES_MAX && self.entries.len() > 1 {
            let oldest = self.entries.pop_front().expect("there is more than one");
            self.bytes -= oldest.bytes;
            self.changes -= oldest.changes.map_or(0, |changes| changes.len());
            self.forgotten = self.forgotten.saturating_sub(1);
            self.floor = oldest.seq;
        }
        self.floor > floor
    }

    /// Returns the commits after a position, ascending.
    pub fn after(&self, seq: Seq) -> impl Iterator<Item = &LogEntry> {
        let start = self.entries.partition_point(|entry| entry.seq <= seq);
        self.entries.range(start..)
    }
}
