//! Reading some fields of a stored document without building the document.
//!
//! In: bytes that this peer encoded and a checksum has kept, and the names of the wanted fields at the top. Out: what
//! `Doc::to_object` would show of them. A scan reads two fields of ten of each document: the others are stepped over.
//!
//! Documents whose paths hold one register each, which is nearly all, are read in one pass; where several types lie under
//! one path, or counters or rich content, the document is built after all, so that the rule of what shows is written once.

use value::{DecodeError, Object, Reader, Value, cbor};

use crate::decode::read_stamps;
use crate::document::Doc;
use crate::encode::{HEAD_DELETED, HEAD_EPOCH, LEAF_COUNTER, LEAF_MAP, LEAF_REGISTER, LEAF_REMOVED, LEAF_RICH};
use crate::path::first_name;
use crate::types::Types;

/// Which fields of a document are wanted.
#[derive(Clone, Copy, Debug)]
pub enum Fields<'a> {
    /// All of them.
    All,
    /// Those with these names at the top; perhaps none, to learn only whether the document is live.
    Named(&'a [String]),
}

/// Returns the wanted fields that show, without `_id`; `None` unless the document is live.
///
/// Errors: the bytes are no document; they are not checked as those from outside are.
pub fn project(bytes: &[u8], fields: Fields<'_>) -> Result<Option<Object>, DecodeError> {
    match plain(bytes, fields)? {
        Plain::Shown(object) => Ok(object),
        Plain::Mixed => {
            let Some(mut object) = Doc::read(bytes)?.to_object(&Types::default()) else { return Ok(None) };
            if let Fields::Named(names) = fields {
                object.retain(|name, _| names.contains(name));
            }
            Ok(Some(object))
        }
    }
}

enum Plain {
    Shown(Option<Object>),
    /// More than registers: the rule of what shows is needed.
    Mixed,
}

fn plain(bytes: &[u8], fields: Fields<'_>) -> Result<Plain, DecodeError> {
    let mut reader = Reader::new(bytes);
    let head = reader.u8()?;
    if head & HEAD_DELETED != 0 {
        return Ok(Plain::Shown(None));
    }
    if head & HEAD_EPOCH != 0 {
        reader.var()?;
    }
    read_stamps(&mut reader, |_| ())?;
    let count = reader.count(usize::MAX)?;
    let (mut path, mut object, mut live) = (Vec::with_capacity(64), Object::new(), false);
    // The path of the last value: nothing that shows may lie below it.
    let mut value_at: Option<usize> = None;
    let mut top = Top::default();
    for _ in 0..count {
        let shared = reader.var()? as usize;
        let added = reader.bytes(usize::MAX)?;
        path.truncate(shared);
        path.extend_from_slice(added);
        let wanted = top.is_wanted(&path, shared, fields)?;
        if live && !wanted && top.is_past(&path, fields) {
            break;
        }
        let kind = reader.u8()?;
        if kind & (LEAF_COUNTER | LEAF_RICH) != 0 || value_at.is_some_and(|length| shared >= length) {
            return Ok(Plain::Mixed);
        }
        value_at = None;
        if kind & LEAF_REGISTER != 0 {
            reader.var()?;
        }
        if kind & (LEAF_REGISTER | LEAF_REMOVED) != LEAF_REGISTER {
            continue;
        }
        live = true;
        let is_map = kind & LEAF_MAP != 0;
        if !is_map {
            value_at = Some(path.len());
        }
        match (is_map, wanted) {
            (true, true) => put(&mut object, text(&path)?, Value::Object(Object::new())),
            (true, false) => {}
            (false, true) => put(&mut object, text(&path)?, cbor::decode_from(&mut reader)?),
            (false, false) => cbor::skip(&mut reader)?,
        }
    }
    Ok(Plain::Shown(live.then_some(object)))
}

/// The field at the top that the present leaf lies in; neighbours lie in one, so it is looked at once.
#[derive(Default)]
struct Top {
    /// Bytes of its name with the end mark; 0 before the first.
    length: usize,
    wanted: bool,
}

impl Top {
    /// Says whether a path, of which that many bytes are those of the path before, lies in a wanted field.
    fn is_wanted(&mut self, path: &[u8], shared: usize, fields: Fields<'_>) -> Result<bool, DecodeError> {
        if self.length == 0 || shared < self.length {
            // The root's own marker lies in no field.
            let Some(end) = path.iter().position(|byte| *byte == 0) else {
                self.length = 0;
                return Ok(false);
            };
            self.length = end + 1;
            self.wanted = match fields {
                Fields::All => true,
                Fields::Named(names) if path[..end].contains(&1) => {
                    let name = first_name(text(path)?).map(|(name, _)| name);
                    names.iter().any(|wanted| name.as_deref() == Some(wanted))
                }
                Fields::Named(names) => names.iter().any(|wanted| wanted.as_bytes() == &path[..end]),
            };
        }
        Ok(self.wanted)
    }

    /// Says whether all wanted fields lie before a path, so that nothing of what is left can show in them.
    fn is_past(&self, path: &[u8], fields: Fields<'_>) -> bool {
        let Fields::Named(names) = fields else { return false };
        let Some(name) = self.length.checked_sub(1).and_then(|end| path.get(..end)) else { return false };
        // A name with an escaped byte is ordered otherwise than it is written.
        names.iter().all(|wanted| wanted.as_bytes() < name && wanted.bytes().all(|byte| byte > 1))
    }
}

fn text(path: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(path).map_err(|_| DecodeError::Invalid("UTF-8"))
}

/// Sets a value at a path, below maps that are made where they have no marker of their own.
fn put(object: &mut Object, path: &str, value: Value) {
    let Some((name, length)) = first_name(path) else { return };
    let rest = &path[length..];
    if rest.is_empty() {
        object.insert(name.into_owned(), value);
        return;
    }
    let entry = match object.get_mut(name.as_ref()) {
        Some(entry) => entry,
        None => object.entry(name.into_owned()).or_insert_with(|| Value::Object(Object::new())),
    };
    if let Value::Object(below) = entry {
        put(below, rest, value);
    }
}
