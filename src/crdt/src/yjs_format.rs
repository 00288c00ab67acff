//! A check of Yjs updates (V1) before yrs reads them.
//!
//! The decoder of yrs 0.28 trusts its input in ways that end a browser module: it reserves memory by counts that were not
//! checked, recurses without bound into nested values, adds clocks without a check, and takes client ids over 53 bits. So
//! bytes from outside are first walked here, without keeping anything.
//!
//! In: bytes. Out: whether they are one well-formed update and nothing more, and where it holds objects. Refused though Yjs knows it: subdocuments, weak
//! links, XML hooks and the JSON content of Yjs before version 13.
//!
//! Source: `ContentX.write` and `UpdateEncoderV1` in yjs 13, `lib0/encoding` for the primitives.

use std::collections::BTreeSet;
use std::ops::Range;

use value::limits::DEPTH_MAX;
use value::{DecodeError, Reader};

/// Client ids are integers that a JavaScript number holds.
const CLIENT_MAX: u64 = (1 << 53) - 1;
/// Clocks and lengths are added as 32-bit integers.
const CLOCK_MAX: u64 = (1 << 31) - 1;

const HAS_PARENT_SUB: u8 = 0x20;
const HAS_RIGHT_ORIGIN: u8 = 0x40;
const HAS_ORIGIN: u8 = 0x80;

/// A part of an update that may hold objects.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) kind: RegionKind,
    pub(crate) range: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegionKind {
    /// JSON text, without its length.
    Json,
    /// A value of a list or map.
    Value,
}

/// What a walk notes: nothing, or the regions of an update of so many bytes.
enum Notes {
    Nothing,
    Regions(usize, Vec<Region>),
    /// Whether it holds text.
    Text(bool),
}

impl Notes {
    fn take(&mut self, kind: RegionKind, left_before: usize, left_after: usize) {
        if let Notes::Regions(length, regions) = self {
            regions.push(Region { kind, range: *length - left_before..*length - left_after });
        }
    }
}

/// Says whether the bytes are one well-formed update.
pub(crate) fn is_well_formed(bytes: &[u8]) -> bool {
    update(&mut Reader::new(bytes), &mut Notes::Nothing).is_ok()
}

/// Says whether a well-formed update holds text, in a block of its own and not as a value.
pub(crate) fn holds_text(bytes: &[u8]) -> bool {
    let mut notes = Notes::Text(false);
    let walked = update(&mut Reader::new(bytes), &mut notes);
    walked.is_err() || matches!(notes, Notes::Text(true))
}

/// Returns the parts of an update that may hold objects, ascending.
pub(crate) fn regions(bytes: &[u8]) -> Result<Vec<Region>, DecodeError> {
    let mut notes = Notes::Regions(bytes.len(), Vec::new());
    update(&mut Reader::new(bytes), &mut notes)?;
    match notes {
        Notes::Nothing | Notes::Text(_) => Ok(Vec::new()),
        Notes::Regions(_, regions) => Ok(regions),
    }
}

/// Says whether the bytes are one state vector: how far a client has come, per author.
pub(crate) fn is_state_vector(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    let walked = count(&mut reader).and_then(|clients| (0..clients).try_for_each(|_| id(&mut reader)));
    walked.and_then(|()| reader.finish()).is_ok()
}

fn update(reader: &mut Reader<'_>, notes: &mut Notes) -> Result<(), DecodeError> {
    let mut clients = BTreeSet::new();
    for _ in 0..count(reader)? {
        let blocks = count(reader)?;
        if !clients.insert(number(reader, CLIENT_MAX)?) {
            return Err(DecodeError::Invalid("update (a client occurs twice)"));
        }
        let mut clock = number(reader, CLOCK_MAX)?;
        for _ in 0..blocks {
            clock += block(reader, notes)?;
            if clock > CLOCK_MAX {
                return Err(DecodeError::Limit("clock"));
            }
        }
    }
    deletions(reader)?;
    reader.finish()
}

/// Reads the ranges of deleted ids.
fn deletions(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let mut clients = BTreeSet::new();
    for _ in 0..count(reader)? {
        if !clients.insert(number(reader, CLIENT_MAX)?) {
            return Err(DecodeError::Invalid("update (a client occurs twice)"));
        }
        let mut reached = 0;
        for _ in 0..count(reader)? {
            let (start, length) = (number(reader, CLOCK_MAX)?, length(reader)?);
            if start < reached || start + length > CLOCK_MAX {
                return Err(DecodeError::Invalid("update (deleted ranges)"));
            }
            reached = start + length;
        }
    }
    Ok(())
}

