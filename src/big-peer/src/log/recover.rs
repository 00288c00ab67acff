//! What is done to a database's segments before the first append after a start.
//!
//! Only the last segment can have been cut short by a crash: the writer makes a segment durable before it starts the next.
//! Bytes behind the last whole record there were never acknowledged and are cut off, and the cut is reported. A broken place
//! that a later record knows to have been durable is damage: the log is refused with its offset, and nothing is changed. With
//! salvage the damaged segment is kept under another name and rewritten with every record that is still whole; deltas are
//! joins, so the later records are good without the lost ones.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use value::Seq;

use super::LogError;
use super::record::{self, HeaderError, RECORD_HEADER_BYTES, RecordHeader, decode_record, encode_record};
use super::segment::{self, Segment, check_header, damaged};

/// What a start found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Bytes cut from the end that no acknowledgement covered.
    pub torn_bytes: u64,
    /// Bytes that salvage dropped: acknowledged writes may be among them.
    pub salvaged_bytes: u64,
}

/// One segment's records as far as they can be read.
struct Scan {
    /// Whole records: offset, position.
    records: Vec<(usize, Seq)>,
    /// Broken stretches between and behind them: start and end.
    gaps: Vec<(usize, usize)>,
    /// The first gap that was durable when a later record was written.
    damage: Option<usize>,
}

/// Brings the last segment into a state that can be appended to, and returns the head.
pub(super) fn recover(segments: &mut Vec<Segment>, database: &str) -> Result<(Seq, Recovery), LogError> {
    let mut recovery = Recovery::default();
    loop {
        let Some(last) = segments.last_mut() else { return Ok((Seq(0), recovery)) };
        let bytes = fs::read(&last.path).map_err(LogError::io(&last.path))?;
        let start = match record::decode_header(&bytes) {
            Err(HeaderError::Invalid) if find_record(&bytes, 0, Seq(0)).is_none() => {
                // The crash came while the segment was made; its header is durable before its first record.
                remove(last)?;
                recovery.torn_bytes += bytes.len() as u64;
                segments.pop();
                continue;
            }
            Err(_) | Ok(_) => check_header(&last.path, &bytes, database)?,
        };
        let scan = scan(&bytes, start, last.first);
        if let Some(offset) = scan.damage {
            return Err(damaged(&last.path, offset as u64, "a record that was durable cannot be read"));
        }
        if let Some((cut, _)) = scan.gaps.first() {
            recovery.torn_bytes += (bytes.len() - cut) as u64;
            last.bytes = *cut as u64;
            cut_file(last)?;
        }
        let end = last.bytes as usize;
        let head = scan.records.iter().rev().find(|(offset, _)| *offset < end).map(|(_, seq)| *seq);
        // A segment without records was started for a position that was never answered.
        return Ok((head.unwrap_or(Seq(last.first.0.saturating_sub(1))), recovery));
    }
}

/// Rewrites every damaged segment with its whole records; the damaged file stays beside it as `….damaged`.
pub(super) fn salvage(segments: &[Segment], database: &str) -> Result<Recovery, LogError> {
    let mut recovery = Recovery::default();
    for (index, segment) in segments.iter().enumerate() {
        let bytes = fs::read(&segment.path).map_err(LogError::io(&segment.path))?;
        let start = match record::decode_header(&bytes) {
            Ok(header) if header.database == database => header.bytes,
            Ok(_) | Err(HeaderError::Newer(_)) => check_header(&segment.path, &bytes, database)?,
            Err(HeaderError::Invalid) => 0,
        };
        let scan = scan(&bytes, start, segment.first);
        let is_last = index + 1 == segments.len();
        let is_whole = start > 0 && scan.damage.is_none() && (is_last || scan.gaps.is_empty());
        if is_whole || (is_last && scan.records.is_empty()) {
            continue;
        }
        recovery.salvaged_bytes += scan.gaps.iter().map(|(from, to)| (to - from) as u64).sum::<u64>();
        rewrite(segment, database, &bytes, &scan.records)?;
    }
    Ok(recovery)
}

/// Reads every whole record of a segment, in order, and notes the broken stretches.
fn scan(bytes: &[u8], start: usize, first: Seq) -> Scan {
    let mut scan = Scan { records: Vec::new(), gaps: Vec::new(), damage: None };
    let mut last = Seq(first.0.saturating_sub(1));
    let mut offset = start;
    while offset < bytes.len() {
        let at = match decode_record(&bytes[offset..], last) {
            Some(_) => offset,
            None => {
                let next = find_record(bytes, offset + 1, last);
                scan.gaps.push((offset, next.unwrap_or(bytes.len())));
                match next {
                    Some(next) => next,
                    None => break,
                }
            }
        };
        let Some((header, content)) = decode_record(&bytes[at..], last) else { break };
        if let Some((gap, _)) = scan.gaps.first()
            && header.synced as usize > *gap
        {
            scan.damage = scan.damage.or(Some(*gap));
        }
        scan.records.push((at, header.seq));
        last = header.seq;
        offset = at + RECORD_HEADER_BYTES + content.len();
    }
    scan
}

/// Returns the offset of the first whole record at or behind an offset.
///
/// The cheap checks keep it one pass over the bytes: hardly any other place has a plausible position and `synced`, so hardly
/// any checksum is computed.
fn find_record(bytes: &[u8], from: usize, after: Seq) -> Option<usize> {
    (from..bytes.len()).find(|offset| {
        RecordHeader::decode(&bytes[*offset..]).is_some_and(|header| {
            header.synced as usize <= *offset
                && header.seq.0.wrapping_sub(after.0) < SEQ_STEP_MAX
                && decode_record(&bytes[*offset..], after).is_some()
        })
    })
}

fn rewrite(segment: &Segment, database: &str, bytes: &[u8], records: &[(usize, Seq)]) -> Result<(), LogError> {
    let mut whole = record::encode_header(database, segment.first);
    for (offset, seq) in records {
        if let Some((_, content)) = decode_record(&bytes[*offset..], Seq(seq.0 - 1)) {
            encode_record(*seq, whole.len() as u32, content, &mut whole);
        }
    }
    let directory = parent(&segment.path);
    let fresh = segment.path.with_extension("salvaged");
    let mut file = File::create(&fresh).map_err(LogError::io(&fresh))?;
    file.write_all(&whole).and_then(|()| file.sync_all()).map_err(LogError::io(&fresh))?;
    let kept = segment.path.with_extension("damaged");
    fs::copy(&segment.path, &kept).map_err(LogError::io(&kept))?;
    File::open(&kept).and_then(|file| file.sync_all()).map_err(LogError::io(&kept))?;
    fs::rename(&fresh, &segment.path).map_err(LogError::io(&fresh))?;
    segment::sync_directory(directory)
}

fn cut_file(segment: &Segment) -> Result<(), LogError> {
    let file = OpenOptions::new().write(true).open(&segment.path).map_err(LogError::io(&segment.path))?;
    file.set_len(segment.bytes).and_then(|()| file.sync_all()).map_err(LogError::io(&segment.path))
}

fn remove(segment: &Segment) -> Result<(), LogError> {
    fs::remove_file(&segment.path).map_err(LogError::io(&segment.path))?;
    segment::sync_directory(parent(&segment.path))
}

/// Positions are clock readings: neighbours are not a century apart.
const SEQ_STEP_MAX: u64 = (100 * 366 * 86_400_000) << 16;

fn parent(path: &Path) -> &Path {
    path.parent().expect("a segment is inside a directory")
}
