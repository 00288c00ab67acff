//! The recent end of the log in memory: what live links and catch-ups are served from.
//!
//! Bounded by bytes; what fell off is served by a scan. The newest entries also remember what each change did, so that a
//! subscription's predicate can be tested before and after it, and a delta sent where the base was sent before.

use std::collections::VecDeque;
use std::rc::Rc;

use value::{CollectionName, DocId, Seq, StoreId};

use crate::draft::Change;
use crate::io::LinkId;
use crate::record::{LOCAL, Part};

/// Records kept, bytes.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Changes remembered with their fields, documents.
const CHANGES_MAX: usize = 4_000;

/// How a part came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via {
    /// The store that sent it.
    pub store: StoreId,
    /// Over which link.
    pub link: LinkId,
    /// Which set of that store's subscriptions the link was serving.
    pub serving: u64,
}

/// One commit.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// Its position.
    pub seq: Seq,
    /// What changed, by origin.
    pub parts: Rc<[Part]>,
    /// What the changes did, ascending by collection and `_id`; `None`: forgotten, or read back after a restart.
    pub changes: Option<Rc<[Change]>>,
    /// How parts of other stores came, as far as it is known.
    pub vias: Vec<Via>,
    bytes: usize,
}

impl LogEntry {
    /// Joins what is known of a commit; `bytes` is the length of its record.
    pub fn new(seq: Seq, parts: Vec<Part>, changes: Option<Vec<Change>>, vias: Vec<Via>, bytes: usize) -> LogEntry {
        LogEntry { seq, parts: parts.into(), changes: changes.map(Into::into), vias, bytes }
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
    /// Position of the last commit that evicted something.
    last_eviction: Seq,
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
    pub fn push(&mut self, entry: LogEntry) -> bool {
        let (seq, bytes) = (entry.seq, entry.bytes);
        assert!(seq > self.head, "positions in a log grow");
        self.head = seq;
        if entry.parts.iter().any(|part| !part.evicted.is_empty()) {
            self.last_eviction = seq;
        }
        self.bytes += bytes;
        self.changes += entry.changes.as_ref().map_or(0, |changes| changes.len());
        self.entries.push_back(entry);
        while self.changes > CHANGES_MAX && self.forgotten + 1 < self.entries.len() {
            let forgotten = self.entries[self.forgotten].changes.take();
            self.changes -= forgotten.map_or(0, |changes| changes.len());
            self.forgotten += 1;
        }
        let floor = self.floor;
        while self.bytes > BYTES_MAX && self.entries.len() > 1 {
            self.drop_oldest();
        }
        self.floor > floor
    }

    /// Gives up everything through a position, because a record there is missing; returns whether the floor rose.
    pub fn break_off(&mut self, at: Seq) -> bool {
        let floor = self.floor;
        while self.entries.front().is_some_and(|oldest| oldest.seq <= at) {
            self.drop_oldest();
        }
        self.head = self.head.max(at);
        self.floor = self.floor.max(at);
        self.floor > floor
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.entries.pop_front() else { return };
        self.bytes -= oldest.bytes;
        self.changes -= oldest.changes.map_or(0, |changes| changes.len());
        self.forgotten = self.forgotten.saturating_sub(1);
        self.floor = oldest.seq;
    }

    /// Says whether a document was evicted after a position: then a delta of before has lost its base.
    pub fn evicted_after(&self, collection: &CollectionName, id: &DocId, seq: Seq) -> bool {
        let evicts = |part: &Part| part.evicted.iter().any(|(name, evicted)| name == collection && evicted == id);
        self.last_eviction > seq && self.after(seq).any(|entry| entry.parts.iter().any(evicts))
    }

    /// Returns the commits after a position, ascending.
    pub fn after(&self, seq: Seq) -> impl Iterator<Item = &LogEntry> {
        let start = self.entries.partition_point(|entry| entry.seq <= seq);
        self.entries.range(start..)
    }
}
