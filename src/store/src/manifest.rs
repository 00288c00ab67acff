//! The manifest: which segments are live, what they cover, and how far the log has gone into them.
//!
//! Layout: magic `SHMF`, format (1 byte, 2), version, floor, log start (8 bytes each, big-endian); then as varints: next
//! segment number; log marks (count, then sequence and bytes of each); runs, oldest first (count, then fence and segments of
//! each); the bottom level's segments; quarantined segment numbers; at the end the checksum. A fence is a length + 1 and a
//! key, or 0 for none. A segment is its number, bytes, bytes of its rows in memory, rows, tombstones, first key, last key and
//! filter. Format 1, read for ever, lacks the bytes in memory: they were those on the device.
//!
//! Invariants: within a run and within the bottom level segments are ascending and do not overlap; a later run is newer;
//! keys of a run below its fence have been merged into the bottom level; a version is one more than the one it replaces.

use value::{DecodeError, Reader, Seq, Writer};

use crate::envelope;
use crate::filter::Filter;
use crate::key::Key;
use crate::log::{open_versions, seal};

const MAGIC: &[u8; 4] = b"SHMF";
const FORMAT: u8 = 2;

/// The part of a manifest that a device itself has to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ManifestHead {
    /// Counts the manifests of a store, from 1; a writer names the one it replaces.
    pub version: u64,
    /// Log records up to this one are in the segments.
    pub floor: Seq,
    /// Log records up to this one have been deleted.
    pub log_start: Seq,
}

/// Reads the head of a manifest, plain or sealed, and checks the whole of it against its checksum.
pub fn manifest_head(bytes: &[u8]) -> Result<ManifestHead, DecodeError> {
    if envelope::is_sealed(bytes) {
        return envelope::unwrap_manifest(bytes).map(|(head, _)| head);
    }
    read_head(&mut open_versions(bytes, MAGIC, FORMAT)?.1)
}

/// The bytes of log that one flush made superfluous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogMark {
    pub through: Seq,
    pub bytes: u64,
}

/// What is known of a segment without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentInfo {
    pub id: u64,
    pub bytes: u64,
    /// What its rows take in memory, bytes.
    pub rows_bytes: u64,
    pub rows: u64,
    pub tombstones: u64,
    pub first: Key,
    pub last: Key,
    pub filter: Filter,
}

/// One flush of the memtable, less what has been merged away below the fence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub fence: Option<Key>,
    pub segments: Vec<SegmentInfo>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub head: ManifestHead,
    pub next_segment: u64,
    pub marks: Vec<LogMark>,
    pub runs: Vec<Run>,
    pub bottom: Vec<SegmentInfo>,
    pub quarantined: Vec<u64>,
}

impl Manifest {
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        let head = &self.head;
        writer.raw(MAGIC).u8(FORMAT).fixed64(head.version).fixed64(head.floor.0).fixed64(head.log_start.0);
        writer.var(self.next_segment).var(self.marks.len() as u64);
        for mark in &self.marks {
            writer.var(mark.through.0).var(mark.bytes);
        }
        writer.var(self.runs.len() as u64);
        for run in &self.runs {
            match &run.fence {
                None => writer.var(0),
                Some(fence) => writer.var(fence.as_bytes().len() as u64 + 1).raw(fence.as_bytes()),
            };
            write_segments(&run.segments, &mut writer);
        }
        write_segments(&self.bottom, &mut writer);
        writer.var(self.quarantined.len() as u64);
        for id in &self.quarantined {
            writer.var(*id);
        }
        seal(writer)
    }

    pub fn decode(bytes: &[u8]) -> Result<Manifest, DecodeError> {
        let (format, mut reader) = open_versions(bytes, MAGIC, FORMAT)?;
        let mut manifest =
            Manifest { head: read_head(&mut reader)?, next_segment: reader.var()?, ..Manifest::default() };
        for _ in 0..reader.count(usize::MAX)? {
            manifest.marks.push(LogMark { through: Seq(reader.var()?), bytes: reader.var()? });
        }
        for _ in 0..reader.count(usize::MAX)? {
            let fence = match reader.var()? {
                0 => None,
                length => Some(Key::from_bytes(reader.raw(length_of(length - 1)?)?.to_vec())),
            };
            manifest.runs.push(Run { fence, segments: read_segments(format, &mut reader)? });
        }
        manifest.bottom = read_segments(format, &mut reader)?;
        for _ in 0..reader.count(usize::MAX)? {
            manifest.quarantined.push(reader.var()?);
        }
        reader.finish()?;
        Ok(manifest)
    }

    /// Returns the manifest that replaces this one, with the version counted up.
    pub fn successor(&self) -> Manifest {
        let mut next = self.clone();
        next.head.version += 1;
        next
    }

    /// Takes a segment out of the live ones, but remembers it.
    pub fn quarantine(&mut self, id: u64) {
        for run in &mut self.runs {
            run.segments.retain(|info| info.id != id);
        }
        self.bottom.retain(|info| info.id != id);
        self.quarantined.push(id);
    }

    /// Returns all live segments.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentInfo> {
        self.runs.iter().flat_map(|run| &run.segments).chain(&self.bottom)
    }
}

pub(crate) fn read_head(reader: &mut Reader<'_>) -> Result<ManifestHead, DecodeError> {
    let head =
        ManifestHead { version: reader.fixed64()?, floor: Seq(reader.fixed64()?), log_start: Seq(reader.fixed64()?) };
    if head.version == 0 || head.log_start > head.floor {
        return Err(DecodeError::Invalid("manifest head"));
    }
    Ok(head)
}

fn write_segments(segments: &[SegmentInfo], writer: &mut Writer) {
    writer.var(segments.len() as u64);
    for segment in segments {
        writer.var(segment.id).var(segment.bytes).var(segment.rows_bytes).var(segment.rows).var(segment.tombstones);
        writer.bytes(segment.first.as_bytes()).bytes(segment.last.as_bytes()).bytes(segment.filter.as_bytes());
    }
}

fn read_segments(format: u8, reader: &mut Reader<'_>) -> Result<Vec<SegmentInfo>, DecodeError> {
    let mut segments: Vec<SegmentInfo> = Vec::new();
    for _ in 0..reader.count(usize::MAX)? {
        let (id, bytes) = (reader.var()?, reader.var()?);
        let segment = SegmentInfo {
            id,
            bytes,
            rows_bytes: if format == 1 { bytes } else { reader.var()? },
            rows: reader.var()?,
            tombstones: reader.var()?,
            first: read_key(reader)?,
            last: read_key(reader)?,
            filter: Filter::from_bytes(reader.bytes(usize::MAX)?),
        };
        let ordered = segments.last().is_none_or(|before| before.last < segment.first);
        if !ordered || segment.first > segment.last {
            return Err(DecodeError::Invalid("order of segments"));
        }
        segments.push(segment);
    }
    Ok(segments)
}

fn read_key(reader: &mut Reader<'_>) -> Result<Key, DecodeError> {
    Ok(Key::from_bytes(reader.bytes(usize::MAX)?.to_vec()))
}

fn length_of(length: u64) -> Result<usize, DecodeError> {
    usize::try_from(length).map_err(|_| DecodeError::Limit("length"))
}
