//! The rows of a segment in memory: sorted, prefix-compressed, found by binary search.
//!
//! A row is, as varints, the bytes its key shares with the key before it, the bytes that follow, those bytes, and 0 for a
//! tombstone or the length of the value + 1 and the value. Every sixteenth row is a restart point and shares nothing; their
//! offsets are the index. Rows are made by a builder and never change, so reading them cannot fail.

use std::cmp::Ordering;

use value::{DecodeError, Reader, Writer};

const RESTART_INTERVAL: u32 = 16;
const BUILT: &str = "rows are made by the builder";

/// Collects ascending rows.
#[derive(Debug, Default)]
pub(crate) struct RowsBuilder {
    writer: Writer,
    restarts: Vec<u32>,
    count: u32,
    last: Vec<u8>,
}

impl RowsBuilder {
    /// Starts with room for that many bytes.
    pub fn with_capacity(bytes: usize) -> RowsBuilder {
        RowsBuilder { writer: Writer::with_capacity(bytes), ..RowsBuilder::default() }
    }

    /// Appends a row; keys must ascend.
    pub fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        let shared = if self.count.is_multiple_of(RESTART_INTERVAL) {
            self.restarts.push(self.writer.len() as u32);
            0
        } else {
            shared_bytes(key, &self.last)
        };
        self.writer.var(shared as u64).bytes(&key[shared..]);
        match value {
            None => _ = self.writer.var(0),
            Some(bytes) => _ = self.writer.var(bytes.len() as u64 + 1).raw(bytes),
        }
        self.count += 1;
        self.last.truncate(shared);
        self.last.extend_from_slice(&key[shared..]);
    }

    /// Appends a row of bytes from outside. Errors: the key does not ascend.
    pub fn push_checked(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), DecodeError> {
        if self.count > 0 && key <= self.last.as_slice() {
            return Err(DecodeError::Invalid("order of rows"));
        }
        self.push(key, value);
        Ok(())
    }

    /// Returns the bytes that the rows so far take.
    pub fn len(&self) -> usize {
        self.writer.len() + self.restarts.len() * 4
    }

    /// Returns how many rows there are so far.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Returns the key of the last row.
    pub fn last(&self) -> &[u8] {
        &self.last
    }

    pub fn finish(self) -> Rows {
        let mut bytes = self.writer.finish();
        bytes.shrink_to_fit();
        Rows { bytes, restarts: self.restarts, count: self.count }
    }
}

/// Returns how many bytes two keys share at their start.
pub(crate) fn shared_bytes(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// What a segment says about a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    Absent,
    Deleted,
    Value(&'a [u8]),
}

/// Sorted rows that do not change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    bytes: Vec<u8>,
    restarts: Vec<u32>,
    count: u32,
}

impl Rows {
    /// Returns the bytes it holds in memory.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.restarts.len() * 4
    }

    /// Returns how many rows there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Returns what the rows say about a key.
    ///
    /// No key is put together on the way: how many bytes a row shares with the row before says nearly always on which side
    /// of the wanted key it is.
    pub fn get(&self, key: &[u8]) -> Found<'_> {
        let mut rows = Reader::new(&self.bytes[self.restart_before(key)..]);
        // How many first bytes of the key the last row has, which is less than the key.
        let mut matched = 0;
        while !rows.is_empty() {
            let (shared, added, value) = read_parts(&mut rows).expect(BUILT);
            match (shared as usize).cmp(&matched) {
                Ordering::Greater => continue,
                Ordering::Less => return Found::Absent,
                Ordering::Equal => matched += shared_bytes(added, &key[matched..]),
            }
            match (added.get(matched - shared as usize), key.get(matched)) {
                (None, None) => return value.map_or(Found::Deleted, Found::Value),
                (Some(_), None) => return Found::Absent,
                (Some(here), Some(wanted)) if here > wanted => return Found::Absent,
                _ => {}
            }
        }
        Found::Absent
    }

    /// Returns a cursor at the first row.
    pub fn cursor(&self) -> RowCursor<'_> {
        let mut cursor = RowCursor { rows: Reader::new(&self.bytes), key: Vec::new(), value: None };
        cursor.advance();
        cursor
    }

    /// Returns a cursor at the first row that is not less than the key.
    pub fn seek(&self, key: &[u8]) -> RowCursor<'_> {
        let rows = Reader::new(&self.bytes[self.restart_before(key)..]);
        let mut cursor = RowCursor { rows, key: Vec::new(), value: None };
        cursor.advance();
        while cursor.row().is_some_and(|(found, _)| found < key) {
            cursor.advance();
        }
        cursor
    }

    /// Returns a key that is about so many rows before an end, or before all rows; `None` when all rows are behind the end.
    pub fn before(&self, end: Option<&[u8]>, rows: usize) -> Option<&[u8]> {
        let inside = self.restarts.partition_point(|restart| end.is_none_or(|end| self.restart_key(*restart) < end));
        let back = 1 + rows / RESTART_INTERVAL as usize;
        (inside > 0).then(|| self.restart_key(self.restarts[inside.saturating_sub(back)]))
    }

    /// Returns where the last rows start that the key can be among.
    fn restart_before(&self, key: &[u8]) -> usize {
        let after = self.restarts.partition_point(|restart| self.restart_key(*restart) <= key);
        after.checked_sub(1).map_or(0, |n| self.restarts[n] as usize)
    }

    fn restart_key(&self, restart: u32) -> &[u8] {
        let mut reader = Reader::new(&self.bytes[restart as usize..]);
        reader.var().and_then(|_| reader.bytes(usize::MAX)).expect(BUILT)
    }
}

/// Stands at a row, or behind the last.
pub(crate) struct RowCursor<'a> {
    rows: Reader<'a>,
    key: Vec<u8>,
    value: Option<Option<&'a [u8]>>,
}

impl<'a> RowCursor<'a> {
    /// Returns the row's key and value, `None` inside for a tombstone.
    pub fn row(&self) -> Option<(&[u8], Option<&'a [u8]>)> {
        self.value.map(|value| (self.key.as_slice(), value))
    }

    /// Steps to the next row.
    pub fn advance(&mut self) {
        let more = !self.rows.is_empty();
        self.value = more.then(|| read_row(&mut self.rows, &mut self.key).expect(BUILT));
    }
}

/// Reads one row; `key` holds the key before and gets the key read.
pub(crate) fn read_row<'a>(reader: &mut Reader<'a>, key: &mut Vec<u8>) -> Result<Option<&'a [u8]>, DecodeError> {
    let (shared, added, value) = read_parts(reader)?;
    match shared.cmp(&(key.len() as u64)) {
        Ordering::Greater => return Err(DecodeError::Invalid("shared key bytes")),
        Ordering::Equal | Ordering::Less => key.truncate(shared as usize),
    }
    key.extend_from_slice(added);
    Ok(value)
}

/// How many bytes a row's key shares with the key before, the bytes that follow, and the value.
type Parts<'a> = (u64, &'a [u8], Option<&'a [u8]>);

fn read_parts<'a>(reader: &mut Reader<'a>) -> Result<Parts<'a>, DecodeError> {
    let shared = reader.var()?;
    let added = reader.bytes(usize::MAX)?;
    let value = match reader.var()? {
        0 => None,
        length => {
            let length = usize::try_from(length - 1).map_err(|_| DecodeError::End)?;
            Some(reader.raw(length)?)
        }
    };
    Ok((shared, added, value))
}
