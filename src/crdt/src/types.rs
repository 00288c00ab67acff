//! The CRDT types a statement declares for fields.

use crate::path::Path;

/// How a field merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// A register that holds an attachment token.
    Attachment,
    /// Sums of increments, with SET and RESTART.
    Counter,
    /// A yrs list. Kept and merged, not yet editable.
    List,
    /// Fields that merge one by one.
    Map,
    /// Sums of increments only.
    PnCounter,
    /// One opaque value, objects included; the greatest stamp wins.
    Register,
    /// A yrs text: concurrent edits interleave.
    Text,
    /// A yrs XML fragment. Kept and merged, not yet editable.
    Xml,
}

impl Type {
    /// Returns the name as the language says it.
    pub fn name(self) -> &'static str {
        match self {
            Type::Attachment => "ATTACHMENT",
            Type::Counter => "COUNTER",
            Type::List => "LIST",
            Type::Map => "MAP",
            Type::PnCounter => "PN_COUNTER",
            Type::Register => "REGISTER",
            Type::Text => "TEXT",
            Type::Xml => "XML",
        }
    }
}

/// The declarations of one statement: (path, type). What is not declared is a MAP if it is an object, else a REGISTER.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Types(pub Vec<(Vec<String>, Type)>);

/// The declarations under their paths as leaves have them.
#[derive(Clone, Debug)]
pub(crate) struct Declared(Vec<(Path, Type)>);

impl Declared {
    pub(crate) fn new(types: &Types) -> Declared {
        Declared(types.0.iter().map(|(path, kind)| (Path::new(path), *kind)).collect())
    }

    /// Returns the type declared for exactly this path.
    pub(crate) fn find(&self, path: &str) -> Option<Type> {
        self.0.iter().find(|(declared, _)| declared.as_str() == path).map(|(_, kind)| *kind)
    }

    /// Returns the type of the nearest declared ancestor that is one unit, so that nothing can be written below it.
    pub(crate) fn opaque_above(&self, path: &Path) -> Option<Type> {
        let below = |declared: &Path| declared != path && path.starts_with(declared);
        self.0.iter().find(|(declared, kind)| *kind != Type::Map && below(declared)).map(|(_, kind)| *kind)
    }
}
