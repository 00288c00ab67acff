//! The commits that are in the log but not yet in segments, as a sorted map.
//!
//! Each change carries its sequence: whoever flushes, this tab or another, everything at or below the new floor can go.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use value::Seq;

use crate::key::{Key, KeyRange};
use crate::store::Batch;

/// What a key takes in memory besides its bytes, an estimate.
const ENTRY_OVERHEAD_BYTES: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Memtable {
    entries: BTreeMap<Key, Entry>,
    bytes: usize,
    /// Size of the log record of each commit, ascending.
    commits: VecDeque<(Seq, u64)>,
}

/// The latest change of a key.
#[derive(Debug)]
pub(crate) struct Entry {
    seq: Seq,
    pub value: Option<Vec<u8>>,
}

impl Memtable {
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn commits(&self) -> usize {
        self.commits.len()
    }

    /// Returns the bytes of log that the commits take.
    pub fn log_bytes(&self) -> u64 {
        self.commits.iter().map(|(_, bytes)| bytes).sum()
    }

    pub fn apply(&mut self, batch: Batch) {
        let mut changed = 0;
        for (key, value) in batch.changes {
            let size = size(&key, value.as_deref());
            changed += size as u64;
            self.bytes += size;
            let before = self.entries.get(&key).map_or(0, |entry| self::size(&key, entry.value.as_deref()));
            self.bytes -= before;
            self.entries.insert(key, Entry { seq: batch.seq, value });
        }
        let record_bytes = if batch.record_bytes == 0 { changed } else { batch.record_bytes };
        self.commits.push_back((batch.seq, record_bytes));
    }

    /// Drops what is now in segments.
    pub fn drop_through(&mut self, floor: Seq) {
        self.entries.retain(|_, entry| entry.seq > floor);
        self.bytes = self.entries.iter().map(|(key, entry)| size(key, entry.value.as_deref())).sum();
        while self.commits.pop_front_if(|(seq, _)| *seq <= floor).is_some() {}
    }

    pub fn get(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Returns the entries of a range, which must not be empty by its bounds.
    pub fn range(&self, range: &KeyRange) -> std::collections::btree_map::Range<'_, Key, Entry> {
        let end = range.end.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        self.entries.range((Bound::Included(&range.start), end))
    }
}

fn size(key: &Key, value: Option<&[u8]>) -> usize {
    ENTRY_OVERHEAD_BYTES + key.as_bytes().len() + value.map_or(0, <[u8]>::len)
}
