//! Merging sorted sources into one: the memtable, the runs from newest to oldest, and the bottom level.
//!
//! Of equal keys the newest source wins and the others are stepped over. A source that reaches a segment which is not
//! resident stops the merge with the names of the blocks to read, and of those behind them that will be needed for sure.

use std::cmp::Ordering;
use std::collections::btree_map;
use std::iter::Peekable;

use crate::device::BlockId;
use crate::key::{Key, KeyRange};
use crate::lsm::cache::Cache;
use crate::lsm::memtable::{Entry, Memtable};
use crate::manifest::SegmentInfo;
use crate::rows::RowCursor;

/// How many blocks one `NotResident` names at most, per source: a round trip of about 4 MiB.
const AHEAD_BLOCKS_MAX: usize = 64;

/// Hands out keys in order, each with its newest change.
pub(crate) struct Merge<'a> {
    /// Of the change that was handed out last.
    key: Vec<u8>,
    memtable: Option<Peekable<btree_map::Range<'a, Key, Entry>>>,
    /// Newest first.
    levels: Vec<LevelCursor<'a>>,
    /// The levels that hold the key that is next, newest first.
    holders: Vec<usize>,
}

impl<'a> Merge<'a> {
    pub fn new() -> Merge<'a> {
        Merge { key: Vec::new(), memtable: None, levels: Vec::new(), holders: Vec::new() }
    }

    /// Adds the memtable, which is newer than every level.
    pub fn memtable(&mut self, memtable: &'a Memtable, range: &KeyRange) {
        if !range.is_empty() {
            self.memtable = Some(memtable.range(range).peekable());
        }
    }

    /// Adds a level that is older than those added before.
    pub fn level(&mut self, segments: &'a [SegmentInfo], range: &KeyRange, cache: &'a Cache) {
        if !range.is_empty() {
            self.levels.push(LevelCursor::new(segments, range, cache));
        }
    }

    /// Returns the key of the change that `next` returned last.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Steps to the next key and returns its newest change, `None` inside for a tombstone.
    ///
    /// `rows_wanted` says how many more rows the caller will take: it bounds what is asked for ahead.
    pub fn next(&mut self, rows_wanted: usize) -> Result<Option<Option<&'a [u8]>>, Vec<BlockId>> {
        if self.levels.iter().any(LevelCursor::is_stuck) {
            return Err(self.levels.iter().flat_map(|level| level.missing(rows_wanted)).collect());
        }
        let newest = self.memtable.as_mut().and_then(|entries| entries.peek().map(|(key, _)| key.as_bytes()));
        // Each level is asked for its key once: a scan asks a million times.
        let mut least: Option<&[u8]> = None;
        for (at, level) in self.levels.iter().enumerate() {
            let Some(key) = level.key() else { continue };
            match least.map(|least| key.cmp(least)) {
                None | Some(Ordering::Less) => {
                    least = Some(key);
                    self.holders.clear();
                    self.holders.push(at);
                }
                Some(Ordering::Equal) => self.holders.push(at),
                Some(Ordering::Greater) => {}
            }
        }
        let (key, in_memtable) = match (newest, least) {
            (None, None) => return Ok(None),
            (None, Some(least)) => (least, false),
            (Some(newest), None) => (newest, true),
            (Some(newest), Some(least)) => match newest.cmp(least) {
                Ordering::Less => {
                    self.holders.clear();
                    (newest, true)
                }
                Ordering::Equal => (newest, true),
                Ordering::Greater => (least, false),
            },
        };
        self.key.clear();
        self.key.extend_from_slice(key);
        let mut change = None;
        if in_memtable {
            change = self.memtable.as_mut().and_then(Iterator::next).map(|(_, entry)| entry.value.as_deref());
        }
        for at in self.holders.drain(..) {
            let value = self.levels[at].take();
            change = change.or(value);
        }
        Ok(change)
    }
}

/// Walks the ascending segments of one run or of the bottom level.
struct LevelCursor<'a> {
    /// The segments from the current one on.
    segments: &'a [SegmentInfo],
    range: KeyRange,
    cache: &'a Cache,
    /// No key of the current segment is past the range.
    is_inside: bool,
    /// `None` when the current segment is not resident.
    rows: Option<RowCursor<'a>>,
}

impl<'a> LevelCursor<'a> {
    fn new(segments: &'a [SegmentInfo], range: &KeyRange, cache: &'a Cache) -> LevelCursor<'a> {
        let first = segments.partition_point(|segment| segment.last < range.start);
        let end = segments.partition_point(|segment| !range.is_past(segment.first.as_bytes()));
        let segments = segments.get(first..end).unwrap_or_default();
        let mut cursor = LevelCursor { segments, range: range.clone(), cache, is_inside: false, rows: None };
        cursor.open();
        cursor
    }

    /// Opens the current segment, and the following ones while those have no row of the range left.
    fn open(&mut self) {
        self.rows = None;
        while let Some(info) = self.segments.first() {
            let Some(segment) = self.cache.get(info.id) else {
                return;
            };
            let rows = segment.seek(self.range.start.as_bytes());
            if rows.row().is_some() {
                self.is_inside = !self.range.is_past(info.last.as_bytes());
                self.rows = Some(rows);
                return;
            }
            self.segments = &self.segments[1..];
        }
    }

    /// Says whether the cursor cannot stand because its segment is not in memory.
    fn is_stuck(&self) -> bool {
        self.rows.is_none() && !self.segments.is_empty()
    }

    /// Returns the current key inside the range.
    fn key(&self) -> Option<&[u8]> {
        let (key, _) = self.rows.as_ref()?.row()?;
        (self.is_inside || !self.range.is_past(key)).then_some(key)
    }

    /// Returns the current change and steps on.
    fn take(&mut self) -> Option<Option<&'a [u8]>> {
        let rows = self.rows.as_mut()?;
        let (_, value) = rows.row()?;
        rows.advance();
        if rows.row().is_none() {
            self.segments = &self.segments[1..];
            self.open();
        }
        Some(value)
    }

    /// Returns the blocks without which the cursor cannot stand: the current segment and some of those behind it.
    fn missing(&self, rows_wanted: usize) -> Vec<BlockId> {
        if self.rows.is_some() {
            return Vec::new();
        }
        let mut missing = Vec::new();
        let mut rows = 0;
        for info in self.segments {
            if missing.len() == AHEAD_BLOCKS_MAX || rows >= rows_wanted as u64 {
                break;
            }
            rows += info.rows - info.tombstones.min(info.rows);
            if !self.cache.holds(info.id) {
                missing.push(BlockId::segment(info.id));
            }
        }
        missing
    }
}
