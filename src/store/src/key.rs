//! The key space: which records there are and how their keys are ordered.
//!
//! A key is a space byte and what the space defines. `0x01` meta: the name as UTF-8. `0x02` documents: the collection's name
//! with every `0x00` written as `0x00 0xff`, the terminator `0x00 0x01`, the canonical bytes of the `_id`. `0x03` index rows:
//! the number of the index as 8 bytes big-endian, then the row as the index orders it. `0x04` is reserved for chunks of rich
//! fields. The terminator keeps collections apart and in the order of their names; documents inside a collection are ordered
//! by the bytes of their `_id`, which is *not* the order of the language.

use value::{CollectionName, DocId};

const SPACE_META: u8 = 1;
const SPACE_DOCUMENT: u8 = 2;
const SPACE_INDEX: u8 = 3;

/// Names one record of a store; ordered by bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Vec<u8>);

/// What a key names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A document.
    Document {
        /// The collection.
        collection: CollectionName,
        /// The `_id`.
        id: DocId,
    },
    /// A row of an index.
    IndexRow {
        /// The number of the index.
        index: u64,
        /// The row in the index's own order.
        row: Vec<u8>,
    },
    /// A small record of the engine's own.
    Meta {
        /// Its name.
        name: String,
    },
}

impl Key {
    /// Returns the key of a document.
    pub fn document(collection: &CollectionName, id: &DocId) -> Key {
        let mut bytes = document_prefix(collection);
        bytes.extend_from_slice(id.as_bytes());
        Key(bytes)
    }

    /// Returns the key of a small record of the engine's own, for example a cursor or a catalogue entry.
    pub fn meta(name: &str) -> Key {
        prefixed(SPACE_META, name.as_bytes())
    }

    /// Returns the key of a row of an index.
    pub fn index_row(index: u64, row: &[u8]) -> Key {
        let mut bytes = index_prefix(index);
        bytes.extend_from_slice(row);
        Key(bytes)
    }

    /// Returns the range of all documents of a collection.
    pub fn documents(collection: &CollectionName) -> KeyRange {
        KeyRange::prefix(document_prefix(collection))
    }

    /// Returns the range of all documents of all collections, in the order of the collections' names.
    pub fn all_documents() -> KeyRange {
        KeyRange::prefix(vec![SPACE_DOCUMENT])
    }

    /// Returns the range of all rows of an index.
    pub fn index_rows(index: u64) -> KeyRange {
        KeyRange::prefix(index_prefix(index))
    }

    /// Returns the range of the meta records whose names start with the prefix; all of them when it is empty.
    pub fn metas(prefix: &str) -> KeyRange {
        KeyRange::prefix(prefixed(SPACE_META, prefix.as_bytes()).0)
    }

    /// Returns what the key names, or `None` when it belongs to no known space or is malformed.
    pub fn parse(&self) -> Option<Parsed> {
        let (space, rest) = self.0.split_first()?;
        match *space {
            SPACE_META => Some(Parsed::Meta { name: String::from_utf8(rest.to_vec()).ok()? }),
            SPACE_DOCUMENT => {
                let (name, id) = split_name(rest)?;
                let collection = CollectionName::new(&String::from_utf8(name).ok()?).ok()?;
                Some(Parsed::Document { collection, id: DocId::from_bytes(id).ok()? })
            }
            SPACE_INDEX => {
                let (index, row) = rest.split_first_chunk::<8>()?;
                Some(Parsed::IndexRow { index: u64::from_be_bytes(*index), row: row.to_vec() })
            }
            _ => None,
        }
    }

    /// Says whether bytes are the key of a document.
    pub fn names_document(bytes: &[u8]) -> bool {
        bytes.first() == Some(&SPACE_DOCUMENT)
    }

    /// Returns the bytes that order the key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes that order the key.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Takes bytes as they are, from a file or another engine.
    pub fn from_bytes(bytes: Vec<u8>) -> Key {
        Key(bytes)
    }

    /// Returns the least key that is greater than this one.
    pub fn successor(&self) -> Key {
        let mut bytes = self.0.clone();
        bytes.push(0);
        Key(bytes)
    }
}

/// The keys from `start` up to, but not including, `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key of the range.
    pub start: Key,
    /// The first key after the range; `None` for no upper bound.
    pub end: Option<Key>,
}

impl KeyRange {
    /// Joins two bounds.
    pub fn new(start: Key, end: Option<Key>) -> KeyRange {
        KeyRange { start, end }
    }

    /// Returns the range of every key.
    pub fn all() -> KeyRange {
        KeyRange { start: Key::default(), end: None }
    }

    /// Returns the range of the keys that start with these bytes.
    pub fn prefix(prefix: Vec<u8>) -> KeyRange {
        let mut end = prefix.clone();
        while end.pop_if(|byte| *byte == u8::MAX).is_some() {}
        let end = end.last_mut().map(|byte| *byte += 1).is_some().then_some(end);
        KeyRange { start: Key(prefix), end: end.map(Key) }
    }

    /// Says whether the key lies in the range.
    pub fn contains(&self, key: &Key) -> bool {
        *key >= self.start && !self.is_past(key.as_bytes())
    }

    /// Returns the part of the range after a key: where a scan resumes.
    pub fn after(&self, key: &Key) -> KeyRange {
        KeyRange { start: key.successor().max(self.start.clone()), end: self.end.clone() }
    }

    /// Says whether no key can lie in the range.
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    /// Says whether a key lies behind the end.
    pub(crate) fn is_past(&self, key: &[u8]) -> bool {
        self.end.as_ref().is_some_and(|end| key >= end.as_bytes())
    }
}

fn prefixed(space: u8, rest: &[u8]) -> Key {
    let mut bytes = Vec::with_capacity(rest.len() + 1);
    bytes.push(space);
    bytes.extend_from_slice(rest);
    Key(bytes)
}

fn index_prefix(index: u64) -> Vec<u8> {
    prefixed(SPACE_INDEX, &index.to_be_bytes()).0
}

fn document_prefix(collection: &CollectionName) -> Vec<u8> {
    let name = collection.as_str().as_bytes();
    let mut bytes = Vec::with_capacity(name.len() + 3);
    bytes.push(SPACE_DOCUMENT);
    for byte in name {
        bytes.push(*byte);
        if *byte == 0 {
            bytes.push(0xff);
        }
    }
    bytes.extend_from_slice(&[0, 1]);
    bytes
}

/// Splits an escaped name from what follows its terminator.
fn split_name(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut name = Vec::new();
    let mut rest = bytes;
    loop {
        match rest {
            [0, 1, tail @ ..] => return Some((name, tail)),
            [0, 0xff, tail @ ..] => {
                name.push(0);
                rest = tail;
            }
            [0, ..] | [] => return None,
            [byte, tail @ ..] => {
                name.push(*byte);
                rest = tail;
            }
        }
    }
}
