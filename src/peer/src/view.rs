//! Reading documents: the store with the drafts laid over it.
//!
//! A read answers from memory or fails with the blocks that are missing; the caller parks, has them loaded and reads again.

use std::collections::BTreeMap;

use crdt::{Doc, Types};
use store::{Key, KeyRange, Parsed, ReadError, Store};
use value::{CollectionName, DecodeError, DocId, Object, Reader, Seq};

use crate::draft::{Draft, DraftDoc};

/// Rows read from the store at a time.
const ROWS: usize = 256;

/// The documents as one statement sees them.
pub struct View<'a, S> {
    store: &'a S,
    /// Innermost last.
    drafts: Vec<&'a Draft>,
}

/// Whether a scan goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// The next document, please.
    Continue,
    /// That was enough.
    Stop,
}

impl<'a, S: Store> View<'a, S> {
    /// Lays drafts over a store; later ones hide earlier ones.
    pub fn new(store: &'a S, drafts: Vec<&'a Draft>) -> View<'a, S> {
        View { store, drafts }
    }

    /// Reads one document; the absent document when there is none.
    pub fn doc(&self, collection: &CollectionName, id: &DocId) -> Result<Doc, ReadError> {
        let key = Key::document(collection, id);
        if let Some(doc) = self.drafted(&key) {
            return Ok(doc.after.clone().unwrap_or_default());
        }
        match self.store.get(&key)? {
            Some(bytes) => Ok(decode(&bytes)?.1),
            None => Ok(Doc::default()),
        }
    }

    /// Reads all documents of a collection in the order of their keys, tombstones included, until told to stop.
    pub fn scan<E: From<ReadError>>(
        &self,
        collection: &CollectionName,
        mut visit: impl FnMut(&DocId, Doc) -> Result<Scan, E>,
    ) -> Result<(), E> {
        let range = Key::documents(collection);
        let mut overlay = self.overlay(&range).into_iter().peekable();
        let mut rest = range;
        loop {
            let rows = self.store.range(&rest, ROWS)?;
            for (key, bytes) in &rows {
                while let Some((_, doc)) = overlay.next_if(|(drafted, _)| *drafted < key) {
                    if visit_drafted(doc, &mut visit)? == Scan::Stop {
                        return Ok(());
                    }
                }
                let flow = match overlay.next_if(|(drafted, _)| *drafted == key) {
                    Some((_, doc)) => visit_drafted(doc, &mut visit)?,
                    None => visit(&id_of(key)?, decode(bytes)?.1)?,
                };
                if flow == Scan::Stop {
                    return Ok(());
                }
            }
            match rows.last() {
                Some((key, _)) if rows.len() == ROWS => rest = rest.after(key),
                _ => break,
            }
        }
        for (_, doc) in overlay {
            if visit_drafted(doc, &mut visit)? == Scan::Stop {
                return Ok(());
            }
        }
        Ok(())
    }

    fn drafted(&self, key: &Key) -> Option<&DraftDoc> {
        self.drafts.iter().rev().find_map(|draft| draft.doc(key))
    }

    fn overlay(&self, range: &KeyRange) -> BTreeMap<&'a Key, &'a DraftDoc> {
        let mut overlay = BTreeMap::new();
        for draft in &self.drafts {
            overlay.extend(draft.docs().range(range.start.clone()..).take_while(|(key, _)| range.contains(key)));
        }
        overlay
    }
}

fn visit_drafted<E>(doc: &DraftDoc, visit: &mut impl FnMut(&DocId, Doc) -> Result<Scan, E>) -> Result<Scan, E> {
    match &doc.after {
        Some(after) => visit(&doc.id, after.clone()),
        None => Ok(Scan::Continue),
    }
}

/// Reads what the store holds for a document: the position of its last change, and the document.
pub fn decode(bytes: &[u8]) -> Result<(Seq, Doc), ReadError> {
    let mut reader = Reader::new(bytes);
    let read = |reader: &mut Reader<'_>| -> Result<(Seq, Doc), DecodeError> {
        Ok((Seq(reader.fixed64()?), Doc::decode(reader.rest())?))
    };
    read(&mut reader).map_err(|error| ReadError::Backend(format!("a stored document cannot be read: {error}")))
}

/// Returns the bytes of the document itself in what the store holds for it.
pub fn encoded(bytes: &[u8]) -> Result<&[u8], ReadError> {
    let mut reader = Reader::new(bytes);
    let read = reader.fixed64();
    read.map_err(|error| ReadError::Backend(format!("a stored document cannot be read: {error}")))?;
    Ok(reader.rest())
}

/// Returns the document that a key names.
pub fn id_of(key: &Key) -> Result<DocId, ReadError> {
    match key.parse() {
        Some(Parsed::Document { id, .. }) => Ok(id),
        _ => Err(ReadError::Backend("a stored key does not name a document".to_owned())),
    }
}

/// Returns a live document's fields with its `_id`.
pub fn object(doc: &Doc, id: &DocId, types: &Types) -> Option<Object> {
    let mut object = doc.to_object(types)?;
    object.insert("_id".to_owned(), id.to_value());
    Some(object)
}
