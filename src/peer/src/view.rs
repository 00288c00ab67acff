//! Reading documents: the store with the drafts laid over it.
//!
//! A read answers from memory or fails with the blocks that are missing; the caller parks, has them loaded and reads again.

use std::collections::BTreeMap;

use crdt::{Doc, Types};
use dql::Needed;
use store::{Key, KeyRange, Parsed, ReadError, Store, Visit};
use value::{CollectionName, DocId, Object, Reader, Seq};

use crate::columns::Columns;
use crate::draft::{Draft, DraftDoc};
use crate::index::Indexes;
use crate::packed::{self, Packed};

/// Rows read from the store at a time.
const ROWS: usize = 256;
/// Bytes before a stored document: the position of its last change.
pub const SEQ_BYTES: usize = 8;

/// The documents as one statement sees them.
pub struct View<'a, S> {
    store: &'a S,
    indexes: &'a Indexes,
    /// Innermost last.
    drafts: Vec<&'a Draft>,
}

/// How much of a collection a scan will read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it, as far as is known: its blocks are asked for in one go.
    Whole,
    /// Perhaps only its first documents.
    Some,
}

/// Whether a scan goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// The next document, please.
    Continue,
    /// That was enough.
    Stop,
}

/// One document of a scan, tombstones included.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The canonical bytes of its `_id`.
    id: &'a [u8],
    content: Content<'a>,
}

/// What is known of a document.
#[derive(Clone, Copy, Debug)]
enum Content<'a> {
    /// Its binary form; empty when it is absent.
    Bytes(&'a [u8]),
    /// The fields that an index holds, and `_id`.
    Covered(&'a Object),
}

impl<'a> Row<'a> {
    /// Joins an `_id` and a document.
    pub fn new(id: &'a DocId, packed: &'a Packed) -> Row<'a> {
        Row { id: id.as_bytes(), content: Content::Bytes(packed.bytes()) }
    }

    /// Joins an `_id` and the fields that an index holds of a live document, `_id` among them.
    pub fn covered(id: &'a DocId, object: &'a Object) -> Row<'a> {
        Row { id: id.as_bytes(), content: Content::Covered(object) }
    }

    /// Returns its `_id`.
    pub fn id(&self) -> DocId {
        DocId::from_stored(self.id)
    }

    /// Returns the document. No statement that changes documents is answered from an index alone.
    pub fn packed(&self) -> Packed {
        match self.content {
            Content::Bytes([]) => Packed::default(),
            Content::Bytes(bytes) => Packed::of(bytes),
            Content::Covered(_) => panic!("a document that is changed was read"),
        }
    }

    /// Says whether it is live.
    pub fn is_live(&self) -> Result<bool, ReadError> {
        match self.content {
            Content::Bytes([]) => Ok(false),
            Content::Bytes(bytes) => packed::is_live(bytes),
            Content::Covered(_) => Ok(true),
        }
    }

    /// Returns the needed fields; `None` unless it is live.
    pub fn fields(&self, needed: &Needed) -> Result<Option<Object>, ReadError> {
        match self.content {
            Content::Bytes([]) => Ok(None),
            Content::Bytes(bytes) => packed::fields(bytes, needed, || self.id()),
            Content::Covered(object) => Ok(Some(object.clone())),
        }
    }

    /// Returns all fields as some declared types show them; `None` unless it is live.
    pub fn typed(&self, types: &Types) -> Result<Option<Object>, ReadError> {
        match self.content {
            Content::Bytes([]) => Ok(None),
            Content::Bytes(bytes) => packed::typed(bytes, types, || self.id()),
            Content::Covered(object) => Ok(Some(object.clone())),
        }
    }
}

impl<'a, S: Store> View<'a, S> {
    /// Lays drafts over a store; later ones hide earlier ones.
    pub fn new(store: &'a S, indexes: &'a Indexes, drafts: Vec<&'a Draft>) -> View<'a, S> {
        View { store, indexes, drafts }
    }

    /// Returns the store below the drafts.
    pub fn store(&self) -> &'a S {
        self.store
    }

