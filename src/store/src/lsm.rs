//! The log-structured store: a memtable over immutable segments.
//!
//! Commits go into the memtable. When it is full, `maintenance` offers it as a new run of segments together with a manifest
//! whose floor says that the log up to there is no longer needed for opening. When runs pile up they are merged, slice by
//! slice of the key space, into the bottom level, whose segments do not overlap. Reads look into the memtable, then the runs
//! from newest to oldest, then the bottom level; a segment that is not in memory is named, not fetched.
//!
//! Several tabs run this over one device. They apply the same log in the same order, so a flush by any of them is right for
//! all; the others learn of it by `ReadError::Stale`, by `Written::Conflict` or by a hint from their skin, and `reload`.
//!
//! Invariants: readers see all of a commit or nothing; in-memory state changes only after the device's answer; the log is
//! never deleted beyond the floor; a segment's number is never reused.

mod cache;
mod compact;
mod config;
mod memtable;
mod merge;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use value::{DecodeError, Millis, Seq};

use crate::device::{BlockId, BlockKind, DeviceError, Written};
use crate::filter::filter_hash;
use crate::key::{Key, KeyRange};
use crate::layout::{Opaque, ValueLayout};
use crate::manifest::{Manifest, SegmentInfo};
use crate::rows::Found;
use crate::segment;
use crate::store::{Batch, Maintenance, ReadError, Row, Store, StoreError, Visit, Visitor};

pub use config::{LsmConfig, LsmStats, OpenError};

use cache::Cache;
use memtable::Memtable;
use merge::Merge;

/// The engine over a block device.
#[derive(Debug)]
pub struct Lsm {
    config: LsmConfig,
    layout: &'static dyn ValueLayout,
    /// No other engine has the device open: flushed log need not wait to be read.
    alone: bool,
    manifest: Manifest,
    memtable: Memtable,
    cache: Cache,
    applied: Seq,
    /// When `maintenance` last saw a new commit, and the commit.
    quiet_since: (Millis, Seq),
    /// The step that the skin is writing.
    writing: Option<compact::Step>,
    /// Blocks the device did not have: another tab has compacted, or they are lost.
    vanished: BTreeSet<u64>,
    /// Blocks that cannot be read.
    damaged: BTreeMap<u64, DecodeError>,
    /// Quarantined blocks that the manifest on the device still lists.
    quarantining: BTreeSet<u64>,
}

impl Lsm {
    /// Opens over the manifest of a boot image, `None` for a device without one.
    ///
    /// The caller then applies the records of the log above `floor()`, in order. Reads no segment.
    pub fn open(manifest: Option<&[u8]>, config: LsmConfig) -> Result<Lsm, OpenError> {
        let manifest = manifest.map(Manifest::decode).transpose()?.unwrap_or_default();
        Ok(Lsm {
            applied: manifest.head.floor,
            quiet_since: (Millis(0), manifest.head.floor),
            config,
            layout: &Opaque,
            alone: false,
            manifest,
            memtable: Memtable::default(),
            cache: Cache::default(),
            writing: None,
            vanished: BTreeSet::new(),
            damaged: BTreeMap::new(),
            quarantining: BTreeSet::new(),
        })
    }

    /// Says how values look, so that segments written from now on are smaller.
    pub fn with_layout(self, layout: &'static dyn ValueLayout) -> Lsm {
        Lsm { layout, ..self }
    }

    /// Returns the position up to which the log is in segments.
    pub fn floor(&self) -> Seq {
        self.manifest.head.floor
    }

    /// Returns the position up to which the log was deleted; a peer that asks for less has to be served from state.
    pub fn log_start(&self) -> Seq {
        self.manifest.head.log_start
    }

    /// Takes over a manifest that another tab has written.
    ///
    /// Its floor may be beyond what this tab has applied: then `applied()` moves there and readers see the state of the
    /// segments. The caller still reads the log from where it was itself, to tell its observers; applying those records
    /// again changes nothing. An older manifest than the present one is ignored.
    pub fn reload(&mut self, manifest: &[u8]) -> Result<(), OpenError> {
        let next = Manifest::decode(manifest)?;
        if next.head.version >= self.manifest.head.version {
            self.install(next);
        }
        Ok(())
    }

