//! Planning of flushes and merges: pure functions from the engine's state to a device batch.
//!
//! A merge takes all runs that were there when it began and moves them into the bottom level in slices of the key space. After
//! each slice the runs carry a fence: below it they no longer count. New flushes may come in between; they are newer than
//! everything the merge touches. Tombstones are dropped in the bottom level, below which there is nothing to hide.
//!
//! The log that a flush makes superfluous is remembered as a mark; marks over the keep limits are dropped with their log, but
//! not at once: other tabs have to read it first.

use std::collections::BTreeSet;
use std::ops::Range;

use value::{Hlc, Millis};

use crate::device::{BlockId, DeviceBatch};
use crate::key::KeyRange;
use crate::lsm::merge::Merge;
use crate::lsm::{Lsm, LsmConfig};
use crate::manifest::{LogMark, Manifest, Run, SegmentInfo};
use crate::rows::Rows;
use crate::segment::{Built, SegmentBuilder};

/// A merge begins with more runs than this, once they hold an eighth of what the bottom level holds.
const RUNS_MIN: usize = 4;
/// A merge begins with this many runs in any case: every run is one more place to look.
const RUNS_MAX: usize = 16;
/// Runs and bottom level of so many bytes of rows are merged as soon as there is something to merge: a step does it all.
const SMALL_BYTES: u64 = 512 * 1024;
/// How many times larger than the runs the bottom level may be for an early merge: bounds what a merge rewrites.
const GROWTH: u64 = 8;
/// Flushed log is kept up to this part of the bytes of the segments: a peer that was away longer is served from them.
const LOG_SHARE: u64 = 8;
/// But that much in any case.
const LOG_BYTES_MIN: u64 = 32 * 1024;

/// What becomes true when the device has written a batch.
#[derive(Debug)]
pub(crate) struct Step {
    pub manifest: Manifest,
    pub segments: Vec<(u64, Rows)>,
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
    let mut output = Output::new(lsm, next.next_segment);
    for (key, entry) in lsm.memtable.range(&KeyRange::all()) {
        if entry.value.is_some() || !nothing_below {
            output.push(key.as_bytes(), entry.value.as_deref());
        }
    }
    let built = output.finish();
    next.next_segment += built.len() as u64;
    let infos: Vec<SegmentInfo> = built.iter().map(|built| built.info.clone()).collect();
    if !infos.is_empty() {
        next.runs.push(Run { fence: None, segments: infos });
    }
    next.head.floor = lsm.applied;
    next.marks.push(LogMark { through: lsm.applied, bytes: lsm.memtable.log_bytes() });
    trimmed(lsm, next, built, now)
}

/// Plans a manifest that differs in what was changed in memory, and in the log that can go.
pub(crate) fn rewrite(lsm: &Lsm, now: Millis) -> Planned {
    trimmed(lsm, lsm.manifest.successor(), Vec::new(), now)
}

/// Returns when some of the flushed log can go; `None` when there is none that the limits do not keep.
pub(crate) fn trim_due(lsm: &Lsm, manifest: &Manifest) -> Option<Millis> {
    let config = &lsm.config;
    let oldest = manifest.marks.first()?;
    let made = Hlc(oldest.through.0).millis();
    let over = log_bytes(manifest) > log_bytes_kept(manifest, config);
    let for_others = if lsm.alone { 0 } else { config.wal_keep_ms_min };
    Some(made.plus(if over { for_others } else { config.wal_keep_ms }))
}

fn log_bytes(manifest: &Manifest) -> u64 {
    manifest.marks.iter().map(|mark| mark.bytes).sum()
}

/// Returns how much flushed log stays: a share of what the store holds, within bounds.
fn log_bytes_kept(manifest: &Manifest, config: &LsmConfig) -> u64 {
    let held: u64 = manifest.segments().map(|info| info.bytes).sum();
    (held / LOG_SHARE).max(LOG_BYTES_MIN).min(config.wal_keep_bytes)
}

