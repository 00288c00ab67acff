//! Identifiers: of replicas, stores, peers, collections and documents.

use std::fmt;
use std::sync::Arc;

use crate::cbor;
use crate::limits::{COLLECTION_NAME_BYTES_MAX, ID_BYTES_MAX};
use crate::{Value, Writer};

/// The random id of one copy of a database; it dies with the store that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub u64);

/// The random id of one commit log. Cursors name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub u64);

/// Position of a commit in one store's log. Grows with every commit, is never reused, 0 before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// Names a peer to its users and in presence: text of at most 128 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(pub String);

impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a name or an identifier was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdError {
    /// The collection's name is empty or too long.
    CollectionName,
    /// Over 1,024 bytes in binary form.
    IdTooLong,
    /// A float, a null or a type that cannot identify.
    IdType(&'static str),
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdError::CollectionName => {
                write!(f, "a collection's name has 1 to {COLLECTION_NAME_BYTES_MAX} bytes")
            }
            IdError::IdTooLong => write!(f, "an _id has at most {ID_BYTES_MAX} bytes"),
            IdError::IdType(name) => write!(
                f,
                "an _id is a string, an integer, a boolean, an array or an object, and this one is or holds a {name}"
            ),
        }
    }
}

impl std::error::Error for IdError {}

/// The name of a collection; copies share it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectionName(Arc<str>);

impl CollectionName {
    /// Checks the length of a name.
    pub fn new(name: &str) -> Result<CollectionName, IdError> {
        if name.is_empty() || name.len() > COLLECTION_NAME_BYTES_MAX {
            return Err(IdError::CollectionName);
        }
        Ok(CollectionName(name.into()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The `_id` of a document in canonical binary form, so that equal ids are equal bytes.
///
/// A string, integer, boolean, array or object; never a float or null, at any depth. Key order in an object is irrelevant.
/// Copies share the bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocId(Arc<[u8]>);

impl DocId {
    /// Checks the type and size of an `_id`.
    pub fn new(id: &Value) -> Result<DocId, IdError> {
        check_type(id)?;
        let mut writer = Writer::new();
        cbor::encode_into(id, &mut writer);
        let bytes = writer.finish();
        if bytes.len() > ID_BYTES_MAX {
            return Err(IdError::IdTooLong);
        }
        Ok(DocId(bytes.into()))
    }

    /// Checks canonical bytes from outside.
    pub fn from_bytes(bytes: &[u8]) -> Result<DocId, crate::DecodeError> {
        let value = cbor::decode(bytes, ID_BYTES_MAX)?;
        let id = DocId::new(&value).map_err(|_| crate::DecodeError::Invalid("document id"))?;
        if *id.0 != *bytes {
            return Err(crate::DecodeError::Invalid("document id (not canonical)"));
        }
        Ok(id)
    }

    /// Takes the bytes of an id that was checked before it was stored, from a key of this peer's own store.
    pub fn from_stored(bytes: &[u8]) -> DocId {
        DocId(bytes.into())
    }

    /// Returns the canonical bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the `_id` as a value.
    pub fn to_value(&self) -> Value {
        cbor::decode(&self.0, ID_BYTES_MAX).expect("the bytes were checked when the id was made")
    }
}

fn check_type(id: &Value) -> Result<(), IdError> {
    match id {
        Value::Bool(_) | Value::Int(_) | Value::Str(_) => Ok(()),
        Value::Array(items) => items.iter().try_for_each(check_type),
        Value::Object(fields) => fields.values().try_for_each(check_type),
        Value::Bytes(_) | Value::Float(_) | Value::Null => Err(IdError::IdType(id.type_name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_and_nulls_do_not_identify() {
        assert_eq!(DocId::new(&Value::Float(1.0)), Err(IdError::IdType("float")));
        assert_eq!(DocId::new(&Value::Array(vec![Value::Null])), Err(IdError::IdType("null")));
    }

    #[test]
    fn key_order_is_irrelevant() {
        let a = DocId::new(&Value::from([("x", Value::Int(1)), ("y", Value::Int(2))]));
        let b = DocId::new(&Value::from([("y", Value::Int(2)), ("x", Value::Int(1))]));
        assert_eq!(a, b);
        assert_eq!(a.clone().map(|id| DocId::from_bytes(id.as_bytes())), Ok(Ok(b.expect("valid"))));
    }
}