    /// Gives up a damaged block, so that reads go on without it, and returns the keys it may have held.
    ///
    /// Older rows may show where it held newer ones, until another peer's copy has been merged in. The next maintenance
    /// records it. The block itself stays on the device, for tools.
    pub fn quarantine(&mut self, block: BlockId) -> Option<KeyRange> {
        let BlockKind::Segment = block.kind;
        let info = self.manifest.segments().find(|info| info.id == block.id)?;
        let range = KeyRange::new(info.first.clone(), Some(info.last.successor()));
        self.manifest.quarantine(block.id);
        self.damaged.remove(&block.id);
        self.vanished.remove(&block.id);
        self.quarantining.insert(block.id);
        Some(range)
    }

    /// Returns when the memtable is flushed if nothing is committed until then.
    fn idle_flush_at(&self) -> Option<Millis> {
        let (after_ms, log_bytes) = self.config.idle_flush;
        let enough = self.memtable.log_bytes() >= log_bytes && self.writing.is_none();
        enough.then(|| self.quiet_since.0.plus(after_ms))
    }

    /// Offers the memtable for flushing whatever its size, for example before a tab closes.
    pub fn flush(&mut self, now: Millis) -> Option<Maintenance> {
        if self.writing.is_some() || self.memtable.commits() == 0 {
            return None;
        }
        let step = compact::flush(self, now);
        Some(self.begin(step))
    }

    /// Returns what the engine holds.
    pub fn stats(&self) -> LsmStats {
        LsmStats {
            memtable_bytes: self.memtable.bytes(),
            resident_bytes: self.cache.bytes(),
            resident_segments: self.cache.len(),
            runs: self.manifest.runs.len(),
            segments: self.manifest.segments().count(),
            segment_bytes: self.manifest.segments().map(|info| info.bytes).sum(),
            rows: self.manifest.segments().map(|info| info.rows).sum(),
        }
    }

    /// Notes the step under way and returns its batch.
    fn begin(&mut self, (step, batch): compact::Planned) -> Maintenance {
        self.writing = Some(step);
        Maintenance::Write(batch)
    }

    /// Makes a manifest the present one.
    fn install(&mut self, mut next: Manifest) {
        self.quarantining.retain(|id| next.segments().any(|info| info.id == *id));
        for id in &self.quarantining {
            next.quarantine(*id);
        }
        let live: BTreeSet<u64> = next.segments().map(|info| info.id).collect();
        // A block that vanished and is still listed was not compacted away: it is lost.
        for id in std::mem::take(&mut self.vanished) {
            self.damaged.insert(id, DecodeError::Invalid("block (it is missing)"));
        }
        self.damaged.retain(|id, _| live.contains(id));
        self.cache.retain(&live);
        self.memtable.drop_through(next.head.floor);
        self.applied = self.applied.max(next.head.floor);
        self.manifest = next;
    }

    /// Returns the segment of a level that may hold a key.
    fn candidate<'a>(segments: &'a [SegmentInfo], key: &Key, hash: u64) -> Option<&'a SegmentInfo> {
        let info = segments.get(segments.partition_point(|info| info.last < *key))?;
        (info.first <= *key && info.filter.may_hold(hash)).then_some(info)
    }

    /// Lays memtable, runs and bottom level over each other.
    fn merge(&self, range: &KeyRange) -> Merge<'_> {
        let mut merge = Merge::new();
        merge.memtable(&self.memtable, range);
        for run in self.manifest.runs.iter().rev() {
            let start = run.fence.as_ref().map_or(&range.start, |fence| fence.max(&range.start));
            merge.level(&run.segments, &KeyRange::new(start.clone(), range.end.clone()), &self.cache);
        }
        merge.level(&self.manifest.bottom, range, &self.cache);
        merge
    }

    /// Turns blocks that are not in memory into the error that says what to do about them.
    fn missing(&self, blocks: Vec<BlockId>) -> ReadError {
        for block in &blocks {
            if let Some(reason) = self.damaged.get(&block.id) {
                return ReadError::Damaged { block: *block, reason: reason.clone() };
            }
        }
        if blocks.iter().any(|block| self.vanished.contains(&block.id)) {
            return ReadError::Stale;
        }
        ReadError::NotResident(blocks)
    }
}

