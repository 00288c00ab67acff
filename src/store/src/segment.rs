//! A segment: an immutable sorted run of rows, one record of the device.
//!
//! Layout: magic `SHSG`, format (1 byte, 1), number (8 bytes), rows, restart points (4 bytes each: offsets of rows within the
//! record), count of restart points (4 bytes), count of rows (4 bytes), checksum (4 bytes); fixed widths big-endian. A row is,
//! as varints, the bytes its key shares with the key before it, the bytes that follow, those bytes, and 0 for a tombstone or
//! the length of the value + 1 and the value. Every sixteenth row is a restart point and shares nothing; they are the index.
//!
//! A segment is verified whole when it is opened: checksum, number, order of keys, counts. Reading a verified one cannot fail.

use std::cmp::Ordering;

use value::{DecodeError, Reader, Writer};

use crate::filter::{Filter, filter_hash};
use crate::key::Key;
use crate::log::{open, seal};
use crate::manifest::SegmentInfo;

const MAGIC: &[u8; 4] = b"SHSG";
const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 13;
const TRAILER_BYTES: usize = 12;
const RESTART_INTERVAL: u32 = 16;
const VERIFIED: &str = "a segment is verified when it is opened";

/// Collects ascending rows into a segment.
pub(crate) struct SegmentBuilder {
    id: u64,
    writer: Writer,
    restarts: Vec<u32>,
    hashes: Vec<u64>,
    rows: u32,
    tombstones: u64,
    first: Vec<u8>,
    last: Vec<u8>,
}

impl SegmentBuilder {
    pub fn new(id: u64) -> SegmentBuilder {
        let mut writer = Writer::new();
        writer.raw(MAGIC).u8(FORMAT).fixed64(id);
        SegmentBuilder {
            id,
            writer,
            restarts: Vec::new(),
            hashes: Vec::new(),
            rows: 0,
            tombstones: 0,
            first: Vec::new(),
            last: Vec::new(),
        }
    }

    /// Appends a row; keys must ascend.
    pub fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        let shared = if self.rows.is_multiple_of(RESTART_INTERVAL) {
            self.restarts.push(self.writer.len() as u32);
            0
        } else {
            key.iter().zip(&self.last).take_while(|(a, b)| a == b).count()
        };
        if self.rows == 0 {
            self.first = key.to_vec();
        }
        self.writer.var(shared as u64).bytes(&key[shared..]);
        match value {
            None => {
                self.writer.var(0);
                self.tombstones += 1;
            }
            Some(bytes) => {
                self.writer.var(bytes.len() as u64 + 1).raw(bytes);
            }
        }
        self.hashes.push(filter_hash(key));
        self.rows += 1;
        self.last.clear();
        self.last.extend_from_slice(key);
    }

    /// Returns the bytes so far.
    pub fn len(&self) -> usize {
        self.writer.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub fn finish(self) -> (SegmentInfo, Vec<u8>) {
        let mut writer = self.writer;
        for restart in &self.restarts {
            writer.raw(&restart.to_be_bytes());
        }
        writer.raw(&(self.restarts.len() as u32).to_be_bytes()).raw(&self.rows.to_be_bytes());
        let bytes = seal(writer);
        let info = SegmentInfo {
            id: self.id,
            bytes: bytes.len() as u64,
            rows: u64::from(self.rows),
            tombstones: self.tombstones,
            first: Key::from_bytes(self.first),
            last: Key::from_bytes(self.last),
            filter: Filter::build(&self.hashes),
        };
        (info, bytes)
    }
}

/// What a segment says about a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    Absent,
    Deleted,
    Value(&'a [u8]),
}

/// A verified segment in memory.
#[derive(Debug)]
pub(crate) struct Segment {
    bytes: Vec<u8>,
    rows_end: usize,
    restarts: Vec<u32>,
}

impl Segment {
    /// Verifies a record of the device.
    pub fn open(id: u64, bytes: Vec<u8>) -> Result<Segment, DecodeError> {
        let mut reader = open(&bytes, MAGIC, FORMAT)?;
        if reader.fixed64()? != id {
            return Err(DecodeError::Invalid("segment number"));
        }
        let tail = bytes.len().checked_sub(TRAILER_BYTES).ok_or(DecodeError::End)?;
        let restart_count = u32_at(&bytes, tail)? as usize;
        let rows = u32_at(&bytes, tail + 4)?;
        let rows_end = restart_count.checked_mul(4).and_then(|index| tail.checked_sub(index));
        let rows_end = rows_end.filter(|end| *end >= HEADER_BYTES).ok_or(DecodeError::Invalid("segment index"))?;
        let restarts: Result<Vec<u32>, DecodeError> =
            (0..restart_count).map(|n| u32_at(&bytes, rows_end + 4 * n)).collect();
        let segment = Segment { rows_end, restarts: restarts?, bytes };
        segment.verify(rows)?;
        Ok(segment)
    }

