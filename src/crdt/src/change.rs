//! A change being put together: what a statement does to one document, as a delta.
//!
//! In: the document as known, the declared types, one stamp. Out: the delta, which is not applied to the document.
//!
//! A write takes the stamp of its transaction, or one more than the stamp it overwrites if that is greater; so a field
//! written by a clock far ahead stays writable, and a writer's own order is kept.

use std::borrow::Cow;

use value::Value;
use value::limits::FIELD_NAME_BYTES_MAX;

use crate::counter::Counter;
use crate::document::Doc;
use crate::error::EditError;
use crate::node::Shown;
use crate::path::Path;
use crate::register::{Entry, Register};
use crate::rich::{Edit, Fault, Known, Rich, RichKind};
use crate::stamp::Stamp;
use crate::types::{Declared, Type, Types};

pub(crate) struct Change<'a> {
    /// The document with the earlier operations of this change.
    base: Cow<'a, Doc>,
    declared: Declared,
    stamp: Stamp,
    delta: Doc,
}

impl<'a> Change<'a> {
    pub(crate) fn new(base: Cow<'a, Doc>, types: &Types, stamp: Stamp) -> Change<'a> {
        let delta = Doc { epoch: base.epoch, ..Doc::default() };
        Change { base, declared: Declared::new(types), stamp, delta }
    }

    /// Returns the delta; absent if nothing changed.
    pub(crate) fn finish(self) -> Doc {
        if self.delta.leaves.is_empty() { Doc::default() } else { self.delta }
    }

    pub(crate) fn delta(&self) -> &Doc {
        &self.delta
    }

    /// Makes what was written so far visible to the operations that follow.
    pub(crate) fn settle(&mut self) {
        self.base.to_mut().join(&self.delta);
    }

    /// Writes the marker by which a document without fields exists.
    pub(crate) fn put_root(&mut self) {
        let known = self.base.leaf(&Path::default()).and_then(|leaf| leaf.register.as_ref());
        if !known.is_some_and(Register::is_map) {
            self.put_register(&Path::default(), Entry::Map);
        }
    }

    /// Writes markers for the maps that a path needs above it.
    pub(crate) fn put_ancestors(&mut self, path: &Path) {
        for ancestor in path.ancestors() {
            self.put_map(&ancestor);
        }
    }

    /// Writes a value by the type declared for its path.
    pub(crate) fn put(&mut self, path: &Path, value: &Value) -> Result<(), EditError> {
        match (self.declared.find(path.as_str()), value) {
            (Some(Type::Register), _) => self.put_register(path, Entry::Value(value.clone())),
            (Some(Type::Attachment), Value::Object(_) | Value::Null) => {
                self.put_register(path, Entry::Value(value.clone()));
            }
            (Some(Type::Counter), _) => {
                let number = value.as_int().ok_or_else(|| mistyped(path, Type::Counter, value))?;
                let delta = self.counter(path).restart(self.stamp_for(path), number);
                self.delta.leaf_mut(path).counter = Some(Box::new(delta));
            }
            (Some(Type::PnCounter), _) => {
                let number = value.as_int().ok_or_else(|| mistyped(path, Type::PnCounter, value))?;
                let by = number.checked_sub(self.counter(path).value());
                self.increment(path, by.ok_or_else(|| EditError::CounterOverflow(path.names()))?)?;
            }
            (Some(declared @ (Type::List | Type::Text | Type::Xml)), _) => {
                self.edit_rich(path, kind_of(declared).expect("it is rich"), Edit::Set(value))?;
            }
            (Some(Type::Map) | None, Value::Object(fields)) => {
                self.put_map(path);
                for (name, value) in fields {
                    self.put(&child(path, name)?, value)?;
                }
            }
            (Some(declared @ (Type::Attachment | Type::Map)), _) => {
                return Err(mistyped(path, declared, value));
            }
            (None, _) => self.put_register(path, Entry::Value(value.clone())),
        }
        Ok(())
    }

    /// Writes a value where it differs from what shows.
    pub(crate) fn put_changed(&mut self, path: &Path, value: &Value) -> Result<(), EditError> {
        let shown = self.base.node(path).value(path.as_str(), Some(&self.declared));
        if shown.as_ref() == Some(value) {
            return Ok(());
        }
        let is_map = matches!(self.declared.find(path.as_str()), None | Some(Type::Map));
        match value {
            Value::Object(fields) if is_map && self.base.node(path).shown() == Some(Shown::Map) => {
                fields.iter().try_for_each(|(name, value)| self.put_changed(&child(path, name)?, value))
            }
            _ => self.put(path, value),
        }
    }

    /// Adds to the counter at a path.
    pub(crate) fn increment(&mut self, path: &Path, by: i64) -> Result<(), EditError> {
        let delta = self.counter(path).increment(self.stamp, self.stamp_for(path), by);
        let delta = delta.ok_or_else(|| EditError::CounterOverflow(path.names()))?;
        self.delta.leaf_mut(path).counter = Some(Box::new(delta));
        Ok(())
    }

    /// Sets the counter at a path and cancels the increments known here.
    pub(crate) fn restart(&mut self, path: &Path, with: i64) {
        let delta = self.counter(path).restart(self.stamp_for(path), with);
        self.delta.leaf_mut(path).counter = Some(Box::new(delta));
    }

    /// Removes everything known at and below a path, with the stamps it has.
    pub(crate) fn remove(&mut self, path: &Path) {
        for (at, leaf) in self.base.subtree(path) {
            if let Some(removal) = leaf.remove() {
                *self.delta.leaf_mut(at) = removal;
            }
        }
    }

    /// Says whether a counter at a path would not show.
    pub(crate) fn hides_counter(&self, path: &Path) -> bool {
        let kind = self.declared.find(path.as_str());
        self.declared.strict && !matches!(kind, Some(Type::Counter | Type::PnCounter))
    }

    /// Returns the declared type of an ancestor that is one unit.
    pub(crate) fn opaque_above(&self, path: &Path) -> Option<Type> {
        self.declared.opaque_above(path)
    }

    /// Writes a map's marker unless a map shows already.
    fn put_map(&mut self, path: &Path) {
        if self.base.node(path).shown() != Some(Shown::Map) {
            self.put_register(path, Entry::Map);
        }
    }

    fn put_register(&mut self, path: &Path, entry: Entry) {
        let stamp = self.stamp_for(path);
        self.delta.leaf_mut(path).register = Some(Register::new(stamp, entry));
    }

    /// Edits the content at a path, of the declared kind or of the known one.
    pub(crate) fn splice(&mut self, path: &Path, edit: Edit<'_>) -> Result<(), EditError> {
        let kind = match self.declared.find(path.as_str()) {
            Some(declared) => kind_of(declared),
            None => {
                let rich = self.base.leaf(path).and_then(|leaf| leaf.rich.as_ref());
                rich.filter(|rich| rich.newest_live().is_some()).map(|rich| rich.kind)
            }
        };
        self.edit_rich(path, kind.ok_or_else(|| EditError::NoContent(path.names()))?, edit)
    }

    /// Takes in what a Yjs client wrote, unless it is known.
    pub(crate) fn receive(&mut self, path: &Path, kind: RichKind, update: &[u8]) -> Result<(), EditError> {
        let delta = Rich::receive(self.known(path, kind), update, self.stamp_for(path));
        if let Some(delta) = delta.ok_or_else(|| EditError::Update(path.names()))? {
            self.delta.leaf_mut(path).rich = Some(Box::new(delta));
        }
        Ok(())
    }

    fn edit_rich(&mut self, path: &Path, kind: RichKind, edit: Edit<'_>) -> Result<(), EditError> {
        let delta = Rich::edit(self.known(path, kind), edit, self.stamp, self.stamp_for(path));
        let delta = delta.map_err(|fault| match fault {
            Fault::Broken => EditError::Text(path.names()),
            Fault::Halved => EditError::Halved(path.names()),
            Fault::Range(length) => EditError::Range(path.names(), length),
            Fault::Type(found) => EditError::Type { path: path.names(), declared: type_of(kind), found },
            Fault::Xml(problem) => EditError::Xml(path.names(), problem),
        })?;
        self.delta.leaf_mut(path).rich = Some(Box::new(delta));
        Ok(())
    }

    fn known(&self, path: &Path, kind: RichKind) -> Known<'_> {
        let rich = self.base.leaf(path).and_then(|leaf| leaf.rich.as_deref());
        let is_other = rich.is_some_and(|rich| rich.kind != kind);
        Known { rich: rich.filter(|_| !is_other), kind, is_other }
    }

