//! The groups of GROUP BY while documents come in.
//!
//! A document finds its group by a hash of its keys, which are borrowed from it: a hundred thousand documents in ten groups
//! make ten keys. Numbers that are equal hash as one, whatever their type. At the end the groups are sorted by their keys.

use std::collections::BTreeMap;

use value::{Value, order};

use crate::aggregate::{Accumulator, Key};
use crate::evaluate::{Answer, Code, Environment};

/// The groups so far.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: Vec<(Key, Vec<Accumulator>)>,
    /// The places of the groups by the hash of their keys.
    by_hash: BTreeMap<u64, Vec<usize>>,
}

impl Groups {
    /// Returns the accumulators of the group that a row belongs to; a new group has `calls` of them.
    pub fn of(&mut self, keys: &[Code], environment: Environment<'_>, calls: usize) -> &mut [Accumulator] {
        let mut hash = FNV_START;
        for key in keys {
            hash_answer(&mut hash, key.evaluate(environment).as_deref());
        }
        let places = self.by_hash.entry(hash).or_default();
        let is = |place: &&usize| {
            self.all[**place].0.0.iter().zip(keys).all(|(known, key)| same(known, &key.evaluate(environment)))
        };
        let place = match places.iter().find(is) {
            Some(place) => {
                let place = *place;
                // Of equal keys one is shown, whichever comes first.
                let known = &self.all[place].0.0;
                if known.iter().zip(keys).any(|(known, key)| looks_different(known, &key.evaluate(environment))) {
                    let key = Key(keys.iter().map(|key| key.value(environment)).collect());
                    if key.is_preferred_to(&self.all[place].0) {
                        self.all[place].0 = key;
                    }
                }
                place
            }
            None => {
                let key = Key(keys.iter().map(|key| key.value(environment)).collect());
                self.all.push((key, vec![Accumulator::default(); calls]));
                places.push(self.all.len() - 1);
                self.all.len() - 1
            }
        };
        &mut self.all[place].1
    }

    /// Returns the groups in the order of their keys.
    pub fn into_sorted(mut self) -> Vec<(Key, Vec<Accumulator>)> {
        self.all.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.all
    }
}

fn same(known: &Option<Value>, answer: &Answer<'_>) -> bool {
    match (known, answer) {
        (Some(known), Some(value)) => order::equal(known, value),
        (known, answer) => known.is_none() && answer.is_none(),
    }
}

/// Says whether a value that is equal may be written otherwise: an integer and a float.
fn looks_different(known: &Option<Value>, answer: &Answer<'_>) -> bool {
    match (known, answer.as_deref()) {
        (Some(Value::Int(_)), Some(value)) => !matches!(value, Value::Int(_)),
        (Some(Value::Float(known)), Some(Value::Float(value))) => known.to_bits() != value.to_bits(),
        (Some(known), _) => matches!(known, Value::Array(_) | Value::Float(_) | Value::Object(_)),
        (None, _) => false,
    }
}

/// FNV-1a, for short keys. The places of one hash are compared one by one, so whoever makes documents whose keys collide makes
/// this statement slow, and nothing else.
const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x100_0000_01b3;

fn hash_bytes(hash: &mut u64, bytes: &[u8]) {
    for byte in bytes {
        *hash = (*hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
    }
}

/// Hashes so that equal values have equal hashes: numbers as floats, since an integer equals the float next to it only if
/// that is the same number.
fn hash_answer(hash: &mut u64, value: Option<&Value>) {
    match value {
        None => hash_bytes(hash, &[0]),
        Some(Value::Bool(truth)) => hash_bytes(hash, &[1, u8::from(*truth)]),
        Some(Value::Int(int)) => hash_number(hash, *int as f64),
        Some(Value::Float(float)) => hash_number(hash, *float),
        Some(Value::Bytes(bytes)) => hash_bytes(hash, bytes),
        Some(Value::Str(text)) => hash_bytes(hash, text.as_bytes()),
        Some(Value::Array(items)) => items.iter().for_each(|item| hash_answer(hash, Some(item))),
        Some(Value::Object(fields)) => {
            for (name, value) in fields {
                hash_bytes(hash, name.as_bytes());
                hash_answer(hash, Some(value));
            }
        }
        Some(Value::Null) => hash_bytes(hash, &[2]),
    }
    hash_bytes(hash, &[0xff]);
}

fn hash_number(hash: &mut u64, number: f64) {
    // The two zeros are equal.
    let bits = if number == 0.0 { 0 } else { number.to_bits() };
    hash_bytes(hash, &[3]);
    hash_bytes(hash, &bits.to_le_bytes());
}
