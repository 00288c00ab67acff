//! Tests of the room, by area, and what they share.

use value::{Hlc, Object, Value};

use crate::{Doc, Op, Stamp, Type, Types};

mod bytes;
mod codec;
mod convergence;
mod history;
mod laws;
mod model;
mod rich;
mod rules;
mod shorthand;
mod text;
mod vectors;

/// Reads a value from JSON.
fn json(text: &str) -> Value {
    from_json(&serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

fn object(text: &str) -> Object {
    json(text).into_object().expect("an object")
}

fn from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(truth) => Value::Bool(*truth),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Float(number.as_f64().expect("a float")),
        },
        serde_json::Value::String(text) => Value::Str(text.clone()),
        serde_json::Value::Array(items) => Value::Array(items.iter().map(from_json).collect()),
        serde_json::Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, field)| (name.clone(), from_json(field))).collect())
        }
    }
}

fn stamp(hlc: u64, actor: u64) -> Stamp {
    Stamp { hlc: Hlc(hlc), actor }
}

fn path(dotted: &str) -> Vec<String> {
    dotted.split('.').map(str::to_owned).collect()
}

fn set(dotted: &str, value: &str) -> Op {
    Op::Set { path: path(dotted), value: json(value) }
}

fn unset(dotted: &str) -> Op {
    Op::Unset { path: path(dotted) }
}

fn increment(dotted: &str, by: i64) -> Op {
    Op::Increment { path: path(dotted), by }
}

fn types(declared: &[(&str, Type)]) -> Types {
    let declared = declared.iter().map(|(dotted, kind)| (path(dotted), *kind)).collect();
    Types { declared, strict: false }
}

/// Returns the union of both.
fn joined(a: &Doc, b: &Doc) -> Doc {
    let mut doc = a.clone();
    doc.join(b);
    doc
}

/// Inserts a document into nothing.
fn inserted(text: &str, at: Stamp) -> Doc {
    crate::insert(&Doc::default(), &object(text), &Types::default(), at).expect("a valid document")
}

/// Applies operations and returns the new state.
fn edited(base: &Doc, ops: &[Op], types: &Types, at: Stamp) -> Doc {
    joined(base, &crate::edit(base, ops, types, at).expect("a valid edit"))
}

fn shown(doc: &Doc) -> Option<Value> {
    doc.to_object(&Types::default()).map(Value::Object)
}

/// Small, fast and the same everywhere: xorshift64*.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// Returns a number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}
