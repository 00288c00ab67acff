//! Why an edit was refused.

use std::fmt;

use value::limits::{DEPTH_MAX, DOCUMENT_BYTES_MAX, FIELD_NAME_BYTES_MAX};
use value::{ErrorCode, Failure};

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
    /// The path is below a field that is one unit, such as a REGISTER.
    Opaque(Vec<String>, Type),
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
    /// This build merges fields of that type but cannot edit them.
    Unsupported(Type),
}

impl EditError {
    /// Returns the stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            EditError::Absent => ErrorCode::StoreDocumentNotFound,
            EditError::CounterOverflow(_) | EditError::Text(_) => ErrorCode::StoreCrdt,
            EditError::Depth => ErrorCode::ValidationDepthLimitExceeded,
            EditError::FieldName | EditError::Size(_) => ErrorCode::ValidationSizeLimitExceeded,
            EditError::NoCounter(_) | EditError::Opaque(..) | EditError::Root | EditError::Type { .. } => {
                ErrorCode::StoreCrdt
            }
            EditError::Unsupported(_) => ErrorCode::Unsupported,
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
            EditError::NoCounter(path) => {
                let path = path.join(".");
                write!(f, "in strict mode {path} is no counter unless it is declared: COLLECTION name ({path} COUNTER)")
            }
            EditError::Opaque(path, kind) => {
                write!(f, "{} is below a field declared {}, which is written only whole", path.join("."), kind.name())
            }
            EditError::Root => write!(f, "SET and UNSET need the name of a field"),
            EditError::Size(bytes) => {
                write!(f, "the document would have {bytes} bytes, and a document has at most {DOCUMENT_BYTES_MAX}")
            }
            EditError::Text(path) => write!(f, "the stored text of {} cannot be read", path.join(".")),
            EditError::Type { path, declared, found } => {
                write!(f, "{} is declared {}, and the value is of type {found}", path.join("."), declared.name())
            }
            EditError::Unsupported(kind) => write!(f, "fields declared {} cannot be edited yet", kind.name()),
        }
    }
}

impl std::error::Error for EditError {}

impl From<EditError> for Failure {
    fn from(error: EditError) -> Failure {
        Failure::new(error.code(), error.to_string())
    }
}
