//! A document in its binary form, shared and decoded only when somebody looks.
//!
//! A write passes through a draft, a record, the memtable, observers and links; each needs the bytes, and few need the
//! document. Bytes here were encoded by this peer, or decoded under limits when they came in.

use std::rc::Rc;

use crdt::{Doc, Fields, Types, project};
use dql::Needed;
use store::ReadError;
use value::{DecodeError, DocId, Object};

use crate::view::object;

/// A document or a delta of one; the default is the absent document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed(Option<Rc<[u8]>>);

impl Packed {
    /// Takes the binary form of a document that is not absent.
    pub fn of(bytes: &[u8]) -> Packed {
        Packed(Some(bytes.into()))
    }

    /// Encodes a document.
    pub fn new(doc: &Doc) -> Packed {
        if doc.is_absent() { Packed(None) } else { Packed::of(&doc.encode()) }
    }

    /// Says whether nothing is known of the document.
    pub fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    /// Says whether the document is there for statements; one that cannot be read is not.
    pub fn is_live(&self) -> bool {
        self.0.as_deref().is_some_and(|bytes| is_live(bytes) == Ok(true))
    }

    /// Returns the binary form; nothing for the absent document.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Builds the document.
    pub fn doc(&self) -> Result<Doc, ReadError> {
        self.0.as_deref().map_or(Ok(Doc::default()), |bytes| Doc::read(bytes).map_err(unreadable))
    }

    /// Returns a live document's needed fields, `_id` included; `None` as well when it cannot be read.
    pub fn fields(&self, id: &DocId, needed: &Needed) -> Option<Object> {
        fields(self.0.as_deref()?, needed, || id.clone()).ok()?
    }
}

/// Returns the needed fields of a document's bytes; `_id` is added where it is needed. `None` unless it is live.
pub fn fields(bytes: &[u8], needed: &Needed, id: impl Fn() -> DocId) -> Result<Option<Object>, ReadError> {
    let (wanted, with_id) = match needed {
        Needed::All => (Fields::All, true),
        Needed::Named(names) => (Fields::Named(names), names.iter().any(|name| name == "_id")),
    };
    let mut found = project(bytes, wanted).map_err(unreadable)?;
    if let Some(object) = found.as_mut().filter(|_| with_id) {
        object.insert("_id".to_owned(), id().to_value());
    }
    Ok(found)
}

/// Says whether a document's bytes are of a live one.
pub fn is_live(bytes: &[u8]) -> Result<bool, ReadError> {
    Ok(project(bytes, Fields::Named(&[])).map_err(unreadable)?.is_some())
}

/// Returns all fields of a document as some declared types show them, with its `_id`; `None` unless it is live.
pub fn typed(bytes: &[u8], types: &Types, id: impl Fn() -> DocId) -> Result<Option<Object>, ReadError> {
    if types.is_empty() {
        return fields(bytes, &Needed::All, id);
    }
    Ok(object(&Doc::read(bytes).map_err(unreadable)?, &id(), types))
}

fn unreadable(error: DecodeError) -> ReadError {
    ReadError::Backend(format!("a stored document cannot be read: {error}"))
}