/// Reads a block; returns how many clocks it takes.
fn block(reader: &mut Reader<'_>, notes: &mut Notes) -> Result<u64, DecodeError> {
    let info = reader.u8()?;
    // 0 is a collected block and 10 a gap.
    if info == 0 || info == 10 {
        return length(reader);
    }
    if info & HAS_ORIGIN != 0 {
        id(reader)?;
    }
    if info & HAS_RIGHT_ORIGIN != 0 {
        id(reader)?;
    }
    if info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN) == 0 {
        match reader.var()? {
            0 => id(reader)?,
            1 => text(reader).map(|_| ())?,
            _ => return Err(DecodeError::Invalid("update (parent)")),
        }
        if info & HAS_PARENT_SUB != 0 {
            text(reader)?;
        }
    }
    content(info & 0x1f, reader, notes)
}

fn content(kind: u8, reader: &mut Reader<'_>, notes: &mut Notes) -> Result<u64, DecodeError> {
    match kind {
        // Deleted.
        1 => return length(reader),
        // Binary.
        3 => reader.bytes(reader.remaining()).map(|_| ())?,
        // Text, counted in UTF-16 code units.
        4 => {
            if let Notes::Text(found) = notes {
                *found = true;
            }
            return Ok(text(reader)?.encode_utf16().count() as u64);
        }
        // Embedded JSON; a format is a key and JSON.
        5 => json(reader, notes)?,
        6 => {
            text(reader)?;
            json(reader, notes)?;
        }
        // A nested type; an XML element has a name.
        7 => match reader.u8()? {
            3 => text(reader).map(|_| ())?,
            0..=2 | 4 | 6 => {}
            _ => return Err(DecodeError::Invalid("update (type)")),
        },
        // Values of a list or map.
        8 => {
            let values = count(reader)?;
            for _ in 0..values {
                let before = reader.remaining();
                let may_hold = matches!(reader.peek()?, 117 | 118);
                any(reader, DEPTH_MAX)?;
                if may_hold {
                    notes.take(RegionKind::Value, before, reader.remaining());
                }
            }
            return Ok(values as u64);
        }
        _ => return Err(DecodeError::Invalid("update (content)")),
    }
    Ok(1)
}

fn json(reader: &mut Reader<'_>, notes: &mut Notes) -> Result<(), DecodeError> {
    let json = text(reader)?;
    if json.starts_with(['{', '[']) {
        notes.take(RegionKind::Json, reader.remaining() + json.len(), reader.remaining());
    }
    Ok(())
}

/// Reads a value of a list or map.
pub(crate) fn any(reader: &mut Reader<'_>, depth_left: usize) -> Result<(), DecodeError> {
    if depth_left == 0 {
        return Err(DecodeError::Limit("depth"));
    }
    match reader.u8()? {
        120 | 121 | 126 | 127 => {}
        // A signed varint: bit 6 of the first byte is the sign; only its end matters here.
        125 => {
            let start = reader.remaining();
            while reader.u8()? & 0x80 != 0 {
                if start - reader.remaining() > 9 {
                    return Err(DecodeError::Invalid("varint"));
                }
            }
        }
        124 => reader.raw(4).map(|_| ())?,
        122 | 123 => reader.raw(8).map(|_| ())?,
        119 => text(reader).map(|_| ())?,
        116 => reader.bytes(reader.remaining()).map(|_| ())?,
        117 => {
            for _ in 0..count(reader)? {
                any(reader, depth_left - 1)?;
            }
        }
        118 => {
            for _ in 0..count(reader)? {
                text(reader)?;
                any(reader, depth_left - 1)?;
            }
        }
        _ => return Err(DecodeError::Invalid("update (value)")),
    }
    Ok(())
}

fn id(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    number(reader, CLIENT_MAX)?;
    number(reader, CLOCK_MAX).map(|_| ())
}

fn text<'a>(reader: &mut Reader<'a>) -> Result<&'a str, DecodeError> {
    reader.str(reader.remaining())
}

fn count(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    reader.count(reader.remaining())
}

/// Reads how many clocks something takes: at least one.
fn length(reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    match number(reader, CLOCK_MAX)? {
        0 => Err(DecodeError::Invalid("update (empty block)")),
        length => Ok(length),
    }
}

fn number(reader: &mut Reader<'_>, max: u64) -> Result<u64, DecodeError> {
    Some(reader.var()?).filter(|number| *number <= max).ok_or(DecodeError::Limit("number"))
}
