//! The JSON-like value: what a field holds and what a statement computes.

use std::collections::BTreeMap;

/// The fields of an object in the order of their names.
pub type Object = BTreeMap<String, Value>;

/// A JSON-like value with 64-bit integers and binary.
///
/// "Missing" is not a value: code that needs it says `Option<Value>`, with `None` for missing.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A list, merged as one unit.
    Array(Vec<Value>),
    /// True or false.
    Bool(bool),
    /// Binary data.
    Bytes(Vec<u8>),
    /// A 64-bit float; never NaN or infinite when it came from outside.
    Float(f64),
    /// A 64-bit signed integer.
    Int(i64),
    /// JSON `null`.
    Null,
    /// Named fields.
    Object(Object),
    /// UTF-8 text.
    Str(String),
}

impl Value {
    /// Returns the text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the integer, or the float when it is a whole number in range.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(int) => Some(*int),
            Value::Float(float) if float.fract() == 0.0 && float.abs() < 9.0e18 => Some(*float as i64),
            _ => None,
        }
    }

    /// Returns the number as a float.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Int(int) => Some(*int as f64),
            Value::Float(float) => Some(*float),
            _ => None,
        }
    }

    /// Returns the fields of an object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Returns the fields of an object, by value.
    pub fn into_object(self) -> Option<Object> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Returns the items of an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the levels of nesting: 1 for a scalar, 1 + the deepest item for a container.
    pub fn depth(&self) -> usize {
        match self {
            Value::Array(items) => 1 + items.iter().map(Value::depth).max().unwrap_or(0),
            Value::Object(object) => 1 + object.values().map(Value::depth).max().unwrap_or(0),
            Value::Bool(_) | Value::Bytes(_) | Value::Float(_) | Value::Int(_) | Value::Null | Value::Str(_) => 1,
        }
    }

    /// Returns the name of the type as the language says it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Array(_) => "array",
            Value::Bool(_) => "boolean",
            Value::Bytes(_) => "binary",
            Value::Float(_) => "float",
            Value::Int(_) => "integer",
            Value::Null => "null",
            Value::Object(_) => "object",
            Value::Str(_) => "string",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Str(text)
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Value {
        Value::Int(int)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}

impl From<f64> for Value {
    fn from(float: f64) -> Value {
        Value::Float(float)
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Value {
    fn from(fields: [(&str, Value); N]) -> Value {
        // Not `collect`: it brings a sort of its own for each type, 5 kB of WebAssembly.
        let mut object = Object::new();
        object.extend(fields.map(|(name, value)| (name.to_owned(), value)));
        Value::Object(object)
    }
}
