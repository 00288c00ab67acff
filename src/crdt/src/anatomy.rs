//! Which bytes of a stored document vary from document to document: its stamps and its values.
//!
//! What lies between them (names of fields, kinds of leaves, the actor) repeats, and a store keeps it once. Only places are
//! told here; no byte is read back differently for it.

use std::ops::Range;

use value::{DecodeError, Hlc, Reader, cbor};

use crate::decode::read_stamps;
use crate::encode::{
    COUNTER_SET, HEAD_DELETED, HEAD_EPOCH, LEAF_COUNTER, LEAF_MAP, LEAF_REGISTER, LEAF_REMOVED, LEAF_RICH,
};

/// Adds the variable parts of a document's bytes, which begin at `offset` of what is stored; ascending.
///
/// Errors: the bytes are no document; what was added until then is of no use.
pub fn variable_parts(bytes: &[u8], offset: usize, parts: &mut Vec<Range<usize>>) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    let at = |reader: &Reader<'_>| offset + bytes.len() - reader.remaining();
    let head = reader.u8()?;
    if head & HEAD_EPOCH != 0 {
        reader.var()?;
    }
    let actors = reader.count(usize::MAX)?;
    reader.raw(actors.saturating_mul(8))?;
    let stamps = at(&reader);
    for _ in 0..reader.count(usize::MAX)? {
        reader.var()?;
        reader.var()?;
        if actors > 1 {
            reader.var()?;
        }
    }
    parts.push(stamps..at(&reader));
    if head & HEAD_DELETED != 0 {
        reader.var()?;
        return reader.finish();
    }
    for _ in 0..reader.count(usize::MAX)? {
        reader.var()?;
        reader.bytes(usize::MAX)?;
        let kind = reader.u8()?;
        if kind & LEAF_REGISTER != 0 {
            reader.var()?;
        }
        let start = at(&reader);
        if kind & (LEAF_REGISTER | LEAF_REMOVED | LEAF_MAP) == LEAF_REGISTER {
            cbor::skip(&mut reader)?;
        }
        if kind & LEAF_COUNTER != 0 {
            skip_counter(&mut reader)?;
        }
        if kind & LEAF_RICH != 0 {
            skip_rich(&mut reader)?;
        }
        if at(&reader) > start {
            parts.push(start..at(&reader));
        }
    }
    reader.finish()
}

/// Returns the greatest clock reading anywhere in a document, of its deletion too, from its bytes.
///
/// Errors: the bytes are no document.
pub fn newest(bytes: &[u8]) -> Result<Hlc, DecodeError> {
    let mut reader = Reader::new(bytes);
    if reader.u8()? & HEAD_EPOCH != 0 {
        reader.var()?;
    }
    let mut newest = Hlc::ZERO;
    read_stamps(&mut reader, |stamp| newest = newest.max(stamp.hlc))?;
    Ok(newest)
}

fn skip_counter(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let head = reader.var()?;
    if head & COUNTER_SET != 0 {
        reader.var()?;
        if head & 3 == COUNTER_SET {
            reader.var()?;
        }
    }
    for _ in 0..head >> 2 {
        for _ in 0..6 {
            reader.var()?;
        }
    }
    Ok(())
}

fn skip_rich(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let head = reader.u8()?;
    for _ in 0..if head >> 4 == 0 { 2 } else { 3 } {
        reader.var()?;
    }
    reader.bytes(usize::MAX)?;
    for _ in 0..reader.count(usize::MAX)? {
        reader.bytes(usize::MAX)?;
    }
    reader.raw(4).map(drop)
}
