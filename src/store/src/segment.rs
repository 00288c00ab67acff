//! A segment: an immutable sorted run of rows, one record of the device.
//!
//! Format 2: magic `SHSG`, format (1 byte, 2), number (8 bytes, big-endian), bytes of the rows in memory and
//! length of the packed rows (varints), the packed rows compressed as one LZ4 block, checksum. Format 1, read for ever: magic, format (1 byte, 1), number, rows, restart
//! points (4 bytes each), their count (4 bytes), count of rows (4 bytes), checksum; fixed widths big-endian.
//!
//! A segment is verified whole when it is opened: checksum, number, order of keys, lengths. What is then in memory are its
//! rows (`rows`); how they are packed is in `packing`.

use value::{DecodeError, Reader, Writer};

use crate::filter::{Filter, filter_hash};
use crate::key::Key;
use crate::layout::ValueLayout;
use crate::log::{open_versions, seal};
use crate::manifest::SegmentInfo;
use crate::packing::{pack, unpack};
use crate::rows::{Rows, RowsBuilder, read_row};

const MAGIC: &[u8; 4] = b"SHSG";
const FORMAT: u8 = 2;
/// Largest rows that are read: a row is at most a document and its key, and a segment of such a row little more.
const ROWS_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Of format 1: magic, format and number.
const HEADER_BYTES_1: usize = 13;

/// Collects ascending rows into a segment.
pub(crate) struct SegmentBuilder {
    id: u64,
    rows: RowsBuilder,
    hashes: Vec<u64>,
    tombstones: u64,
    first: Vec<u8>,
}

/// A segment that is not yet on the device.
#[derive(Debug)]
pub(crate) struct Built {
    pub info: SegmentInfo,
    /// The device's record.
    pub bytes: Vec<u8>,
    /// The same in memory.
    pub rows: Rows,
}

impl SegmentBuilder {
    pub fn new(id: u64) -> SegmentBuilder {
        SegmentBuilder { id, rows: RowsBuilder::default(), hashes: Vec::new(), tombstones: 0, first: Vec::new() }
    }

    /// Appends a row; keys must ascend.
    pub fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        if self.rows.count() == 0 {
            self.first = key.to_vec();
        }
        self.tombstones += u64::from(value.is_none());
        self.rows.push(key, value);
        self.hashes.push(filter_hash(key));
    }

    /// Returns the bytes of the rows so far, before they are packed.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.count() == 0
    }

    pub fn finish(self, layout: &dyn ValueLayout) -> Built {
        let last = Key::from_bytes(self.rows.last().to_vec());
        let rows = self.rows.finish();
        let packed = pack(&rows, layout);
        let rows_bytes = rows.len() as u64;
        let mut writer = Writer::with_capacity(packed.len() / 2);
        writer.raw(MAGIC).u8(FORMAT).fixed64(self.id).var(rows_bytes).var(packed.len() as u64);
        let bytes = seal_with(writer, &lz4_flex::block::compress(&packed));
        let info = SegmentInfo {
            id: self.id,
            bytes: bytes.len() as u64,
            rows: u64::from(rows.count()),
            rows_bytes,
            tombstones: self.tombstones,
            first: Key::from_bytes(self.first),
            last,
            filter: Filter::build(&self.hashes),
        };
        Built { info, bytes, rows }
    }
}

fn seal_with(mut writer: Writer, bytes: &[u8]) -> Vec<u8> {
    writer.raw(bytes);
    seal(writer)
}

/// Verifies a record of the device and returns its rows.
pub(crate) fn open(id: u64, bytes: &[u8]) -> Result<Rows, DecodeError> {
    let (format, mut reader) = open_versions(bytes, MAGIC, FORMAT)?;
    if reader.fixed64()? != id {
        return Err(DecodeError::Invalid("segment number"));
    }
    if format == 1 { open_1(reader) } else { open_2(reader) }
}

fn open_2(mut reader: Reader<'_>) -> Result<Rows, DecodeError> {
    let rows_bytes = usize::try_from(reader.var()?).map_err(|_| DecodeError::Limit("segment bytes"))?;
    let length = usize::try_from(reader.var()?).ok().filter(|length| *length <= ROWS_BYTES_MAX);
    let compressed = reader.rest();
    // An LZ4 block cannot grow by more than 255: a length beyond that must not be allocated.
    let length = length.filter(|length| length / 255 <= compressed.len()).ok_or(DecodeError::Limit("segment bytes"))?;
    let packed = lz4_flex::block::decompress(compressed, length).map_err(|_| DecodeError::Invalid("compression"))?;
    if packed.len() != length {
        return Err(DecodeError::Invalid("length of the rows"));
    }
    // A segment is this peer's own; one that an older program wrote may have more pieces than are written now.
    unpack(&packed, rows_bytes, usize::MAX)
}

fn open_1(mut reader: Reader<'_>) -> Result<Rows, DecodeError> {
    let body = reader.rest();
    let index = body.len().checked_sub(8).ok_or(DecodeError::End)?;
    let restarts = u32_at(body, index)? as usize;
    let count = u32_at(body, index + 4)?;
    let rows_end = restarts.checked_mul(4).and_then(|bytes| index.checked_sub(bytes));
    let rows_end = rows_end.ok_or(DecodeError::Invalid("segment index"))?;
    let mut reader = Reader::new(&body[..rows_end]);
    let mut rows = RowsBuilder::with_capacity(rows_end);
    let mut key = Vec::new();
    for row in 0..count {
        if row.is_multiple_of(16) {
            let offset = u32_at(body, rows_end + row as usize / 16 * 4)? as usize;
            if offset != HEADER_BYTES_1 + rows_end - reader.remaining() {
                return Err(DecodeError::Invalid("segment index"));
            }
            key.clear();
        }
        let value = read_row(&mut reader, &mut key)?;
        rows.push_checked(&key, value)?;
    }
    if restarts != count.div_ceil(16) as usize {
        return Err(DecodeError::Invalid("segment index"));
    }
    reader.finish()?;
    Ok(rows.finish())
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, DecodeError> {
    let four = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(DecodeError::End)?;
    Ok(u32::from_be_bytes(*four))
}