    /// Returns the bytes it holds in memory.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.restarts.len() * 4
    }

    /// Returns what the segment says about a key.
    pub fn get(&self, key: &[u8]) -> Found<'_> {
        match self.seek(key).row() {
            Some((found, value)) if found == key => value.map_or(Found::Deleted, Found::Value),
            _ => Found::Absent,
        }
    }

    /// Returns a cursor at the first row that is not less than the key.
    pub fn seek(&self, key: &[u8]) -> SegmentCursor<'_> {
        let after = self.restarts.partition_point(|restart| self.restart_key(*restart) <= key);
        let start = after.checked_sub(1).map_or(HEADER_BYTES, |n| self.restarts[n] as usize);
        let rows = Reader::new(&self.bytes[start..self.rows_end]);
        let mut cursor = SegmentCursor { rows, key: Vec::new(), value: None };
        cursor.advance();
        while cursor.row().is_some_and(|(found, _)| found < key) {
            cursor.advance();
        }
        cursor
    }

    fn restart_key(&self, restart: u32) -> &[u8] {
        let mut reader = Reader::new(&self.bytes[restart as usize..self.rows_end]);
        reader.var().and_then(|_| reader.bytes(usize::MAX)).expect(VERIFIED)
    }

    /// Walks all rows once, so that later reads need no checks.
    fn verify(&self, rows: u32) -> Result<(), DecodeError> {
        let mut reader = Reader::new(&self.bytes[HEADER_BYTES..self.rows_end]);
        let (mut key, mut before) = (Vec::new(), Vec::new());
        for row in 0..rows {
            let offset = self.rows_end - reader.remaining();
            let restart = row.is_multiple_of(RESTART_INTERVAL);
            if restart {
                if self.restarts.get((row / RESTART_INTERVAL) as usize) != Some(&(offset as u32)) {
                    return Err(DecodeError::Invalid("segment index"));
                }
                key.clear();
            }
            read_row(&mut reader, &mut key)?;
            if row > 0 && key <= before {
                return Err(DecodeError::Invalid("order of rows"));
            }
            before.clone_from(&key);
        }
        if self.restarts.len() != rows.div_ceil(RESTART_INTERVAL) as usize {
            return Err(DecodeError::Invalid("segment index"));
        }
        reader.finish()
    }
}

/// Stands at a row of a verified segment, or behind the last.
pub(crate) struct SegmentCursor<'a> {
    rows: Reader<'a>,
    key: Vec<u8>,
    value: Option<Option<&'a [u8]>>,
}

impl<'a> SegmentCursor<'a> {
    /// Returns the row's key and value, `None` inside for a tombstone.
    pub fn row(&self) -> Option<(&[u8], Option<&'a [u8]>)> {
        self.value.map(|value| (self.key.as_slice(), value))
    }

    /// Steps to the next row.
    pub fn advance(&mut self) {
        let more = !self.rows.is_empty();
        self.value = more.then(|| read_row(&mut self.rows, &mut self.key).expect(VERIFIED));
    }
}

/// Reads one row; `key` holds the key before and gets the key read.
fn read_row<'a>(reader: &mut Reader<'a>, key: &mut Vec<u8>) -> Result<Option<&'a [u8]>, DecodeError> {
    let shared = reader.var()?;
    match shared.cmp(&(key.len() as u64)) {
        Ordering::Greater => return Err(DecodeError::Invalid("shared key bytes")),
        Ordering::Equal | Ordering::Less => key.truncate(shared as usize),
    }
    key.extend_from_slice(reader.bytes(usize::MAX)?);
    match reader.var()? {
        0 => Ok(None),
        length => {
            let length = usize::try_from(length - 1).map_err(|_| DecodeError::End)?;
            reader.raw(length).map(Some)
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, DecodeError> {
    let four = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(DecodeError::End)?;
    Ok(u32::from_be_bytes(*four))
}