    fn counter(&self, path: &Path) -> Cow<'_, Counter> {
        match self.base.leaf(path).and_then(|leaf| leaf.counter.as_deref()) {
            Some(counter) => Cow::Borrowed(counter),
            None => Cow::Owned(Counter::default()),
        }
    }

    /// Returns the stamp of a write: above everything at the path, everything that shows below it and everything above
    /// it that would hide it.
    fn stamp_for(&self, path: &Path) -> Stamp {
        let own = self.base.leaf(path).and_then(|leaf| leaf.newest());
        // The root is always a map: neither does it hide its fields, nor do they hide it.
        if path.is_root() {
            return self.stamp.above(own);
        }
        let below = self.base.subtree(path).iter().filter_map(|(_, leaf)| leaf.newest_live()).max();
        let above = path.ancestors().filter_map(|ancestor| self.base.leaf(&ancestor)?.newest_hiding()).max();
        self.stamp.above(own.max(below).max(above))
    }
}

/// Returns the kind of content of a declared type.
fn kind_of(declared: Type) -> Option<RichKind> {
    match declared {
        Type::List => Some(RichKind::List),
        Type::Text => Some(RichKind::Text),
        Type::Xml => Some(RichKind::Xml),
        Type::Attachment | Type::Counter | Type::Map | Type::PnCounter | Type::Register => None,
    }
}

fn type_of(kind: RichKind) -> Type {
    match kind {
        RichKind::List => Type::List,
        RichKind::Text => Type::Text,
        RichKind::Xml => Type::Xml,
    }
}

pub(crate) fn child(path: &Path, name: &str) -> Result<Path, EditError> {
    check_name(name)?;
    Ok(path.child(name))
}

pub(crate) fn check_name(name: &str) -> Result<(), EditError> {
    if name.len() > FIELD_NAME_BYTES_MAX { Err(EditError::FieldName) } else { Ok(()) }
}

fn mistyped(path: &Path, declared: Type, value: &Value) -> EditError {
    EditError::Type { path: path.names(), declared, found: value.type_name() }
}
