//! The frame of a log record: what makes a torn or damaged record known as such.
//!
//! Layout: magic `SHLG`, format (1 byte, 1), sequence (8 bytes, big-endian), the record's own bytes, checksum (4 bytes,
//! big-endian) of everything before it. The device frames inside its write transaction, where the sequence is taken.

use value::{DecodeError, Hlc, Millis, Reader, Seq, Writer, checksum};

const MAGIC: &[u8; 4] = b"SHLG";
const FORMAT: u8 = 1;

/// What a frame adds to a record, bytes.
pub const FRAME_OVERHEAD_BYTES: usize = 17;

/// Wraps a record for the device.
pub fn frame(seq: Seq, record: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.raw(MAGIC).u8(FORMAT).fixed64(seq.0).raw(record);
    seal(writer)
}

/// Checks a framed record and returns its sequence and its own bytes.
///
/// Errors: `Version` when a newer program wrote it; anything else means damage.
pub fn unframe(bytes: &[u8]) -> Result<(Seq, &[u8]), DecodeError> {
    let mut reader = open(bytes, MAGIC, FORMAT)?;
    let seq = Seq(reader.fixed64()?);
    Ok((seq, reader.rest()))
}

/// Returns the sequence of the next record: later than the head, and its upper 48 bits never behind the clock.
pub fn next_seq(head: Seq, now: Millis) -> Seq {
    Seq(Hlc(head.0).next().max(Hlc::from_millis(now)).0)
}

/// Ends a record with the checksum of what was written.
pub(crate) fn seal(writer: Writer) -> Vec<u8> {
    let mut bytes = writer.finish();
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes
}

/// Checks magic, format and checksum, and returns a reader of what lies between.
pub(crate) fn open<'a>(bytes: &'a [u8], magic: &[u8; 4], format: u8) -> Result<Reader<'a>, DecodeError> {
    open_versions(bytes, magic, format).map(|(_, reader)| reader)
}

/// As `open`, for a layout of which all formats up to `newest` are read; returns the format too.
///
/// The format is looked at first: a newer one may keep its checksum elsewhere.
pub(crate) fn open_versions<'a>(bytes: &'a [u8], magic: &[u8; 4], newest: u8) -> Result<(u8, Reader<'a>), DecodeError> {
    let mut reader = Reader::new(bytes);
    if reader.raw(magic.len())? != magic {
        return Err(DecodeError::Invalid("magic"));
    }
    let format = match reader.u8()? {
        0 => return Err(DecodeError::Invalid("format 0")),
        known if known <= newest => known,
        newer => return Err(DecodeError::Version(u64::from(newer))),
    };
    let (body, sum) = bytes.split_last_chunk::<4>().ok_or(DecodeError::End)?;
    if body.len() < magic.len() + 1 {
        return Err(DecodeError::End);
    }
    if checksum(body) != u32::from_be_bytes(*sum) {
        return Err(DecodeError::Checksum);
    }
    Ok((format, Reader::new(&body[magic.len() + 1..])))
}
