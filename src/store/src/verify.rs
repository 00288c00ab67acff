//! Verification: a walk over everything that a device holds, which changes nothing.
//!
//! In go what a boot reads, the list of blocks, and the blocks themselves as they are asked for; out comes a report. The walk
//! does no reading of its own, so that one walk serves every device. What a record or a row has to be beyond this room's
//! formats is asked of `Content`, which the engine implements.
//!
//! Other tabs may flush and merge meanwhile. A block that is missing or that nobody names is therefore only a suspicion until
//! `settle` has seen the manifest again; blocks that appeared are walked too. A block's number is never reused, so what was
//! found sound stays so.
//!
//! Not checked: small records, which have no checksum, and whether a document is the one that was once written.

use std::fmt;

use value::{DecodeError, Seq, SmallMap};

use crate::device::{BlockId, BlockKind, BootImage, DeviceError, DeviceNow};
use crate::filter::filter_hash;
use crate::key::Key;
use crate::manifest::{Manifest, ManifestHead, SegmentInfo};
use crate::rows::Rows;
use crate::segment;

/// Blocks read at a time.
const PAGE: usize = 16;
/// Findings that are told; the others are counted.
const FINDINGS_MAX: usize = 1000;

/// What a store's content has to be, as whoever wrote it knows.
pub trait Content {
    /// Says what is wrong with a log record.
    fn record(&self, record: &[u8]) -> Result<(), String>;
    /// Says what is wrong with a row; only rows of known spaces are asked about.
    fn row(&self, key: &Key, value: &[u8]) -> Result<(), String>;
}

/// What kind of thing a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// A part of an attachment; told by whoever knows attachments.
    Attachment,
    /// A block.
    Block,
    /// An index, whose rows are not those of the documents; told by whoever knows indexes.
    Index,
    /// A log record.
    Log,
    /// The manifest.
    Manifest,
    /// A block that no manifest names: it wastes space and harms nothing.
    Orphan,
    /// A row of a segment.
    Row,
}

impl FindingKind {
    /// Returns the name that applications see.
    pub fn as_str(self) -> &'static str {
        match self {
            FindingKind::Attachment => "attachment",
            FindingKind::Block => "block",
            FindingKind::Index => "index",
            FindingKind::Log => "log",
            FindingKind::Manifest => "manifest",
            FindingKind::Orphan => "orphan",
            FindingKind::Row => "row",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// Which one.
    pub name: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What was walked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyCounts {
    /// Log records, damaged ones included.
    pub log_records: u64,
    /// Small records.
    pub metas: u64,
    /// Segments that were there.
    pub segments: u64,
    /// Their size, bytes.
    pub segment_bytes: u64,
    /// Their rows, tombstones and superseded rows included.
    pub rows: u64,
    /// Blocks that no manifest names.
    pub orphans: u64,
    /// Live rows of indexes that were compared with the documents; counted by whoever knows indexes.
    pub index_rows: u64,
    /// Attachments, whole or in part; counted by whoever knows attachments.
    pub attachments: u64,
    /// Their sound chunks, bytes.
    pub attachment_bytes: u64,
}

/// What a walk has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// In the order of the walk, at most 1,000.
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub untold: u64,
    /// What was walked.
    pub counts: VerifyCounts,
}

impl VerifyReport {
    /// Says whether everything can be read; blocks that only waste space do not count.
    pub fn is_ok(&self) -> bool {
        self.untold == 0 && self.findings.iter().all(|finding| finding.kind == FindingKind::Orphan)
    }

    /// Adds a finding; beyond 1,000 they are counted.
    pub fn tell(&mut self, kind: FindingKind, name: impl fmt::Display, problem: impl fmt::Display) {
        if self.findings.len() == FINDINGS_MAX {
            self.untold += 1;
        } else {
            self.findings.push(Finding { kind, name: name.to_string(), problem: problem.to_string() });
        }
    }
}

/// A walk under way.
#[derive(Debug)]
pub struct Verification<C> {
    content: C,
    report: VerifyReport,
    /// The newest manifest seen; `None` while there is none that can be read.
    manifest: Option<Manifest>,
    /// The manifest on the device cannot be read: what the blocks should be is not known.
    lost: bool,
    /// Blocks still to be read, with what the manifest says of them.
    waiting: SmallMap<BlockId, Option<SegmentInfo>>,
    walked: SmallMap<BlockId, ()>,
    missing: SmallMap<BlockId, ()>,
}

impl<C: Content> Verification<C> {
    /// Starts with what a boot reads, and the blocks that the device lists, `None` when it cannot.
    pub fn new(content: C, image: &BootImage, listed: Option<&[BlockId]>) -> Verification<C> {
        let mut walk = Verification {
            content,
            report: VerifyReport::default(),
            manifest: None,
            lost: false,
            waiting: SmallMap::new(),
            walked: SmallMap::new(),
            missing: SmallMap::new(),
        };
        walk.report.counts.metas = image.meta.len() as u64;
        walk.take_manifest(image.manifest.as_deref());
        walk.check_log(image);
        if walk.lost {
            listed.unwrap_or_default().iter().for_each(|block| _ = walk.waiting.insert(*block, None));
        }
        walk
    }