impl Store for Lsm {
    fn adopt(&mut self, manifest: &[u8]) -> Result<(), OpenError> {
        self.reload(manifest)
    }

    fn give_up(&mut self, block: BlockId) -> bool {
        self.quarantine(block).is_some()
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.lend(key)?.map(Cow::into_owned))
    }

    fn lend(&self, key: &Key) -> Result<Option<Cow<'_, [u8]>>, ReadError> {
        if let Some(entry) = self.memtable.get(key) {
            return Ok(entry.value.as_deref().map(Cow::Borrowed));
        }
        let hash = filter_hash(key.as_bytes());
        let runs = self.manifest.runs.iter().rev().filter(|run| run.fence.as_ref().is_none_or(|fence| key >= fence));
        let levels = runs.map(|run| &run.segments).chain([&self.manifest.bottom]);
        for info in levels.filter_map(|level| Lsm::candidate(level, key, hash)) {
            let Some(segment) = self.cache.get(info.id) else {
                return Err(self.missing(vec![BlockId::segment(info.id)]));
            };
            match segment.get(key.as_bytes()) {
                Found::Absent => {}
                Found::Deleted => return Ok(None),
                Found::Value(bytes) => return Ok(Some(Cow::Borrowed(bytes))),
            }
        }
        Ok(None)
    }

    fn range(&self, range: &KeyRange, limit: usize) -> Result<Vec<Row>, ReadError> {
        let mut merge = self.merge(range);
        let mut rows = Vec::new();
        while rows.len() < limit {
            match merge.next(limit - rows.len()).map_err(|blocks| self.missing(blocks))? {
                None => break,
                Some(None) => {}
                Some(Some(bytes)) => rows.push((Key::from_bytes(merge.key().to_vec()), bytes.to_vec())),
            }
        }
        Ok(rows)
    }

    fn visit(&self, range: &KeyRange, visit: Visitor<'_>) -> Result<(), ReadError> {
        let mut merge = self.merge(range);
        loop {
            match merge.next(usize::MAX).map_err(|blocks| self.missing(blocks))? {
                None => return Ok(()),
                Some(None) => {}
                Some(Some(bytes)) => {
                    if visit(merge.key(), bytes) == Visit::Stop {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn tail(&self, range: &KeyRange, rows: usize) -> Result<Key, ReadError> {
        let mut tail = range.start.clone();
        if range.is_empty() {
            return Ok(tail);
        }
        let mut changes = self.memtable.range(range).rev();
        if let Some((key, _)) = changes.nth(rows) {
            tail = key.clone();
        }
        let runs = self.manifest.runs.iter().map(|run| (&run.segments, run.fence.as_ref()));
        for (segments, fence) in runs.chain([(&self.manifest.bottom, None)]) {
            let inside = segments.partition_point(|info| !range.is_past(info.first.as_bytes()));
            let start = fence.map_or(&range.start, |fence| fence.max(&range.start));
            let last = inside.checked_sub(1).map(|place| &segments[place]).filter(|info| info.last >= *start);
            let Some(info) = last.filter(|_| !range.is_past(start.as_bytes())) else { continue };
            let Some(segment) = self.cache.get(info.id) else {
                return Err(self.missing(vec![BlockId::segment(info.id)]));
            };
            if let Some(key) = segment.before(range.end.as_ref().map(Key::as_bytes), rows) {
                let key = start.as_bytes().max(key);
                if key > tail.as_bytes() {
                    tail = Key::from_bytes(key.to_vec());
                }
            }
        }
        Ok(tail)
    }

    fn resident(&self, range: &KeyRange) -> Result<(), ReadError> {
        let mut missing = Vec::new();
        let runs = self.manifest.runs.iter().map(|run| (&run.segments, run.fence.as_ref()));
        for (segments, fence) in runs.chain([(&self.manifest.bottom, None)]) {
            let start = fence.map_or(&range.start, |fence| fence.max(&range.start));
            let first = segments.partition_point(|info| info.last < *start);
            let inside = segments[first..].iter().take_while(|info| !range.is_past(info.first.as_bytes()));
            missing.extend(inside.filter(|info| !self.cache.holds(info.id)).map(|info| BlockId::segment(info.id)));
        }
        if missing.is_empty() { Ok(()) } else { Err(self.missing(missing)) }
    }

    fn apply(&mut self, batch: Batch) -> Result<(), StoreError> {
        if batch.seq > self.applied {
            self.applied = batch.seq;
            self.memtable.apply(batch);
        }
        Ok(())
    }

    fn applied(&self) -> Seq {
        self.applied
    }

    fn admit(&mut self, block: BlockId, bytes: Option<Vec<u8>>) -> Result<(), ReadError> {
        let BlockKind::Segment = block.kind;
        // The answer to a question that a reload has made pointless.
        if !self.manifest.segments().any(|info| info.id == block.id) {
            return Ok(());
        }
        let Some(bytes) = bytes else {
            self.vanished.insert(block.id);
            return Err(ReadError::Stale);
        };
        match segment::open(block.id, &bytes) {
            Ok(rows) => {
                self.damaged.remove(&block.id);
                self.vanished.remove(&block.id);
                self.cache.insert(block.id, rows);
                Ok(())
            }
            Err(reason) => {
                self.damaged.insert(block.id, reason.clone());
                Err(ReadError::Damaged { block, reason })
            }
        }
    }

    fn maintenance(&mut self, now: Millis) -> Option<Maintenance> {
        if self.writing.is_some() {
            return None;
        }
        if self.quiet_since.1 != self.applied {
            self.quiet_since = (now, self.applied);
        }
        let due = self.memtable.bytes() >= self.config.memtable_bytes_max
            || self.memtable.commits() >= self.config.wal_commits_max
            || self.idle_flush_at().is_some_and(|due| due <= now);
        if due {
            return self.flush(now);
        }
        let mut wanted = BTreeSet::new();
        let mut answer = None;
        match compact::merge(self) {
            compact::Plan::Blocked => {}
            compact::Plan::Idle => {
                let trim = compact::trim_due(self, &self.manifest).is_some_and(|due| due <= now);
                if trim || !self.quarantining.is_empty() {
                    let step = compact::rewrite(self, now);
                    answer = Some(self.begin(step));
                }
            }
            compact::Plan::Load { inputs, missing } => {
                wanted = inputs;
                answer = Some(Maintenance::Load(missing));
            }
            compact::Plan::Ready(planned) => answer = Some(self.begin(*planned)),
        }
        self.cache.shrink(self.config.cache_bytes_max, &wanted);
        answer
    }

    fn keep_log_for_others(&mut self, keep: bool) {
        self.alone = !keep;
    }

    fn maintenance_at(&self) -> Option<Millis> {
        compact::trim_due(self, &self.manifest).into_iter().chain(self.idle_flush_at()).min()
    }

    fn maintained(&mut self, outcome: Result<Written, DeviceError>) -> Result<(), OpenError> {
        let Some(step) = self.writing.take() else {
            return Ok(());
        };
        match outcome {
            // The skin has told its user; the step is planned again.
            Err(_) => Ok(()),
            Ok(Written::Conflict(manifest)) => self.reload(&manifest),
            Ok(Written::Done) => {
                if step.manifest.head.version > self.manifest.head.version {
                    self.install(step.manifest);
                }
                let live: BTreeSet<u64> = self.manifest.segments().map(|info| info.id).collect();
                for (id, rows) in step.segments.into_iter().filter(|(id, _)| live.contains(id)) {
                    self.cache.insert(id, rows);
                }
                Ok(())
            }
        }
    }
}