/// Plans a manifest with the marks over the limits dropped, and their log with them.
fn trimmed(lsm: &Lsm, mut next: Manifest, built: Vec<Built>, now: Millis) -> Planned {
    let mut through = None;
    while trim_due(lsm, &next).is_some_and(|due| due <= now) {
        next.head.log_start = next.marks.remove(0).through;
        through = Some(next.head.log_start);
    }
    let mut planned = planned(lsm, next, built, &[]);
    planned.1.delete_log_through = through;
    planned
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
    let bytes = |segments: &mut dyn Iterator<Item = &SegmentInfo>| segments.map(|info| info.rows_bytes).sum::<u64>();
    let in_runs = bytes(&mut manifest.runs.iter().flat_map(|run| &run.segments));
    let in_bottom = bytes(&mut manifest.bottom.iter());
    let runs = manifest.runs.len();
    let enough = in_runs.saturating_mul(GROWTH) >= in_bottom;
    let small = in_runs + in_bottom <= SMALL_BYTES;
    let due = match small {
        true => runs > RUNS_MIN || enough && runs > usize::from(in_bottom == 0),
        false => runs > RUNS_MIN && enough,
    };
    let due = due || runs >= RUNS_MAX;
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
            if bytes > 0 && bytes + info.rows_bytes > bytes_max && info.first > start {
                end = Some(info.first.clone());
                break;
            }
            bytes += info.rows_bytes;
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
    let mut output = Output::new(lsm, next.next_segment);
    while let Some(value) = merge.next(usize::MAX).expect("all inputs of the slice are resident") {
        if value.is_some() {
            output.push(merge.key(), value);
        }
    }
    let built = output.finish();
    next.next_segment += built.len() as u64;
    let infos: Vec<SegmentInfo> = built.iter().map(|built| built.info.clone()).collect();
    let mut deletes: Vec<SegmentInfo> = next.bottom.splice(slice.bottom.clone(), infos).collect();
    match &slice.range.end {
        None => deletes.extend(next.runs.drain(..slice.count).flat_map(|run| run.segments)),
        Some(end) => {
            for run in &mut next.runs[..slice.count] {
                let done = run.segments.partition_point(|info| info.last < *end);
                deletes.extend(run.segments.drain(..done));
                run.fence = Some(end.clone());
            }
        }
    }
    planned(lsm, next, built, &deletes)
}

fn planned(lsm: &Lsm, next: Manifest, built: Vec<Built>, deletes: &[SegmentInfo]) -> Planned {
    let (mut puts, mut segments) = (Vec::new(), Vec::new());
    for built in built {
        puts.push((BlockId::segment(built.info.id), built.bytes));
        segments.push((built.info.id, built.rows));
    }
    let batch = DeviceBatch {
        expected_manifest: lsm.manifest.head.version,
        manifest: next.encode(),
        puts,
        deletes: deletes.iter().map(|info| BlockId::segment(info.id)).collect(),
        deleted_bytes: deletes.iter().map(|info| info.bytes).sum(),
        ..DeviceBatch::default()
    };
    (Step { manifest: next, segments }, batch)
}

/// Cuts a stream of ascending rows into segments.
struct Output<'a> {
    lsm: &'a Lsm,
    next_id: u64,
    builder: SegmentBuilder,
    built: Vec<Built>,
}

impl<'a> Output<'a> {
    fn new(lsm: &'a Lsm, next_id: u64) -> Output<'a> {
        Output { lsm, next_id: next_id + 1, builder: SegmentBuilder::new(next_id), built: Vec::new() }
    }

    fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.builder.push(key, value);
        if self.builder.len() >= self.lsm.config.segment_bytes {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let full = std::mem::replace(&mut self.builder, SegmentBuilder::new(self.next_id));
        self.next_id += 1;
        self.built.push(full.finish(self.lsm.layout));
    }

    fn finish(mut self) -> Vec<Built> {
        if !self.builder.is_empty() {
            self.cut();
        }
        self.built
    }
}