    /// Returns the blocks to be read next; empty when all are walked.
    pub fn wanted(&self) -> Vec<BlockId> {
        self.waiting.keys().take(PAGE).copied().collect()
    }

    /// Returns how many blocks are walked, and how many there are in all.
    pub fn progress(&self) -> (usize, usize) {
        let done = self.walked.len() + self.missing.len();
        (done, done + self.waiting.len())
    }

    /// Takes blocks that were read.
    pub fn take(&mut self, blocks: Vec<(BlockId, Option<Vec<u8>>)>) {
        for (block, bytes) in blocks {
            let Some(info) = self.waiting.remove(&block) else { continue };
            match bytes {
                None => _ = self.missing.insert(block, ()),
                Some(bytes) => {
                    self.walked.insert(block, ());
                    self.check_block(block, info.as_ref(), bytes);
                }
            }
        }
    }

    /// Takes the manifest and the list of blocks as they are after the walk; says whether there is more to walk.
    ///
    /// `listed` must have been read after the manifest.
    pub fn settle(&mut self, manifest: Option<&[u8]>, listed: Option<&[BlockId]>) -> bool {
        let version = |manifest: &Option<Manifest>| manifest.as_ref().map_or(0, |manifest| manifest.head.version);
        let before = version(&self.manifest);
        if !self.lost {
            self.take_manifest(manifest);
        }
        if version(&self.manifest) != before && !self.lost {
            return true;
        }
        for block in std::mem::take(&mut self.missing).keys() {
            self.report.tell(FindingKind::Block, block, "it is not there");
        }
        if let (Some(listed), false) = (listed, self.lost) {
            self.check_orphans(listed);
        }
        false
    }

    /// Returns what was found.
    pub fn finish(self) -> VerifyReport {
        self.report
    }

    /// Makes a manifest the one that blocks are held against.
    fn take_manifest(&mut self, bytes: Option<&[u8]>) {
        let manifest = match bytes.map(Manifest::decode).transpose() {
            Ok(manifest) => manifest,
            Err(error) => {
                self.lost = true;
                return self.report.tell(FindingKind::Manifest, "manifest", error);
            }
        };
        let next = manifest.unwrap_or_default();
        let mut live: SmallMap<BlockId, Option<SegmentInfo>> = SmallMap::new();
        for info in next.segments() {
            let block = BlockId::segment(info.id);
            if info.id >= next.next_segment {
                self.report.tell(FindingKind::Manifest, block, "its number was not given out yet");
            }
            if live.insert(block, Some(info.clone())).is_some() {
                self.report.tell(FindingKind::Manifest, block, "it is listed twice");
            }
        }
        let told = self.manifest.take().map(|manifest| manifest.quarantined).unwrap_or_default();
        for id in next.quarantined.iter().filter(|id| !told.contains(id)) {
            let problem = "it was given up because it could not be read";
            self.report.tell(FindingKind::Block, BlockId::segment(*id), problem);
        }
        // What another tab has merged away meanwhile is neither missing nor to be read.
        self.missing.retain(|block, ()| live.contains_key(block));
        let (walked, missing) = (&self.walked, &self.missing);
        live.retain(|block, _| !walked.contains_key(block) && !missing.contains_key(block));
        self.waiting = live;
        self.manifest = Some(next);
    }

    fn check_log(&mut self, image: &BootImage) {
        self.report.counts.log_records = (image.log.len() + image.damaged.len()) as u64;
        for seq in &image.damaged {
            self.report.tell(FindingKind::Log, format_args!("log record {}", seq.0), "it is damaged");
        }
        let mut before = Seq(0);
        for (seq, record) in &image.log {
            let name = format!("log record {}", seq.0);
            if *seq <= before {
                self.report.tell(FindingKind::Log, &name, "it is out of order");
            }
            before = *seq;
            if let Err(problem) = self.content.record(record) {
                self.report.tell(FindingKind::Log, &name, problem);
            }
        }
        let newest = image.damaged.iter().copied().fold(before, Seq::max);
        let head = self.manifest.as_ref().map_or(ManifestHead::default(), |manifest| manifest.head);
        let floor = head.floor;
        // All of the log may have been trimmed.
        if newest.max(head.log_start) < floor {
            let problem = format!("it ends at {}, before the position {} that the segments reach", newest.0, floor.0);
            self.report.tell(FindingKind::Log, "log", problem);
        }
    }

