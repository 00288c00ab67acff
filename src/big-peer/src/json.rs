//! JSON and values: what HTTP carries and what the engine computes.
//!
//! | JSON | value |
//! |---|---|
//! | number without fraction and exponent, within 64 signed bits | integer |
//! | other number | float; an integer from 2^63 up to 2^64 - 1 is refused, since it would lose digits |
//! | `{"$binary": "<base64>"}`, with no other field | binary |
//! | everything else | itself |
//!
//! Floats keep their point on the way out (`1.0`), so that a value read back has its type. An object of a document whose
//! only field is `$binary` with text that is base64 reads back as binary; that is the price of having binary in JSON.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use value::{Object, Value};

/// A value that is read from JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct FromJson(pub Value);

/// A value that is written as JSON.
#[derive(Clone, Copy, Debug)]
pub struct AsJson<'a>(pub &'a Value);

const BINARY: &str = "$binary";

impl Serialize for AsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(items) => serializer.collect_seq(items.iter().map(AsJson)),
            Value::Bool(truth) => serializer.serialize_bool(*truth),
            Value::Bytes(bytes) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(BINARY, &STANDARD.encode(bytes))?;
                map.end()
            }
            Value::Float(float) => serializer.serialize_f64(*float),
            Value::Int(int) => serializer.serialize_i64(*int),
            Value::Null => serializer.serialize_unit(),
            Value::Object(fields) => serializer.collect_map(fields.iter().map(|(name, value)| (name, AsJson(value)))),
            Value::Str(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for FromJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FromJson, D::Error> {
        deserializer.deserialize_any(JsonVisitor).map(FromJson)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, int: i64) -> Result<Value, E> {
        Ok(Value::Int(int))
    }

    fn visit_u64<E: de::Error>(self, int: u64) -> Result<Value, E> {
        let int = i64::try_from(int)
            .map_err(|_| E::custom(format_args!("the integer {int} does not fit into 64 signed bits")))?;
        Ok(Value::Int(int))
    }

    fn visit_f64<E>(self, float: f64) -> Result<Value, E> {
        Ok(Value::Float(float))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Str(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Str(text))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(FromJson(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut fields = Object::new();
        while let Some((name, FromJson(field))) = access.next_entry::<String, FromJson>()? {
            if fields.insert(name.clone(), field).is_some() {
                return Err(de::Error::custom(format_args!("the field \"{name}\" is there twice")));
            }
        }
        Ok(binary(&fields).map_or(Value::Object(fields), Value::Bytes))
    }
}

fn binary(fields: &Object) -> Option<Vec<u8>> {
    if fields.len() != 1 {
        return None;
    }
    STANDARD.decode(fields.get(BINARY)?.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, serde_json::Error> {
        serde_json::from_str::<FromJson>(text).map(|json| json.0)
    }

    fn round_trip(text: &str) -> String {
        serde_json::to_string(&AsJson(&read(text).expect("valid"))).expect("values have a JSON form")
    }

    #[test]
    fn types_survive_a_round_trip() {
        for text in [
            r#"{"a":[1,-9223372036854775808,9223372036854775807,1.0,1.5e+300,true,null,"é\n"],"b":{}}"#,
            r#"{"$binary":"AAEC/w=="}"#,
            r#"{"$binary":"not base64"}"#,
            "[]",
        ] {
            assert_eq!(round_trip(text), text);
        }
        assert_eq!(read(r#"{"$binary":"AAEC/w=="}"#).expect("valid"), Value::Bytes(vec![0, 1, 2, 255]));
        assert_eq!(read("1").expect("valid"), Value::Int(1));
        assert_eq!(read("1.0").expect("valid"), Value::Float(1.0));
    }

    #[test]
    fn what_would_lose_something_is_refused() {
        for text in ["9223372036854775808", "18446744073709551615", r#"{"a":1,"a":2}"#, "1e999", "NaN"] {
            assert!(read(text).is_err(), "{text}");
        }
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(read(&deep).is_err(), "nesting is bounded");
    }
}
