//! An entry of a log file: a framed record that can be found again behind a damaged one.
//!
//! Layout: length of the frame (8 bytes), sequence (8 bytes, big-endian both), checksum of these 16 bytes (4 bytes), the frame
//! (`log`). The header has a checksum of its own, so that a flipped bit in a length loses one record and not all behind it.

use value::{DecodeError, Seq, Writer, checksum};

use crate::log;

/// Bytes before the frame.
pub const HEADER_BYTES: usize = 20;

/// Returns an entry.
pub fn encode(seq: Seq, record: &[u8]) -> Vec<u8> {
    let frame = log::frame(seq, record);
    let mut writer = Writer::new();
    writer.fixed64(frame.len() as u64).fixed64(seq.0);
    let mut bytes = writer.finish();
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes.extend_from_slice(&frame);
    bytes
}

/// One entry, and where its frame lies.
pub struct Entry {
    /// Its sequence. When the header cannot be read: the first of the file, or one more than the sequence before.
    pub seq: Seq,
    /// Where its frame begins.
    pub start: usize,
    /// Behind its last byte.
    pub end: usize,
    readable: bool,
}

impl Entry {
    /// Returns the bytes of the frame, of what was meant to be one.
    pub fn frame_bytes(&self) -> u64 {
        (self.end - self.start) as u64
    }

    /// Returns the record out of the file's bytes.
    pub fn record<'a>(&self, file: &'a [u8]) -> Result<&'a [u8], DecodeError> {
        if !self.readable {
            return Err(DecodeError::Checksum);
        }
        let (seq, record) = log::unframe(&file[self.start..self.end])?;
        if seq == self.seq { Ok(record) } else { Err(DecodeError::Invalid("sequence")) }
    }
}

/// Finds the entries of a file that begins with this sequence, in order, those that cannot be read included. What is cut short at its end, as a dying process leaves it, is none.
pub fn scan(first: Seq, file: &[u8]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut at = 0;
    while file.len() - at >= HEADER_BYTES {
        match header(file, at) {
            Some(Header { seq, end: Some(end) }) => {
                entries.push(Entry { seq, start: at + HEADER_BYTES, end, readable: true });
                at = end;
            }
            Some(Header { end: None, .. }) => break,
            None => {
                let next =
                    (at + 1..file.len()).find(|from| matches!(header(file, *from), Some(Header { end: Some(_), .. })));
                let end = next.unwrap_or(file.len());
                let seq = entries.last().map_or(first, |entry| Seq(entry.seq.0.saturating_add(1)));
                entries.push(Entry { seq, start: at, end, readable: false });
                at = end;
            }
        }
    }
    entries
}

struct Header {
    seq: Seq,
    /// `None` when the file ends before the entry does.
    end: Option<usize>,
}

fn header(file: &[u8], at: usize) -> Option<Header> {
    let header = file.get(at..)?.first_chunk::<HEADER_BYTES>()?;
    let (numbers, sum) = header.split_last_chunk::<4>()?;
    if checksum(numbers) != u32::from_be_bytes(*sum) {
        return None;
    }
    let (length, seq) = numbers.split_first_chunk::<8>()?;
    let seq = Seq(u64::from_be_bytes(seq.try_into().ok()?));
    let start = at + HEADER_BYTES;
    let end = usize::try_from(u64::from_be_bytes(*length)).ok().and_then(|length| start.checked_add(length));
    Some(Header { seq, end: end.filter(|end| *end <= file.len()) })
}
