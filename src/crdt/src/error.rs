//! Why an edit was refused.

use std::fmt;

use value::limits::{DEPTH_MAX, DOCUMENT_BYTES_MAX, FIELD_NAME_BYTES_MAX};
use value::{ErrorCode, Failure};

use crate::rich::RichKind;
use crate::types::Type;

/// Why an edit was refused; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// There is no document to edit.
    Absent,
    /// A counter's slot would overflow.
    CounterOverflow(Vec<String>),
    /// Nested deeper than 64 levels.
    Depth,
    /// A field's name is over its limit.
    FieldName,
    /// Types are strict, and the field is not declared a counter.
    NoCounter(Vec<String>),
    /// A place of a SPLICE is inside a character of a TEXT.
    Halved(Vec<String>),
    /// The field holds content of another kind.
    Kind(Vec<String>, RichKind),
    /// There is nothing to splice: no TEXT, LIST or XML is declared or known there.
    NoContent(Vec<String>),
    /// The path is below a field that is one unit, such as a REGISTER.
    Opaque(Vec<String>, Type),
    /// A SPLICE goes beyond the end; holds the length of the content.
    Range(Vec<String>, u64),
    /// The path is empty: a document itself is neither set nor unset.
    Root,
    /// The document would be over 5 MiB in binary form; holds its size.
    Size(usize),
    /// The stored text cannot be read.
    Text(Vec<String>),
    /// The value is not of the type declared for the path.
    Type {
        /// Where.
        path: Vec<String>,
        /// The declared type.
        declared: Type,
        /// The type of the value.
        found: &'static str,
    },
    /// The field belongs to another life of the document or its content was replaced: what was made for it is not for this.
    Replaced(Vec<String>),
    /// The bytes are no Yjs update (V1), or none that this database takes.
    Update(Vec<String>),
    /// The text is no XML, and why.
    Xml(Vec<String>, &'static str),
}

impl EditError {
    /// Returns the stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            EditError::Absent => ErrorCode::StoreDocumentNotFound,
            EditError::CounterOverflow(_) | EditError::Text(_) => ErrorCode::StoreCrdt,
            EditError::Depth => ErrorCode::ValidationDepthLimitExceeded,
            EditError::FieldName | EditError::Size(_) => ErrorCode::ValidationSizeLimitExceeded,
            EditError::Halved(_)
            | EditError::Kind(..)
            | EditError::NoContent(_)
            | EditError::NoCounter(_)
            | EditError::Opaque(..)
            | EditError::Range(..)
            | EditError::Replaced(_)
            | EditError::Root
            | EditError::Type { .. }
            | EditError::Update(_)
            | EditError::Xml(..) => ErrorCode::StoreCrdt,
        }
    }
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EditError::Absent => write!(f, "there is no such document to edit"),
            EditError::CounterOverflow(path) => write!(f, "the counter {} overflows", path.join(".")),
            EditError::Depth => write!(f, "a document is nested at most {DEPTH_MAX} levels deep"),
            EditError::FieldName => write!(f, "a field's name has at most {FIELD_NAME_BYTES_MAX} bytes"),
            EditError::Halved(path) => {
                write!(f, "SPLICE would cut a character of {} in two; places are UTF-16 code units", path.join("."))
            }
            EditError::Kind(path, kind) => {
                write!(f, "{} is a {}, not what it was bound as", path.join("."), kind.name())
            }
            EditError::NoContent(path) => {
                let path = path.join(".");
                write!(f, "{path} is no TEXT, LIST or XML to splice; declare it: COLLECTION name ({path} TEXT)")
            }
            EditError::NoCounter(path) => {
                let path = path.join(".");
                write!(f, "in strict mode {path} is no counter unless it is declared: COLLECTION name ({path} COUNTER)")
            }
            EditError::Opaque(path, kind) => {
                write!(f, "{} is below a field declared {}, which is written only whole", path.join("."), kind.name())
            }
            EditError::Range(path, length) => {
                write!(f, "SPLICE goes beyond the end of {}, which has a length of {length}", path.join("."))
            }
            EditError::Replaced(path) => {
                write!(f, "{} was deleted or replaced by other content; bind the field again", path.join("."))
            }
            EditError::Root => write!(f, "SET and UNSET need the name of a field"),
            EditError::Size(bytes) => {
                write!(f, "the document would have {bytes} bytes, and a document has at most {DOCUMENT_BYTES_MAX}")
            }
            EditError::Text(path) => write!(f, "the stored text of {} cannot be read", path.join(".")),
            EditError::Type { path, declared, found } => {
                write!(f, "{} is declared {}, and the value is of type {found}", path.join("."), declared.name())
            }
            EditError::Update(path) => write!(f, "what came for {} is no Yjs update (V1)", path.join(".")),
            EditError::Xml(path, problem) => write!(f, "the XML for {} has {problem}", path.join(".")),
        }
    }
}

impl std::error::Error for EditError {}

impl From<EditError> for Failure {
    fn from(error: EditError) -> Failure {
        Failure::new(error.code(), error.to_string())
    }
}
