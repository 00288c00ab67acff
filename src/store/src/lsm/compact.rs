//! Planning of flushes and merges: pure functions from the engine's state to a device batch.
//!
//! A merge takes all runs that were there when it began and moves them into the bottom level in slices of the key space. After
//! each slice the runs carry a fence: below it they no longer count. New flushes may come in between; they are newer than
//! everything the merge touches. Tombstones are dropped in the bottom level, below which there is nothing to hide.
//!
//! The log that a flush makes superfluous is remembered as a mark; marks over the keep limits are dropped with their log, but
//! never the newest, so that the device always has a record that remembers its head.

use std::collections::BTreeSet;
use std::ops::Range;

use value::{Hlc, Millis, Seq};

use crate::device::{BlockId, DeviceBatch};
use crate::key::KeyRange;
use crate::lsm::merge::Merge;
use crate::lsm::{Lsm, LsmConfig};
use crate::manifest::{LogMark, Manifest, Run, SegmentInfo};
use crate::segment::SegmentBuilder;

/// A merge begins with more runs than this, once they hold an eighth of what the bottom level holds.
const RUNS_MIN: usize = 4;
/// A merge begins with this many runs in any case: every run is one more place to look.
const RUNS_MAX: usize = 16;
/// How many times larger than the runs the bottom level may be for an early merge: bounds what a merge rewrites.
const GROWTH: u64 = 8;

/// What becomes true when the device has written a batch.
#[derive(Debug)]
pub(crate) struct Step {
    pub manifest: Manifest,
    pub segments: Vec<(u64, Vec<u8>)>,
}

pub(crate) type Planned = (Step, DeviceBatch);

/// The state of the merge.
pub(crate) enum Plan {
    /// An input is damaged or has vanished: it waits for `quarantine` or `reload`.
    Blocked,
    Idle,
    Load {
        inputs: BTreeSet<u64>,
        missing: Vec<BlockId>,
    },
    Ready(Box<Planned>),
}

/// Plans the memtable as a new run.
pub(crate) fn flush(lsm: &Lsm, now: Millis) -> Planned {
    let mut next = lsm.manifest.successor();
    let nothing_below = next.segments().next().is_none();
    let mut output = Output::new(next.next_segment, lsm.config.segment_bytes);
    for (key, entry) in lsm.memtable.range(&KeyRange::all()) {
        if entry.value.is_some() || !nothing_below {
            output.push(key.as_bytes(), entry.value.as_deref());
        }
    }
    let (infos, segments) = output.finish();
    next.next_segment += infos.len() as u64;
    if !infos.is_empty() {
        next.runs.push(Run { fence: None, segments: infos });
    }
    next.head.floor = lsm.applied;
    next.marks.push(LogMark { through: lsm.applied, bytes: lsm.memtable.log_bytes() });
    let delete_log_through = trim_log(&mut next, &lsm.config, now);
    let mut planned = planned(lsm, next, segments, Vec::new());
    planned.1.delete_log_through = delete_log_through;
    planned
}

/// Plans a manifest that differs in nothing but its version and what was changed in memory.
pub(crate) fn rewrite(lsm: &Lsm) -> Planned {
    planned(lsm, lsm.manifest.successor(), Vec::new(), Vec::new())
}

/// Drops the marks over the keep limits and returns how far the log can go.
fn trim_log(next: &mut Manifest, config: &LsmConfig, now: Millis) -> Option<Seq> {
    let oldest_kept = Hlc::from_millis(Millis(now.0.saturating_sub(config.wal_keep_ms)));
    let mut bytes: u64 = next.marks.iter().map(|mark| mark.bytes).sum();
    let mut gone = 0;
    for mark in &next.marks[..next.marks.len() - 1] {
        if bytes <= config.wal_keep_bytes && mark.through.0 >= oldest_kept.0 {
            break;
        }
        bytes -= mark.bytes;
        next.head.log_start = mark.through;
        gone += 1;
    }
    next.marks.drain(..gone);
    (gone > 0).then_some(next.head.log_start)
}

/// Plans the next slice of the merge under way, or the first of a new one when it is due.
pub(crate) fn merge(lsm: &Lsm) -> Plan {
    let count = runs_to_merge(&lsm.manifest);
    if count == 0 {
        return Plan::Idle;
    }
    let slice = Slice::choose(&lsm.manifest, count, lsm.config.merge_bytes_max);
    let inputs: BTreeSet<u64> = slice.inputs(&lsm.manifest).map(|info| info.id).collect();
    if inputs.iter().any(|id| lsm.damaged.contains_key(id) || lsm.vanished.contains(id)) {
        return Plan::Blocked;
    }
    let missing: Vec<BlockId> =
        inputs.iter().filter(|id| !lsm.cache.holds(**id)).map(|id| BlockId::segment(*id)).collect();
    if !missing.is_empty() {
        return Plan::Load { inputs, missing };
    }
    Plan::Ready(Box::new(merge_slice(lsm, &slice)))
}

/// Returns how many of the oldest runs are to be merged now; 0 when no merge is due.
fn runs_to_merge(manifest: &Manifest) -> usize {
    let under_way = manifest.runs.iter().take_while(|run| run.fence.is_some()).count();
    if under_way > 0 {
        return under_way;
    }
    let bytes = |segments: &mut dyn Iterator<Item = &SegmentInfo>| segments.map(|info| info.bytes).sum::<u64>();
    let in_runs = bytes(&mut manifest.runs.iter().flat_map(|run| &run.segments));
    let in_bottom = bytes(&mut manifest.bottom.iter());
    let runs = manifest.runs.len();
    let due = runs >= RUNS_MAX || runs > RUNS_MIN && in_runs.saturating_mul(GROWTH) >= in_bottom;
    if due { runs } else { 0 }
}

