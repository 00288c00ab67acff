//! The documents of the workload: few collections, few ids, and fields whose every value names the write that made it.
//!
//! A value written to a modelled field carries a code, unique in a run, from which the write and the field can be read back.
//! So a checker that meets a value anywhere knows at once who wrote it, with which statement.

use value::{Object, Value};

/// The collections, by index.
pub const COLLECTIONS: [&str; 6] = ["a", "b", "t", "w", "r", "x"];
/// So many of them, the first, hold plain values and are in every run.
pub const OF_VALUES: usize = 4;
/// Plain documents.
pub const PLAIN: usize = 0;
/// Documents of which some peers subscribe to a part only, by the field `k`.
pub const PARTIAL: usize = 1;
/// Documents written in groups of two, always both in one transaction, with one marker.
pub const GROUPED: usize = 2;
/// Documents that anything may happen to; only convergence is checked.
pub const WILD: usize = 3;
/// Documents with a text and a list, see `rich`.
pub const RICH: usize = 4;
/// What declares them in a statement.
pub const RICH_SOURCE: &str = "COLLECTION r (body TEXT, items LIST)";
/// Documents that name attachments, see `attachment`.
pub const ATTACHED: usize = 5;
/// What declares them in a statement.
pub const ATTACHED_SOURCE: &str = "COLLECTION x (f ATTACHMENT)";
/// The collections that the model keeps account of.
pub const MODELLED: [usize; 3] = [PLAIN, PARTIAL, GROUPED];

/// The modelled fields, by index.
pub const FIELDS: [&str; 5] = ["f0", "f1", "f2", "n.x", "n.y"];
/// All fields of a document as a set of bits.
pub const ALL_FIELDS: u8 = (1 << FIELDS.len()) - 1;
/// The fields inside `n`.
pub const NESTED_FIELDS: u8 = 0b11000;

/// Names one modelled value of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code {
    /// Which write made it.
    pub write: usize,
    /// Into which field.
    pub field: usize,
}

impl Code {
    /// Returns the value that carries the code; its type and size depend on the code too.
    pub fn value(self, padding: usize) -> Value {
        let number = (self.write * 8 + self.field) as i64;
        match number % 7 {
            0 => Value::Float(number as f64 + 0.5),
            1 => Value::Array(vec![Value::Int(number), Value::Null]),
            2 | 3 => Value::Int(number),
            _ => Value::Str(format!("{number}:{}", "x".repeat(padding))),
        }
    }

    /// Reads the code out of a value.
    pub fn of(value: &Value) -> Option<Code> {
        let number = match value {
            Value::Array(items) => items.first()?.as_int()?,
            Value::Float(float) => (*float - 0.5) as i64,
            Value::Int(int) => *int,
            Value::Str(text) => text.split(':').next()?.parse().ok()?,
            Value::Bool(_) | Value::Bytes(_) | Value::Null | Value::Object(_) => return None,
        };
        let number = usize::try_from(number).ok()?;
        Some(Code { write: number / 8, field: number % 8 }).filter(|code| code.field < FIELDS.len())
    }
}

/// Returns what stands behind FROM for a collection.
pub fn source(collection: usize) -> &'static str {
    match collection {
        ATTACHED => ATTACHED_SOURCE,
        RICH => RICH_SOURCE,
        _ => COLLECTIONS[collection],
    }
}

/// Returns the fields of a set of bits.
pub fn fields(bits: u8) -> impl Iterator<Item = usize> {
    (0..FIELDS.len()).filter(move |field| bits & 1 << field != 0)
}

/// Returns the value of a modelled field of a document.
pub fn read(document: &Object, field: usize) -> Option<&Value> {
    match FIELDS[field].split_once('.') {
        Some((outer, inner)) => document.get(outer)?.as_object()?.get(inner),
        None => document.get(FIELDS[field]),
    }
}

/// Sets a modelled field of a document.
pub fn set(document: &mut Object, field: usize, value: Value) {
    match FIELDS[field].split_once('.') {
        Some((outer, inner)) => {
            let outer = document.entry(outer.to_owned()).or_insert_with(|| Value::Object(Object::new()));
            if let Value::Object(fields) = outer {
                fields.insert(inner.to_owned(), value);
            }
        }
        None => {
            document.insert(FIELDS[field].to_owned(), value);
        }
    }
}

/// Returns the id of a row; ids of the workload are integers.
pub fn id(row: &Value) -> Option<i64> {
    row.as_object()?.get("_id")?.as_int()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_names_its_write() {
        for write in 0..500 {
            for field in 0..FIELDS.len() {
                let code = Code { write, field };
                assert_eq!(Code::of(&code.value(write % 40)), Some(code));
            }
        }
    }

    #[test]
    fn nested_fields_are_set_and_read() {
        let mut document = Object::new();
        fields(ALL_FIELDS).for_each(|field| set(&mut document, field, Value::Int(field as i64)));
        assert!(fields(ALL_FIELDS).all(|field| read(&document, field) == Some(&Value::Int(field as i64))));
        assert!(matches!(document.get("n"), Some(Value::Object(inner)) if inner.len() == 2));
    }
}
