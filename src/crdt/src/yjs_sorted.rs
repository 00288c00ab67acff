//! The fields of objects in a Yjs update (V1) put in order.
//!
//! yrs keeps objects in hash maps and writes them in any order, another one each time; a state must have one form. In: an
//! update that yrs wrote. Out: the same with the fields of every object, in values and in the JSON of formats and embeds, by
//! name. Nothing gets longer or shorter.

use std::collections::BTreeSet;

use value::limits::DEPTH_MAX;
use value::{DecodeError, Reader};

use crate::yjs_format::{Region, RegionKind, any, regions};

/// Returns the update with sorted objects; `None` if it is none.
pub(crate) fn sorted(update: &[u8]) -> Option<Vec<u8>> {
    let regions = regions(update).ok()?;
    let mut out = update.to_vec();
    for Region { kind, range } in regions {
        let region = update.get(range.clone())?;
        let replaced = match kind {
            RegionKind::Json => json(region),
            RegionKind::Value => value(&mut Reader::new(region), DEPTH_MAX).ok(),
        };
        // What cannot be sorted, such as JSON nested too deep, stays: then states of two peers may differ in bytes.
        if let Some(replaced) = replaced.filter(|replaced| replaced.len() == region.len()) {
            out[range].copy_from_slice(&replaced);
        }
    }
    Some(out)
}

/// Reads a value and returns its bytes, sorted.
fn value(reader: &mut Reader<'_>, depth_left: usize) -> Result<Vec<u8>, DecodeError> {
    let mut whole = Reader::new(reader.clone().rest());
    let kind = reader.peek()?;
    if kind != 117 && kind != 118 || depth_left == 0 {
        let before = whole.remaining();
        any(reader, depth_left)?;
        return whole.raw(before - reader.remaining()).map(<[u8]>::to_vec);
    }
    reader.u8()?;
    let count = reader.count(reader.remaining())?;
    let mut out = whole.raw(whole.remaining() - reader.remaining())?.to_vec();
    if kind == 117 {
        for _ in 0..count {
            out.extend(value(reader, depth_left - 1)?);
        }
        return Ok(out);
    }
    let mut fields = BTreeSet::new();
    for _ in 0..count {
        let mut start = Reader::new(reader.clone().rest());
        reader.bytes(reader.remaining())?;
        let mut field = start.raw(start.remaining() - reader.remaining())?.to_vec();
        field.extend(value(reader, depth_left - 1)?);
        fields.insert(field);
    }
    fields.into_iter().for_each(|field| out.extend(field));
    Ok(out)
}

/// Returns JSON without white space, as yrs writes it, with sorted objects; `None` if it is something else.
fn json(text: &[u8]) -> Option<Vec<u8>> {
    let mut rest = text;
    let sorted = json_value(&mut rest, DEPTH_MAX)?;
    rest.is_empty().then_some(sorted)
}

fn json_value(rest: &mut &[u8], depth_left: usize) -> Option<Vec<u8>> {
    let (open, close) = match rest.first()? {
        b'{' => (b'{', b'}'),
        b'[' => (b'[', b']'),
        _ => return json_scalar(rest),
    };
    if depth_left == 0 {
        return None;
    }
    let mut items = Vec::new();
    *rest = &rest[1..];
    while *rest.first()? != close {
        if !items.is_empty() {
            *rest = rest.strip_prefix(b",")?;
        }
        let mut item = json_value(rest, depth_left - 1)?;
        if open == b'{' {
            *rest = rest.strip_prefix(b":")?;
            item.push(b':');
            item.extend(json_value(rest, depth_left - 1)?);
        }
        items.push(item);
    }
    *rest = &rest[1..];
    if open == b'{' {
        // Sets sort as they fill; a sort of slices is 5 kB of WebAssembly. Twice the same field is once too often.
        items = items.into_iter().collect::<BTreeSet<Vec<u8>>>().into_iter().collect();
    }
    let mut out = vec![open];
    out.extend(items.join(&b','));
    out.push(close);
    Some(out)
}

/// Takes a string, a number or a word.
fn json_scalar(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let end = if rest.first()? == &b'"' {
        let mut at = 1;
        while *rest.get(at)? != b'"' {
            at += if rest[at] == b'\\' { 2 } else { 1 };
        }
        at + 1
    } else {
        rest.iter().position(|byte| b",:]}".contains(byte)).unwrap_or(rest.len())
    };
    let (scalar, after) = rest.split_at(end);
    *rest = after;
    (!scalar.is_empty()).then(|| scalar.to_vec())
}
