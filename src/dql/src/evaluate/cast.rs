//! `cast(v AS type)`: null stays null, and what has no form in the type is MISSING.
//!
//! Text is binary as UTF-8 and the other way round; numbers are text as in JSON; a fraction is cut off for an integer;
//! false is 0 and true is 1.

use value::Value;

use super::json;

/// Returns a value as one of a type, which is named by one of `CAST_TYPES`.
pub(super) fn cast(value: &Value, to: &str) -> Option<Value> {
    match (to, value) {
        (_, Value::Null) => Some(Value::Null),
        ("string", Value::Bytes(bytes)) => std::str::from_utf8(bytes).ok().map(Value::from),
        ("string", Value::Bool(_) | Value::Float(_) | Value::Int(_)) => json::write(value),
        ("string", Value::Str(_)) | ("binary", Value::Bytes(_)) => Some(value.clone()),
        ("binary", Value::Str(text)) => Some(Value::Bytes(text.clone().into_bytes())),
        ("boolean", Value::Str(text)) => {
            let is = |word: &str| text.trim().eq_ignore_ascii_case(word);
            (is("true") || is("false")).then(|| Value::Bool(is("true")))
        }
        ("boolean", Value::Bool(_)) => Some(value.clone()),
        ("boolean", Value::Float(_) | Value::Int(_)) => Some(Value::Bool(value.as_float() != Some(0.0))),
        ("float", _) => number(value)?.as_float().map(Value::Float),
        ("integer", _) => match number(value)? {
            // Exact: the bounds are powers of two.
            Value::Float(float) if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&float) => {
                Some(Value::Int(float as i64))
            }
            Value::Int(int) => Some(Value::Int(int)),
            _ => None,
        },
        _ => None,
    }
}

fn number(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(truth) => Some(Value::Int(i64::from(*truth))),
        Value::Float(_) | Value::Int(_) => Some(value.clone()),
        Value::Str(text) => json::read(text).filter(|value| matches!(value, Value::Float(_) | Value::Int(_))),
        Value::Array(_) | Value::Bytes(_) | Value::Null | Value::Object(_) => None,
    }
}
