//! The edits of the language as functions from a document to a delta.
//!
//! In: the document as known, the fields or operations, the declared types and one stamp for the transaction. Out: a delta
//! that the caller joins, stores and sends; it may be absent, when there is nothing to change. Nothing is half done: an
//! error means that there is no delta.
//!
//! Not here: conflict policies, `_id` and permissions, which belong to the caller. A field `_id` at the top is left out.

use std::borrow::Cow;

use value::limits::{DEPTH_MAX, DOCUMENT_BYTES_MAX};
use value::{Hlc, Object, Value, cbor, hash64};

use crate::change::{Change, check_name, child};
use crate::document::Doc;
use crate::error::EditError;
use crate::path::Path;
use crate::rich::Edit;
use crate::stamp::Stamp;
use crate::types::Types;

/// One operation of an UPDATE.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Adds to a COUNTER; adding 0 to a missing one does not make it.
    Increment {
        /// The names of the fields down to it.
        path: Vec<String>,
        /// What to add; may be negative.
        by: i64,
    },
    /// Adds to a PN_COUNTER.
    PnIncrement {
        /// The names of the fields down to it.
        path: Vec<String>,
        /// What to add; may be negative.
        by: i64,
    },
    /// Sets a COUNTER and cancels the increments known here.
    Restart {
        /// The names of the fields down to it.
        path: Vec<String>,
        /// The new value.
        with: i64,
    },
    /// Writes a field; an object over a map merges into it.
    Set {
        /// The names of the fields down to it.
        path: Vec<String>,
        /// The value.
        value: Value,
    },
    /// Removes from a TEXT, LIST or XML at a place and inserts there. Places are UTF-16 code units, items or children.
    Splice {
        /// The names of the fields down to it.
        path: Vec<String>,
        /// Where; at most the length.
        start: u64,
        /// How much is removed.
        delete: u64,
        /// A string, an array or XML; nothing if it is missing.
        insert: Option<Value>,
    },
    /// Removes a field and everything below it, as far as it is known here.
    Unset {
        /// The names of the fields down to it.
        path: Vec<String>,
    },
}

impl Op {
    fn path(&self) -> &[String] {
        match self {
            Op::Increment { path, .. }
            | Op::PnIncrement { path, .. }
            | Op::Restart { path, .. }
            | Op::Set { path, .. }
            | Op::Splice { path, .. }
            | Op::Unset { path } => path,
        }
    }
}

/// Returns the delta of an INSERT: of a new document, of one more life of a deleted one, or, over a live one, of a write
/// of every supplied field (DO UPDATE).
pub fn insert(base: &Doc, object: &Object, types: &Types, stamp: Stamp) -> Result<Doc, EditError> {
    check_depth(0, object)?;
    // A document after a deletion starts anew, in an epoch that beats the deletion.
    let start = match base.deleted {
        Some(_) => Cow::Owned(Doc { epoch: base.epoch.saturating_add(1), ..Doc::default() }),
        None => Cow::Borrowed(base),
    };
    let mut change = Change::new(start, types, stamp);
    change.put_root();
    for (name, value) in fields_of(object) {
        change.put(&child(&Path::default(), name)?, value)?;
    }
    sized(base, change)
}

/// Returns the delta of an INITIAL document: its stamp is the beginning of time and a hash of the content, so equal seeds
/// on many replicas are one event, and every edit and deletion beats them. Absent if the document is deleted.
pub fn insert_initial(base: &Doc, object: &Object, types: &Types) -> Result<Doc, EditError> {
    if base.deleted.is_some() || base.epoch > 0 {
        check_depth(0, object)?;
        return Ok(Doc::default());
    }
    let content = fields_of(object).map(|(name, value)| (name.clone(), value.clone())).collect();
    let actor = hash64(&cbor::encode(&Value::Object(content)));
    insert(&Doc::default(), object, types, Stamp { hlc: Hlc::ZERO, actor })
}

/// Returns the delta of DO UPDATE_LOCAL_DIFF: a write of the fields whose value differs, absent if none does. A document
/// that is not live is inserted.
pub fn upsert_changed(base: &Doc, object: &Object, types: &Types, stamp: Stamp) -> Result<Doc, EditError> {
    if !base.is_live() {
        return insert(base, object, types, stamp);
    }
    check_depth(0, object)?;
    let mut change = Change::new(Cow::Borrowed(base), types, stamp);
    for (name, value) in fields_of(object) {
        change.put_changed(&child(&Path::default(), name)?, value)?;
    }
    sized(base, change)
}