/// A part of the key space that is merged in one step.
struct Slice {
    /// The oldest runs that take part.
    count: usize,
    range: KeyRange,
    /// The segments of the bottom level that meet the range; they may reach beyond it and are rewritten whole.
    bottom: Range<usize>,
}

impl Slice {
    /// Starts at the fence and ends at a segment's first key, so that about `bytes_max` are read.
    fn choose(manifest: &Manifest, count: usize, bytes_max: u64) -> Slice {
        let start = manifest.runs[0].fence.clone().unwrap_or_default();
        let runs = manifest.runs[..count].iter().flat_map(|run| &run.segments);
        let mut ahead: Vec<&SegmentInfo> = Vec::new();
        for info in runs.chain(&manifest.bottom).filter(|info| info.last >= start) {
            ahead.insert(ahead.partition_point(|other| other.first <= info.first), info);
        }
        let (mut bytes, mut end) = (0, None);
        for info in ahead {
            if bytes > 0 && bytes + info.bytes > bytes_max && info.first > start {
                end = Some(info.first.clone());
                break;
            }
            bytes += info.bytes;
        }
        let range = KeyRange::new(start, end);
        let bottom = overlap(&manifest.bottom, &range);
        Slice { count, range, bottom }
    }

    fn inputs<'a>(&self, manifest: &'a Manifest) -> impl Iterator<Item = &'a SegmentInfo> {
        let range = self.range.clone();
        let runs = manifest.runs[..self.count].iter();
        let in_runs = runs.flat_map(move |run| &run.segments[overlap(&run.segments, &range)]);
        in_runs.chain(&manifest.bottom[self.bottom.clone()])
    }
}

/// Returns which of the ascending segments meet a range.
fn overlap(segments: &[SegmentInfo], range: &KeyRange) -> Range<usize> {
    let start = segments.partition_point(|info| info.last < range.start);
    let end = segments.partition_point(|info| !range.is_past(info.first.as_bytes()));
    start..end.max(start)
}

fn merge_slice(lsm: &Lsm, slice: &Slice) -> Planned {
    let manifest = &lsm.manifest;
    let mut next = manifest.successor();
    let mut merge = Merge::new();
    for run in manifest.runs[..slice.count].iter().rev() {
        merge.level(&run.segments, &slice.range, &lsm.cache);
    }
    merge.level(&manifest.bottom[slice.bottom.clone()], &KeyRange::all(), &lsm.cache);
    let mut output = Output::new(next.next_segment, lsm.config.segment_bytes);
    while let Some((key, value)) = merge.next(usize::MAX).expect("all inputs of the slice are resident") {
        if value.is_some() {
            output.push(&key, value);
        }
    }
    let (infos, segments) = output.finish();
    next.next_segment += infos.len() as u64;
    let mut deletes: Vec<u64> = next.bottom.splice(slice.bottom.clone(), infos).map(|info| info.id).collect();
    match &slice.range.end {
        None => deletes.extend(next.runs.drain(..slice.count).flat_map(|run| run.segments).map(|info| info.id)),
        Some(end) => {
            for run in &mut next.runs[..slice.count] {
                let done = run.segments.partition_point(|info| info.last < *end);
                deletes.extend(run.segments.drain(..done).map(|info| info.id));
                run.fence = Some(end.clone());
            }
        }
    }
    planned(lsm, next, segments, deletes)
}

fn planned(lsm: &Lsm, next: Manifest, segments: Vec<(u64, Vec<u8>)>, deletes: Vec<u64>) -> Planned {
    let batch = DeviceBatch {
        expected_manifest: lsm.manifest.head.version,
        manifest: next.encode(),
        puts: segments.iter().map(|(id, bytes)| (BlockId::segment(*id), bytes.clone())).collect(),
        deletes: deletes.into_iter().map(BlockId::segment).collect(),
        ..DeviceBatch::default()
    };
    (Step { manifest: next, segments }, batch)
}

/// Cuts a stream of ascending rows into segments.
struct Output {
    next_id: u64,
    segment_bytes: usize,
    builder: SegmentBuilder,
    infos: Vec<SegmentInfo>,
    segments: Vec<(u64, Vec<u8>)>,
}

impl Output {
    fn new(next_id: u64, segment_bytes: usize) -> Output {
        Output {
            next_id: next_id + 1,
            segment_bytes,
            builder: SegmentBuilder::new(next_id),
            infos: Vec::new(),
            segments: Vec::new(),
        }
    }

    fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.builder.push(key, value);
        if self.builder.len() >= self.segment_bytes {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let full = std::mem::replace(&mut self.builder, SegmentBuilder::new(self.next_id));
        self.next_id += 1;
        let (info, bytes) = full.finish();
        self.segments.push((info.id, bytes));
        self.infos.push(info);
    }

    fn finish(mut self) -> (Vec<SegmentInfo>, Vec<(u64, Vec<u8>)>) {
        if !self.builder.is_empty() {
            self.cut();
        }
        (self.infos, self.segments)
    }
}
