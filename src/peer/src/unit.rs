//! Units as they travel: a few changes in shorthand, many as compressed columns.
//!
//! Layout: nothing at all for no documents; else a byte for the form and
//! - 0, shorthand: count, each: the document's place + 1 among the recent ones of this direction of the link, or 0 and the
//!   collection's place + 1, or 0 and its name, and the `_id`, hexadecimal ones in half the bytes; then the delta in the short form of `crdt`, or nothing and the
//!   delta as it is.
//! - 1, columns: a parcel of rows, key and delta, as a segment of the store holds them; ascending, no document twice.
//! - 2, list: length and DEFLATE stream of: collection, `_id` and delta of each document.
//!
//! Only shorthand depends on what the link has carried before, so both ends read every unit, also of a set of subscriptions
//! that is no longer of interest.

use std::ops::Range;

use crdt::{Doc, Shorthand};
use store::parcel::{deflate, inflate, length, pack_rows, unpack_rows};
use store::{Key, Parsed, ValueLayout};
use value::limits::{COLLECTION_NAME_BYTES_MAX, FRAME_BYTES_MAX, ID_BYTES_MAX, MERGED_DOCUMENT_BYTES_MAX};
use value::{CollectionName, DecodeError, DocId, HexOr, Reader, Recent, Value, Writer, read_hex_or, write_hex_or};

use crate::record::DocState;

/// Units of fewer bytes are written in shorthand, and of more than four times as many not read: a place stands for any `_id`.
const SHORTHAND_BYTES_MAX: usize = 512;
/// A unit counts against the window at least one of so many bytes that it holds.
const HELD_SHARE: usize = 4;
/// Largest unit that is read, bytes: a message's worth and one document that may be large.
const UNIT_BYTES_MAX: usize = FRAME_BYTES_MAX;

/// Columns of more bytes are not made, and of more than twice as many not read: reading them takes many times their size.
const COLUMNS_BYTES_MAX: usize = 1024 * 1024;

const SHORTHAND: u8 = 0;
const COLUMNS: u8 = 1;
const LIST: u8 = 2;

/// What one direction of a link remembers of what it carried.
#[derive(Debug, Default)]
pub struct Words {
    documents: Recent<(CollectionName, DocId)>,
    collections: Recent<CollectionName>,
    deltas: Shorthand,
}

/// Where the deltas of columns vary.
#[derive(Debug)]
struct DeltaLayout;

impl ValueLayout for DeltaLayout {
    fn variable_parts(&self, _key: &[u8], value: &[u8], parts: &mut Vec<Range<usize>>) {
        if crdt::variable_parts(value, 0, parts).is_err() {
            parts.clear();
        }
    }
}

/// Returns about how many bytes a document adds to a unit before it is compressed.
pub fn weight(doc: &DocState) -> usize {
    weight_of(doc.collection.as_str().len() + doc.id.as_bytes().len() + 3, doc.delta.len())
}

/// Returns the same from the lengths of the document's key and of its bytes.
pub fn weight_of(key: usize, doc: usize) -> usize {
    key + doc
}

/// Returns what a unit counts against the window beside its frame's bytes: a share of what it becomes, so that few bytes do
/// not make the other side hold much. Both sides read it off the unit.
pub fn cost(unit: &[u8]) -> usize {
    let Some((form, rest)) = unit.split_first() else { return 0 };
    let declared = match *form {
        COLUMNS | LIST => length(&mut Reader::new(rest), UNIT_BYTES_MAX).unwrap_or_default(),
        _ => 0,
    };
    declared / HELD_SHARE
}

/// Writes a unit.
pub fn encode(docs: &[DocState], words: &mut Words) -> Vec<u8> {
    match docs {
        [] => Vec::new(),
        _ if docs.iter().map(weight).sum::<usize>() < SHORTHAND_BYTES_MAX => words.encode(docs),
        _ if docs.iter().map(weight).sum::<usize>() > COLUMNS_BYTES_MAX => encode_list(docs),
        _ => encode_columns(docs).unwrap_or_else(|| encode_list(docs)),
    }
}

/// Reads a unit; every delta in it is a document.
///
/// Errors: the bytes are no unit, or larger than a frame may become.
pub fn decode(unit: &[u8], words: &mut Words) -> Result<Vec<DocState>, DecodeError> {
    let docs = match unit.split_first() {
        None => Vec::new(),
        Some((&SHORTHAND, rest)) => words.decode(rest)?,
        Some((&COLUMNS, rest)) => decode_columns(rest)?,
        Some((&LIST, rest)) => decode_list(rest)?,
        Some(_) => return Err(DecodeError::Invalid("form of a unit")),
    };
    docs.iter().try_for_each(|doc| Doc::decode(&doc.delta).map(drop))?;
    Ok(docs)
}

impl Words {
    fn encode(&mut self, docs: &[DocState]) -> Vec<u8> {
        let mut out = Writer::with_capacity(64);
        out.u8(SHORTHAND).var(docs.len() as u64);
        for doc in docs {
            let is = |(collection, id): &(CollectionName, DocId)| *id == doc.id && *collection == doc.collection;
            match self.documents.place(is) {
                Some(place) => _ = out.var(place as u64 + 1),
                None => {
                    out.u8(0);
                    self.name(&doc.collection, &mut out);
                    encode_id(&doc.id, &mut out);
                    self.documents.add((doc.collection.clone(), doc.id.clone()));
                }
            }
            match self.deltas.shorten(&doc.delta) {
                Ok(short) => _ = out.bytes(&short),
                Err(_) => _ = out.bytes(&[]).bytes(&doc.delta),
            }
        }
        out.finish()
    }