/// Returns the delta of an UPDATE: its operations in order, each seeing the ones before.
pub fn edit(base: &Doc, ops: &[Op], types: &Types, stamp: Stamp) -> Result<Doc, EditError> {
    if !base.is_live() {
        return Err(EditError::Absent);
    }
    let mut change = Change::new(Cow::Borrowed(base), types, stamp);
    for (at, op) in ops.iter().enumerate() {
        let overlaps = |earlier: &Op| earlier.path().iter().zip(op.path()).all(|(a, b)| a == b);
        if ops[..at].iter().any(overlaps) {
            change.settle();
        }
        apply(&mut change, op)?;
    }
    sized(base, change)
}

/// Returns the delta of a DELETE: one stamp and no field; within its epoch nothing survives it. Absent unless live.
pub fn delete(base: &Doc, stamp: Stamp) -> Doc {
    if !base.is_live() {
        return Doc::default();
    }
    Doc { epoch: base.epoch, deleted: Some(stamp), leaves: Vec::new() }
}

/// Returns the delta of a DELETE in a collection with `on_delete_conflict = 'field'`: every known field is removed, and a
/// field written concurrently survives as a partial document.
pub fn delete_fields(base: &Doc) -> Doc {
    let mut change = Change::new(Cow::Borrowed(base), &Types::default(), Stamp::default());
    change.remove(&Path::default());
    change.finish()
}

fn apply(change: &mut Change<'_>, op: &Op) -> Result<(), EditError> {
    if op.path().is_empty() {
        return Err(EditError::Root);
    }
    op.path().iter().try_for_each(|name| check_name(name))?;
    let path = Path::new(op.path());
    if let Some(declared) = change.opaque_above(&path) {
        return Err(EditError::Opaque(path.names(), declared));
    }
    let value_depth = match op {
        Op::Set { value, .. } | Op::Splice { insert: Some(value), .. } => value.depth(),
        Op::Increment { .. } | Op::PnIncrement { .. } | Op::Restart { .. } | Op::Splice { .. } | Op::Unset { .. } => 1,
    };
    if path.depth() + value_depth > DEPTH_MAX {
        return Err(EditError::Depth);
    }
    if matches!(op, Op::Increment { .. } | Op::PnIncrement { .. } | Op::Restart { .. }) && change.hides_counter(&path) {
        return Err(EditError::NoCounter(path.names()));
    }
    if !matches!(op, Op::Unset { .. }) {
        change.put_ancestors(&path);
    }
    match op {
        Op::Increment { by, .. } | Op::PnIncrement { by, .. } => change.increment(&path, *by)?,
        Op::Restart { with, .. } => change.restart(&path, *with),
        Op::Set { value, .. } => change.put(&path, value)?,
        Op::Splice { start, delete, insert, .. } => {
            change.splice(&path, Edit::Splice { start: *start, delete: *delete, insert: insert.as_ref() })?;
        }
        Op::Unset { .. } => change.remove(&path),
    }
    Ok(())
}

pub(crate) fn fields_of(object: &Object) -> impl Iterator<Item = (&String, &Value)> {
    object.iter().filter(|(name, _)| *name != "_id")
}

pub(crate) fn check_depth(above: usize, object: &Object) -> Result<(), EditError> {
    let depth = 1 + object.values().map(Value::depth).max().unwrap_or(0);
    if above + depth > DEPTH_MAX { Err(EditError::Depth) } else { Ok(()) }
}

/// Checks that the document stays within its size, and returns the delta.
///
/// The bytes are counted exactly only when an upper bound is over the limit.
pub(crate) fn sized(base: &Doc, change: Change<'_>) -> Result<Doc, EditError> {
    if base.weight() + change.delta().weight() > DOCUMENT_BYTES_MAX {
        let mut merged = base.clone();
        merged.join(change.delta());
        let bytes = merged.encode().len();
        if bytes > DOCUMENT_BYTES_MAX {
            return Err(EditError::Size(bytes));
        }
    }
    Ok(change.finish())
}
