//! The CRDT types a statement declares for fields.

use crate::path::Path;

/// How a field merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// A register that holds an attachment token.
    Attachment,
    /// Sums of increments, with SET and RESTART.
    Counter,
    /// A yrs list: items merge one by one.
    List,
    /// Fields that merge one by one.
    Map,
    /// Sums of increments only.
    PnCounter,
    /// One opaque value, objects included; the greatest stamp wins.
    Register,
    /// A yrs text: concurrent edits interleave.
    Text,
    /// A yrs XML fragment: its text is that of `rich/xml.rs`.
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

/// The types of one statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Types {
    /// The type of each declared path. What is not declared is a MAP if it is an object, else a REGISTER, and shows what was
    /// written last.
    pub declared: Vec<(Vec<String>, Type)>,
    /// What is not declared is a REGISTER, objects too; and nothing shows but what was written by the declared type.
    pub strict: bool,
}

impl Types {
    /// Says whether nothing is said of any path.
    pub fn is_empty(&self) -> bool {
        self.declared.is_empty() && !self.strict
    }
}

/// The types under their paths as leaves have them.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    types: Vec<(Path, Type)>,
    /// Nothing shows but the type of a path.
    pub strict: bool,
}

impl Declared {
    pub(crate) fn new(types: &Types) -> Declared {
        let declared = types.declared.iter().map(|(path, kind)| (Path::new(path), *kind));
        Declared { types: declared.collect(), strict: types.strict }
    }

    /// Returns the type of exactly this path, if it is known.
    pub(crate) fn find(&self, path: &str) -> Option<Type> {
        let declared = self.types.iter().find(|(declared, _)| declared.as_str() == path).map(|(_, kind)| *kind);
        declared.or(self.strict.then_some(Type::Register))
    }

    /// Returns the type of the first ancestor that is one unit, so that nothing can be written below it.
    pub(crate) fn opaque_above(&self, path: &Path) -> Option<Type> {
        path.texts_above().find_map(|above| self.find(above).filter(|kind| *kind != Type::Map))
    }
}
