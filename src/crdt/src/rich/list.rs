//! Items of a LIST: between our values and those of Yjs.
//!
//! A whole number that a JavaScript number holds is one there; a greater one is a BigInt. Nested Yjs types, which only a Yjs
//! client makes, read as what they hold. Values deeper than a document may nest read as NULL.

use std::sync::Arc;

use value::Value;
use value::limits::DEPTH_MAX;
use yrs::{Any, Array, ArrayRef, GetString, Map, Number, Out, ReadTxn};

use super::xml;

/// Returns the items of a list.
pub(super) fn items<T: ReadTxn>(list: &ArrayRef, txn: &T) -> Vec<Value> {
    list.iter(txn).map(|item| from_out(&item, txn, 1)).collect()
}

/// Returns a value as Yjs keeps it.
pub(super) fn to_any(value: &Value) -> Any {
    match value {
        Value::Array(items) => Any::Array(items.iter().map(to_any).collect()),
        Value::Bool(truth) => Any::Bool(*truth),
        Value::Bytes(bytes) => Any::Buffer(bytes.as_slice().into()),
        Value::Float(float) => Any::Number(Number::Float(*float)),
        Value::Int(int) => Any::Number(Number::Int(*int)),
        Value::Null => Any::Null,
        Value::Object(fields) => {
            Any::Map(Arc::new(fields.iter().map(|(name, field)| (name.clone(), to_any(field))).collect()))
        }
        Value::Str(text) => Any::String(text.as_str().into()),
    }
}

pub(super) fn from_out<T: ReadTxn>(out: &Out, txn: &T, depth: usize) -> Value {
    match out {
        _ if depth >= DEPTH_MAX => Value::Null,
        Out::Any(any) => from_any(any, depth),
        Out::YArray(list) => Value::Array(list.iter(txn).map(|item| from_out(&item, txn, depth + 1)).collect()),
        Out::YMap(map) => {
            let mut object = value::Object::new();
            object.extend(map.iter(txn).map(|(name, field)| (name.to_owned(), from_out(&field, txn, depth + 1))));
            Value::Object(object)
        }
        Out::YText(text) => Value::Str(text.get_string(txn)),
        Out::YXmlElement(_) | Out::YXmlFragment(_) | Out::YXmlText(_) => Value::Str(xml::print(out, txn)),
        Out::YDoc(_) | Out::UndefinedRef(_) => Value::Null,
    }
}

pub(super) fn from_any(any: &Any, depth: usize) -> Value {
    match any {
        _ if depth >= DEPTH_MAX => Value::Null,
        Any::Null | Any::Undefined => Value::Null,
        Any::Bool(truth) => Value::Bool(*truth),
        Any::Number(Number::Int(int)) => Value::Int(*int),
        Any::Number(Number::Float(float)) if float.is_finite() => Value::Float(*float),
        Any::Number(Number::Float(_)) => Value::Null,
        Any::String(text) => Value::Str(text.to_string()),
        Any::Buffer(bytes) => Value::Bytes(bytes.to_vec()),
        Any::Array(items) => Value::Array(items.iter().map(|item| from_any(item, depth + 1)).collect()),
        Any::Map(fields) => {
            let mut object = value::Object::new();
            object.extend(fields.iter().map(|(name, field)| (name.clone(), from_any(field, depth + 1))));
            Value::Object(object)
        }
    }
}
