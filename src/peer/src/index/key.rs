//! Rows of an index: the fields of a document as bytes that order them, and its `_id`.
//!
//! The key of a row is the number of the index, the fields (`value::order_key`), the canonical bytes of the `_id`; its value
//! is the fields' note. A field of which more than [`FIELD_BYTES_MAX`] bytes would be in the key is cut; such a row says
//! where a document is about, and who reads it looks at the document.

use std::ops::Bound;

use dql::{Index, IndexKey, IndexScan, KeyBounds, Needed};
use store::{Key, KeyRange, ReadError};
use value::order_key::{self, Direction, OrderKey};
use value::{DocId, Object, Value};

/// What is kept of a field's bytes in a key.
pub const FIELD_BYTES_MAX: usize = 512;
/// Bytes of a row's key before the fields: the space and the number.
pub const PREFIX_BYTES: usize = 9;

/// Returns the fields at the top that indexes need, `_id` among them where it is indexed.
pub fn needed<'a>(indexes: impl Iterator<Item = &'a Index>) -> Needed {
    let mut names: Vec<String> = Vec::new();
    for name in indexes.flat_map(|index| &index.keys).filter_map(|key| key.path.first()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    Needed::Named(names)
}

/// Returns the row of a live document, of which `object` has at least the needed fields.
pub fn row(index: &Index, object: &Object, id: &DocId) -> (Key, Vec<u8>) {
    limited_row(index, object, id, FIELD_BYTES_MAX)
}

/// Returns the row that a document would have if nothing were cut.
pub fn whole_row(index: &Index, object: &Object, id: &DocId) -> (Key, Vec<u8>) {
    limited_row(index, object, id, usize::MAX)
}

fn limited_row(index: &Index, object: &Object, id: &DocId, bytes_max: usize) -> (Key, Vec<u8>) {
    let mut key = OrderKey::default();
    for field in &index.keys {
        key.push(at(object, &field.path), direction(field), bytes_max);
    }
    let note = key.note();
    let mut bytes = key.into_bytes();
    bytes.extend_from_slice(id.as_bytes());
    (Key::index_row(index.number, &bytes), note)
}

/// Returns the `_id` of a row.
pub fn id_of<'a>(index: &Index, key: &'a [u8], note: &[u8]) -> Result<&'a [u8], ReadError> {
    let row = key.get(PREFIX_BYTES..).ok_or_else(unreadable)?;
    let length = order_key::length(row, note, index.keys.iter().map(direction)).map_err(|_| unreadable())?;
    Ok(&row[length..])
}

/// Returns the fields that a row holds, with `_id`: all that a covered statement sees.
pub fn object_of(index: &Index, key: &[u8], note: &[u8], id: &DocId) -> Result<Object, ReadError> {
    let row = key.get(PREFIX_BYTES..).ok_or_else(unreadable)?;
    let values = order_key::decode(row, note, index.keys.iter().map(direction)).map_err(|_| unreadable())?;
    let mut object = Object::new();
    for (field, value) in index.keys.iter().zip(values) {
        if let Some(value) = value {
            set(&mut object, &field.path, value);
        }
    }
    object.insert("_id".to_owned(), id.to_value());
    Ok(object)
}

/// Ranges of rows.
#[derive(Debug)]
pub struct Ranges {
    /// Ascending and apart.
    pub ranges: Vec<KeyRange>,
    /// A bound was cut: rows that were cut have to be looked at.
    pub cut: bool,
}

impl Ranges {
    /// Returns the ranges in which the rows of a scan lie, and perhaps rows that were cut.
    pub fn of(scan: &IndexScan) -> Ranges {
        Ranges::limited(scan, FIELD_BYTES_MAX)
    }

    /// Returns the ranges in which the whole rows of a scan lie, and no others.
    pub fn whole(scan: &IndexScan) -> Ranges {
        Ranges::limited(scan, usize::MAX)
    }

    fn limited(scan: &IndexScan, bytes_max: usize) -> Ranges {
        let mut cut = false;
        let ranges = scan.bounds.iter().map(|bounds| range(&scan.index, bounds, bytes_max, &mut cut));
        let mut ranges: Vec<KeyRange> = ranges.filter(|range| !range.is_empty()).collect();
        ranges.sort_by(|a, b| a.start.cmp(&b.start));
        ranges.dedup_by(|next, range| {
            let apart = range.end.as_ref().is_some_and(|end| *end < next.start);
            if !apart {
                range.end = match (range.end.take(), next.end.take()) {
                    (Some(a), Some(b)) => Some(a.max(b)),
                    _ => None,
                };
            }
            !apart
        });
        Ranges { ranges, cut }
    }

    /// Says whether a row lies in one of them.
    pub fn contain(&self, key: &Key) -> bool {
        let after = self.ranges.partition_point(|range| range.start <= *key);
        after.checked_sub(1).is_some_and(|place| self.ranges[place].contains(key))
    }
}

fn range(index: &Index, bounds: &KeyBounds, bytes_max: usize, cut: &mut bool) -> KeyRange {
    let mut equal = OrderKey::default();
    for (value, field) in bounds.equal.iter().zip(&index.keys) {
        equal.push(value.as_ref(), direction(field), bytes_max);
    }
    *cut |= equal.is_cut();
    let whole = prefix(index, &equal);
    let Some(field) = index.keys.get(bounds.equal.len()) else { return whole };
    let (first, last) = match direction(field) {
        Direction::Ascending => (&bounds.low, &bounds.high),
        Direction::Descending => (&bounds.high, &bounds.low),
    };
    // The rows whose field is a value, and whether it was cut; then they are only about there.
    let mut at = |value: &Option<Value>| {
        let mut key = OrderKey::default();
        key.push(value.as_ref(), direction(field), bytes_max);
        let is_cut = key.is_cut();
        *cut |= is_cut;
        let mut bytes = equal.bytes().to_vec();
        bytes.extend_from_slice(key.bytes());
        (KeyRange::prefix(Key::index_row(index.number, &bytes).as_bytes().to_vec()), is_cut)
    };
    let start = match first {
        Bound::Unbounded => whole.start,
        Bound::Included(value) => at(value).0.start,
        Bound::Excluded(value) => match at(value) {
            (rows, true) => rows.start,
            (rows, false) => rows.end.unwrap_or(rows.start),
        },
    };
    let end = match last {
        Bound::Unbounded => whole.end,
        Bound::Included(value) => at(value).0.end,
        Bound::Excluded(value) => match at(value) {
            (rows, true) => rows.end,
            (rows, false) => Some(rows.start),
        },
    };
    KeyRange::new(start, end)
}

fn prefix(index: &Index, key: &OrderKey) -> KeyRange {
    KeyRange::prefix(Key::index_row(index.number, key.bytes()).as_bytes().to_vec())
}

fn direction(field: &IndexKey) -> Direction {
    if field.descending { Direction::Descending } else { Direction::Ascending }
}

/// Returns the value at a path, as the language finds it.
fn at<'a>(object: &'a Object, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(object.get(first)?, |value, name| value.as_object()?.get(name))
}

/// Sets a value at a path; an object that is there already has it.
fn set(object: &mut Object, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        object.insert(first.clone(), value);
        return;
    }
    if let Value::Object(inner) = object.entry(first.clone()).or_insert_with(|| Value::Object(Object::new())) {
        set(inner, rest, value);
    }
}

fn unreadable() -> ReadError {
    ReadError::Backend("a row of an index cannot be read".to_owned())
}
