//! The bytes of a segment: its header and its records.
//!
//! ```text
//! header  magic "SHOALLOG" | version u16 | length of the name u16 | first u64 | name | crc32c u32
//! record  length u32 | crc32c u32 | seq u64 | synced u32 | bytes
//! ```
//!
//! All integers are big-endian. `first` is a lower bound of the positions in the segment. A record's checksum covers all of
//! it but itself. `synced` is how many bytes of the segment were known durable when the record was written: it tells a tear
//! in a group that was never acknowledged (the group's own records name a place before the tear) from damage to bytes that
//! were once durable (a later record names a place behind it).

use value::Seq;

/// Largest record, bytes.
pub const RECORD_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Bytes of a record before its content.
pub(crate) const RECORD_HEADER_BYTES: usize = 20;
/// The layout described above.
pub(crate) const VERSION: u16 = 1;

const MAGIC: &[u8; 8] = b"SHOALLOG";

/// Why bytes are not a segment's header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Torn or foreign.
    Invalid,
    /// A later layout.
    Newer(u16),
}

/// What a segment says about itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) database: String,
    pub(crate) first: Seq,
    /// Bytes of the header: where the first record starts.
    pub(crate) bytes: usize,
}

/// What a record says about itself; its content follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) bytes: usize,
    crc: u32,
    pub(crate) seq: Seq,
    pub(crate) synced: u32,
}

/// Returns the header of a new segment.
pub(crate) fn encode_header(database: &str, first: Seq) -> Vec<u8> {
    let name_bytes = u16::try_from(database.len()).expect("the configuration bounds a database's name");
    let mut bytes = Vec::with_capacity(24 + database.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&name_bytes.to_be_bytes());
    bytes.extend_from_slice(&first.0.to_be_bytes());
    bytes.extend_from_slice(database.as_bytes());
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes
}

/// Reads a segment's header from its first bytes.
pub(crate) fn decode_header(bytes: &[u8]) -> Result<Header, HeaderError> {
    if bytes.get(..8) != Some(MAGIC.as_slice()) {
        return Err(HeaderError::Invalid);
    }
    let version = u16::from_be_bytes(array(bytes, 8).ok_or(HeaderError::Invalid)?);
    if version > VERSION {
        return Err(HeaderError::Newer(version));
    }
    let name_bytes = usize::from(u16::from_be_bytes(array(bytes, 10).ok_or(HeaderError::Invalid)?));
    let first = Seq(u64::from_be_bytes(array(bytes, 12).ok_or(HeaderError::Invalid)?));
    let end = 20 + name_bytes;
    let name = bytes.get(20..end).ok_or(HeaderError::Invalid)?;
    let crc = u32::from_be_bytes(array(bytes, end).ok_or(HeaderError::Invalid)?);
    if crc != crc32c::crc32c(&bytes[..end]) {
        return Err(HeaderError::Invalid);
    }
    let database = String::from_utf8(name.to_vec()).map_err(|_| HeaderError::Invalid)?;
    Ok(Header { database, first, bytes: end + 4 })
}

/// Appends a record to a buffer that will be written at once.
pub(crate) fn encode_record(seq: Seq, synced: u32, content: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(content.len()).expect("the writer refuses records over the limit").to_be_bytes();
    let mut tail = [0; 12];
    tail[..8].copy_from_slice(&seq.0.to_be_bytes());
    tail[8..].copy_from_slice(&synced.to_be_bytes());
    out.extend_from_slice(&length);
    out.extend_from_slice(&checksum(length, tail, content).to_be_bytes());
    out.extend_from_slice(&tail);
    out.extend_from_slice(content);
}

impl RecordHeader {
    /// Reads the fields before a record's content; `None` when they cannot start a record.
    pub(crate) fn decode(bytes: &[u8]) -> Option<RecordHeader> {
        let length = u32::from_be_bytes(array(bytes, 0)?) as usize;
        let seq = u64::from_be_bytes(array(bytes, 8)?);
        if length > RECORD_BYTES_MAX || seq == 0 {
            return None;
        }
        Some(RecordHeader {
            bytes: length,
            crc: u32::from_be_bytes(array(bytes, 4)?),
            seq: Seq(seq),
            synced: u32::from_be_bytes(array(bytes, 16)?),
        })
    }

    /// Says whether the content is what was written.
    pub(crate) fn matches(&self, content: &[u8]) -> bool {
        let mut tail = [0; 12];
        tail[..8].copy_from_slice(&self.seq.0.to_be_bytes());
        tail[8..].copy_from_slice(&self.synced.to_be_bytes());
        content.len() == self.bytes && checksum((self.bytes as u32).to_be_bytes(), tail, content) == self.crc
    }
}

/// Reads the record at the start of the bytes, if a whole one is there with a position after `after`.
pub(crate) fn decode_record(bytes: &[u8], after: Seq) -> Option<(RecordHeader, &[u8])> {
    let header = RecordHeader::decode(bytes)?;
    let content = bytes.get(RECORD_HEADER_BYTES..RECORD_HEADER_BYTES.checked_add(header.bytes)?)?;
    (header.seq > after && header.matches(content)).then_some((header, content))
}

fn checksum(length: [u8; 4], tail: [u8; 12], content: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&length);
    crc32c::crc32c_append(crc32c::crc32c_append(crc, &tail), content)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_records_read_back_as_written() {
        let bytes = encode_header("movies", Seq(7));
        let header = decode_header(&bytes).expect("whole");
        assert_eq!((header.database.as_str(), header.first, header.bytes), ("movies", Seq(7), bytes.len()));
        let mut out = Vec::new();
        encode_record(Seq(9), 30, b"abc", &mut out);
        let (record, content) = decode_record(&out, Seq(8)).expect("whole");
        assert_eq!((record.seq, record.synced, content), (Seq(9), 30, b"abc".as_slice()));
        assert!(decode_record(&out, Seq(9)).is_none(), "positions grow");
    }

    #[test]
    fn any_flipped_bit_is_seen() {
        let mut out = Vec::new();
        encode_record(Seq(9), 30, b"abc", &mut out);
        for bit in 0..out.len() * 8 {
            let mut bytes = out.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_record(&bytes, Seq(0)).is_none(), "bit {bit}");
        }
        let header = encode_header("m", Seq(1));
        for bit in 0..header.len() * 8 {
            let mut bytes = header.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_header(&bytes).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_layout_is_named() {
        let mut bytes = encode_header("m", Seq(1));
        bytes[9] = 2;
        assert_eq!(decode_header(&bytes), Err(HeaderError::Newer(2)));
    }
}