    fn check_block(&mut self, block: BlockId, info: Option<&SegmentInfo>, bytes: Vec<u8>) {
        let length = bytes.len() as u64;
        self.report.counts.segments += 1;
        self.report.counts.segment_bytes += length;
        let BlockKind::Segment = block.kind;
        let rows = match segment::open(block.id, &bytes) {
            Ok(rows) => rows,
            Err(error) => return self.report.tell(FindingKind::Block, block, error),
        };
        let found = self.check_rows(block, &rows, info);
        self.report.counts.rows += found.rows;
        if let Some(info) = info {
            let told = Contents {
                rows: info.rows,
                tombstones: info.tombstones,
                first: info.first.as_bytes().to_vec(),
                last: info.last.as_bytes().to_vec(),
            };
            if found != told {
                self.report.tell(FindingKind::Block, block, "its rows are not those that the manifest tells");
            }
            if info.bytes != length {
                let problem = format!("it has {length} bytes and the manifest tells {}", info.bytes);
                self.report.tell(FindingKind::Block, block, problem);
            }
        }
    }

    /// Walks the rows of a segment and returns what they are in all.
    fn check_rows(&mut self, block: BlockId, rows: &Rows, info: Option<&SegmentInfo>) -> Contents {
        let mut found = Contents::default();
        let mut rows = rows.cursor();
        while let Some((bytes, value)) = rows.row() {
            if found.rows == 0 {
                found.first = bytes.to_vec();
            }
            found.last.clear();
            found.last.extend_from_slice(bytes);
            found.rows += 1;
            found.tombstones += u64::from(value.is_none());
            if info.is_some_and(|info| !info.filter.may_hold(filter_hash(bytes))) {
                self.report.tell(FindingKind::Block, block, "its filter denies a key that it holds");
            }
            let key = Key::from_bytes(bytes.to_vec());
            let sound = match (key.parse(), value) {
                (None, _) => Err("its key names nothing that this version knows".to_owned()),
                (Some(_), None) => Ok(()),
                (Some(_), Some(value)) => self.content.row(&key, value),
            };
            if let Err(problem) = sound {
                self.report.tell(FindingKind::Row, format_args!("row {} of {block}", found.rows), problem);
            }
            rows.advance();
        }
        found
    }

    fn check_orphans(&mut self, listed: &[BlockId]) {
        let Some(manifest) = &self.manifest else { return };
        let mut named: SmallMap<BlockId, ()> = SmallMap::new();
        manifest.segments().for_each(|info| _ = named.insert(BlockId::segment(info.id), ()));
        manifest.quarantined.iter().for_each(|id| _ = named.insert(BlockId::segment(*id), ()));
        for block in listed.iter().filter(|block| !named.contains_key(block)) {
            self.report.counts.orphans += 1;
            self.report.tell(FindingKind::Orphan, block, "no manifest names it");
        }
    }
}

/// What the rows of a segment are in all.
#[derive(Debug, Default, PartialEq, Eq)]
struct Contents {
    rows: u64,
    tombstones: u64,
    first: Vec<u8>,
    last: Vec<u8>,
}

/// Walks a device that never waits.
///
/// A log record of a newer format is a finding like any other; every other error of the device is returned.
pub fn verify_now<C: Content>(device: &impl DeviceNow, content: C) -> Result<VerifyReport, DeviceError> {
    let image = match device.boot_now() {
        Err(DeviceError::NewerFormat(format)) => return Ok(newer(format)),
        image => image?,
    };
    let listed = device.blocks_now()?;
    let mut walk = Verification::new(content, &image, listed.as_deref());
    loop {
        let wanted = walk.wanted();
        if !wanted.is_empty() {
            let read = device.read_now(&wanted)?;
            walk.take(wanted.into_iter().zip(read).collect());
            continue;
        }
        let (manifest, listed) = (device.manifest_now()?, device.blocks_now()?);
        if !walk.settle(manifest.as_deref(), listed.as_deref()) {
            return Ok(walk.finish());
        }
    }
}

fn newer(format: u64) -> VerifyReport {
    let mut report = VerifyReport::default();
    report.tell(FindingKind::Log, "log", DecodeError::Version(format));
    report
}