    /// Returns what is known of the indexes.
    pub fn indexes(&self) -> &'a Indexes {
        self.indexes
    }

    /// Returns the drafted documents of a collection as they will be, by key; `None`: evicted.
    pub fn drafted(&self, collection: &CollectionName) -> impl Iterator<Item = (&'a Key, Option<&'a Packed>)> {
        let overlay = self.overlay(&Key::documents(collection));
        overlay.into_iter().map(|(key, doc)| (key, doc.after.as_ref()))
    }

    /// Returns the same by `_id`.
    pub fn drafted_ids(&self, collection: &CollectionName) -> impl Iterator<Item = (&'a DocId, Option<&'a Packed>)> {
        let overlay = self.overlay(&Key::documents(collection));
        overlay.into_values().map(|doc| (&doc.id, doc.after.as_ref()))
    }

    /// Says whether a draft changes documents of a collection.
    pub fn is_drafted(&self, collection: &CollectionName) -> bool {
        self.drafted(collection).next().is_some()
    }

    /// Returns the fields that are kept of whole collections.
    pub fn columns(&self) -> &'a Columns {
        &self.indexes.columns
    }

    /// Reads one document; the absent document when there is none.
    pub fn doc(&self, collection: &CollectionName, id: &DocId) -> Result<Packed, ReadError> {
        self.look(&Key::document(collection, id), id.as_bytes(), |row| row.packed())
    }

    /// Shows one document by its key and the bytes of its `_id`, without a copy where the store can lend it; the absent
    /// document when there is none.
    pub fn look<T>(&self, key: &Key, id: &[u8], look: impl FnOnce(Row<'_>) -> T) -> Result<T, ReadError> {
        let drafted = self.drafts.iter().rev().find_map(|draft| draft.doc(key));
        let stored = if drafted.is_none() { self.store.lend(key)? } else { None };
        let bytes = match (drafted, &stored) {
            (Some(doc), _) => doc.after.as_ref().map_or(&[][..], Packed::bytes),
            (None, Some(bytes)) => split(bytes)?.1,
            (None, None) => &[],
        };
        Ok(look(Row { id, content: Content::Bytes(bytes) }))
    }

    /// Reads all documents of a collection in the order of their keys, tombstones included, until told to stop.
    pub fn scan<E: From<ReadError>>(
        &self,
        collection: &CollectionName,
        extent: Extent,
        mut visit: impl FnMut(Row<'_>) -> Result<Scan, E>,
    ) -> Result<(), E> {
        let range = Key::documents(collection);
        if extent == Extent::Whole {
            self.store.resident(&range)?;
        }
        let prefix = range.start.as_bytes().len();
        let mut overlay = self.overlay(&range).into_iter().peekable();
        let mut stored = |key: &[u8], bytes: &[u8]| -> Result<Scan, E> {
            while let Some((_, doc)) = overlay.next_if(|(drafted, _)| drafted.as_bytes() < key) {
                if visit_drafted(doc, &mut visit)? == Scan::Stop {
                    return Ok(Scan::Stop);
                }
            }
            match overlay.next_if(|(drafted, _)| drafted.as_bytes() == key) {
                Some((_, doc)) => visit_drafted(doc, &mut visit),
                None => visit(Row { id: &key[prefix..], content: Content::Bytes(split(bytes)?.1) }),
            }
        };
        if self.scan_stored(range, extent, &mut stored)? == Scan::Stop {
            return Ok(());
        }
        for (_, doc) in overlay {
            if visit_drafted(doc, &mut visit)? == Scan::Stop {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Shows the stored rows of a range; of one that may not be read to its end a page at a time.
    fn scan_stored<E: From<ReadError>>(
        &self,
        range: KeyRange,
        extent: Extent,
        visit: &mut impl FnMut(&[u8], &[u8]) -> Result<Scan, E>,
    ) -> Result<Scan, E> {
        let mut flow = Ok(Scan::Continue);
        let mut step = |key: &[u8], bytes: &[u8]| {
            flow = visit(key, bytes);
            if matches!(flow, Ok(Scan::Continue)) { Visit::Continue } else { Visit::Stop }
        };
        match extent {
            Extent::Whole => self.store.visit(&range, &mut step)?,
            Extent::Some => {
                let mut rest = range;
                loop {
                    let rows = self.store.range(&rest, ROWS)?;
                    if rows.iter().any(|(key, bytes)| step(key.as_bytes(), bytes) == Visit::Stop) {
                        break;
                    }
                    match rows.last() {
                        Some((key, _)) if rows.len() == ROWS => rest = rest.after(key),
                        _ => break,
                    }
                }
            }
        }
        flow
    }

    fn overlay(&self, range: &KeyRange) -> BTreeMap<&'a Key, &'a DraftDoc> {
        let mut overlay = BTreeMap::new();
        for draft in &self.drafts {
            overlay.extend(draft.docs().range(range.start.clone()..).take_while(|(key, _)| range.contains(key)));
        }
        overlay
    }
}

fn visit_drafted<E>(doc: &DraftDoc, visit: &mut impl FnMut(Row<'_>) -> Result<Scan, E>) -> Result<Scan, E> {
    match &doc.after {
        Some(after) => visit(Row::new(&doc.id, after)),
        None => Ok(Scan::Continue),
    }
}

/// Splits what the store holds for a document: the position of its last change, and the document's bytes.
pub fn split(stored: &[u8]) -> Result<(Seq, &[u8]), ReadError> {
    let mut reader = Reader::new(stored);
    match reader.fixed64() {
        Ok(seq) if stored.len() > SEQ_BYTES => Ok((Seq(seq), reader.rest())),
        _ => Err(ReadError::Backend("a stored document is too short".to_owned())),
    }
}

/// Returns the collection and `_id` that a key names.
pub fn named(key: &Key) -> Result<(CollectionName, DocId), ReadError> {
    match key.parse() {
        Some(Parsed::Document { collection, id }) => Ok((collection, id)),
        _ => Err(ReadError::Backend("a stored key does not name a document".to_owned())),
    }
}

/// Returns a live document's fields with its `_id`.
pub fn object(doc: &Doc, id: &DocId, types: &Types) -> Option<Object> {
    let mut object = doc.to_object(types)?;
    object.insert("_id".to_owned(), id.to_value());
    Some(object)
}