    fn name(&mut self, collection: &CollectionName, out: &mut Writer) {
        match self.collections.place(|known| known == collection) {
            Some(place) => _ = out.var(place as u64 + 1),
            None => {
                out.u8(0).str(collection.as_str());
                self.collections.add(collection.clone());
            }
        }
    }

    fn decode(&mut self, bytes: &[u8]) -> Result<Vec<DocState>, DecodeError> {
        let mut r = Reader::new(bytes);
        let (mut docs, mut bytes_held) = (Vec::new(), 0);
        for _ in 0..r.count(bytes.len())? {
            let (collection, id) = match place_of(r.var()?)? {
                Some(place) => self.documents.at(place).cloned().ok_or(DecodeError::Invalid("place of a document"))?,
                None => {
                    let named = (self.named(&mut r)?, decode_id(&mut r)?);
                    self.documents.add(named.clone());
                    named
                }
            };
            let delta = match r.bytes(MERGED_DOCUMENT_BYTES_MAX)? {
                [] => r.bytes(MERGED_DOCUMENT_BYTES_MAX)?.to_vec(),
                short => self.deltas.restore(short)?,
            };
            docs.push(DocState { collection, id, delta });
            bytes_held += docs.last().map_or(0, weight);
            if bytes_held > 4 * SHORTHAND_BYTES_MAX {
                return Err(DecodeError::Limit("bytes of a unit in shorthand"));
            }
        }
        r.finish()?;
        Ok(docs)
    }

    fn named(&mut self, r: &mut Reader<'_>) -> Result<CollectionName, DecodeError> {
        match place_of(r.var()?)? {
            Some(place) => self.collections.at(place).cloned().ok_or(DecodeError::Invalid("place of a collection")),
            None => {
                let collection = collection(r)?;
                self.collections.add(collection.clone());
                Ok(collection)
            }
        }
    }
}

/// Writes an `_id` by its canonical bytes; those made here are hexadecimal texts and take half of them.
fn encode_id(id: &DocId, out: &mut Writer) {
    write_hex_or(id.to_value().as_str(), id.as_bytes(), out);
}

fn decode_id(r: &mut Reader<'_>) -> Result<DocId, DecodeError> {
    match read_hex_or(r, ID_BYTES_MAX)? {
        HexOr::Hex(text) => DocId::new(&Value::Str(text)).map_err(|_| DecodeError::Invalid("document id")),
        HexOr::Raw(bytes) => DocId::from_bytes(bytes),
    }
}

fn place_of(number: u64) -> Result<Option<usize>, DecodeError> {
    let number = usize::try_from(number).map_err(|_| DecodeError::Invalid("place"))?;
    Ok(number.checked_sub(1))
}

fn collection(r: &mut Reader<'_>) -> Result<CollectionName, DecodeError> {
    CollectionName::new(r.str(COLLECTION_NAME_BYTES_MAX)?).map_err(|_| DecodeError::Invalid("collection name"))
}

/// `None`: a document is there twice.
fn encode_columns(docs: &[DocState]) -> Option<Vec<u8>> {
    let key = |doc: &DocState| Key::document(&doc.collection, &doc.id).into_bytes();
    let mut rows: Vec<(Vec<u8>, &[u8])> = docs.iter().map(|doc| (key(doc), doc.delta.as_slice())).collect();
    rows.sort_unstable();
    let mut parcel = pack_rows(rows.iter().map(|(key, delta)| (key.as_slice(), *delta)), &DeltaLayout)?;
    parcel.insert(0, COLUMNS);
    Some(parcel)
}

fn decode_columns(parcel: &[u8]) -> Result<Vec<DocState>, DecodeError> {
    let mut docs: Vec<DocState> = Vec::new();
    unpack_rows(parcel, 2 * COLUMNS_BYTES_MAX, |key, delta| {
        let Some(Parsed::Document { collection, id }) = Key::from_bytes(key.to_vec()).parse() else {
            return Err(DecodeError::Invalid("key of a document"));
        };
        // One name for all documents of a collection.
        let collection = match docs.last() {
            Some(before) if before.collection == collection => before.collection.clone(),
            _ => collection,
        };
        docs.push(DocState { collection, id, delta: delta.to_vec() });
        Ok(())
    })?;
    Ok(docs)
}

fn encode_list(docs: &[DocState]) -> Vec<u8> {
    let mut list = Writer::new();
    for doc in docs {
        list.str(doc.collection.as_str()).bytes(doc.id.as_bytes()).bytes(&doc.delta);
    }
    let mut out = Writer::new();
    out.u8(LIST).var(list.len() as u64).raw(&deflate(&list.finish()));
    out.finish()
}

fn decode_list(bytes: &[u8]) -> Result<Vec<DocState>, DecodeError> {
    let mut r = Reader::new(bytes);
    let length = length(&mut r, UNIT_BYTES_MAX)?;
    let list = inflate(r.rest(), length)?;
    let mut r = Reader::new(&list);
    let mut docs = Vec::new();
    while !r.is_empty() {
        let (collection, id) = (collection(&mut r)?, DocId::from_bytes(r.bytes(ID_BYTES_MAX)?)?);
        docs.push(DocState { collection, id, delta: r.bytes(MERGED_DOCUMENT_BYTES_MAX)?.to_vec() });
    }
    Ok(docs)
}
