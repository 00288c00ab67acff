//! Goal: keys compare as the values do, decode to exactly what went in, and no bytes from outside make decoding panic.
//!
//! Method: values drawn from a seeded generator that prefers neighbours: 2^53 and 2^63, zeros, shared prefixes, nested pairs.

use std::cmp::Ordering;

use super::*;
use crate::order;

const NO_LIMIT: usize = usize::MAX;

struct Draw(u64);

impl Draw {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    fn int(&mut self) -> i64 {
        let near = [0, 1 << 53, -(1 << 53), 1 << 62, i64::MAX, i64::MIN, 1 << 60];
        let offset = self.below(9) as i64 - 4;
        match self.below(3) {
            0 => self.number() as i64,
            _ => near[self.below(7) as usize].wrapping_add(offset),
        }
    }

    fn float(&mut self) -> f64 {
        let near = [0.0, -0.0, 0.5, 1e300, -1e300, f64::MIN_POSITIVE, 9.3e18, -INT_END, INT_END, f64::INFINITY];
        match self.below(4) {
            0 => near[self.below(10) as usize],
            1 => self.int() as f64 / 4.0,
            2 => Some(f64::from_bits(self.number())).filter(|float| !float.is_nan()).unwrap_or(-1.5),
            _ => self.int() as f64,
        }
    }

    fn text(&mut self) -> String {
        (0..self.below(4)).map(|_| ['a', '\0', '\u{1}', 'b', 'é', '\u{ff}'][self.below(6) as usize]).collect()
    }

    fn value(&mut self, depth: u64) -> Value {
        match self.below(if depth == 0 { 7 } else { 9 }) {
            0 => Value::Bool(self.below(2) == 0),
            1 | 2 => Value::Int(self.int()),
            3 => Value::Float(self.float()),
            4 => Value::Bytes(self.text().into_bytes()),
            5 => Value::Str(self.text()),
            6 => Value::Null,
            7 => Value::Array((0..self.below(3)).map(|_| self.value(depth - 1)).collect()),
            _ => Value::Object((0..self.below(3)).map(|_| (self.text(), self.value(depth - 1))).collect()),
        }
    }

    fn field(&mut self) -> Option<Value> {
        (self.below(12) != 0).then(|| self.value(2))
    }

    fn direction(&mut self) -> Direction {
        if self.below(2) == 0 { Direction::Ascending } else { Direction::Descending }
    }
}

fn key(fields: &[Option<Value>], directions: &[Direction], bytes_max: usize) -> OrderKey {
    let mut key = OrderKey::default();
    for (field, direction) in fields.iter().zip(directions) {
        key.push(field.as_ref(), *direction, bytes_max);
    }
    key
}

fn compared(a: &[Option<Value>], b: &[Option<Value>], directions: &[Direction]) -> Ordering {
    let one = |((a, b), direction): ((&Option<Value>, &Option<Value>), &Direction)| {
        let order = match (a, b) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => order::compare(a, b),
        };
        if *direction == Direction::Descending { order.reverse() } else { order }
    };
    a.iter().zip(b).zip(directions).map(one).find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
}

/// Two that are `==` may still be the two zeros, or an integer and a float.
fn same(a: &[Option<Value>], b: &[Option<Value>]) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

#[test]
fn keys_are_in_the_order_of_their_values() {
    for seed in 0..60_000 {
        let mut draw = Draw(seed);
        let fields = 1 + draw.below(3);
        let directions: Vec<Direction> = (0..fields).map(|_| draw.direction()).collect();
        let a: Vec<Option<Value>> = (0..fields).map(|_| draw.field()).collect();
        // Half of the fields are taken over, so that later ones decide.
        let b: Vec<Option<Value>> =
            a.iter().map(|field| if draw.below(2) == 0 { field.clone() } else { draw.field() }).collect();
        let (left, right) = (key(&a, &directions, NO_LIMIT), key(&b, &directions, NO_LIMIT));
        let expected = compared(&a, &b, &directions);
        assert_eq!(left.bytes().cmp(right.bytes()), expected, "seed {seed}: {a:?} {b:?} {directions:?}");
        // Cut keys may be equal where the values are not, and never the other way round.
        let max = 1 + draw.below(12) as usize;
        let (left, right) = (key(&a, &directions, max), key(&b, &directions, max));
        if fields == 1 {
            assert_ne!(left.bytes().cmp(right.bytes()), expected.reverse().then(Ordering::Less), "seed {seed}, cut");
        }
        if left.is_cut() && !right.is_cut() && fields == 1 {
            assert_ne!(left.bytes(), right.bytes(), "seed {seed}: a cut field is like no whole one");
        }
    }
}

#[test]
fn keys_decode_to_what_went_in_whatever_follows() {
    for seed in 0..60_000 {
        let mut draw = Draw(seed);
        let fields = 1 + draw.below(3);
        let directions: Vec<Direction> = (0..fields).map(|_| draw.direction()).collect();
        let values: Vec<Option<Value>> = (0..fields).map(|_| draw.field()).collect();
        let key = key(&values, &directions, NO_LIMIT);
        let mut bytes = key.bytes().to_vec();
        bytes.extend_from_slice(&[0x61, 0x00, 0xff]);
        let decoded = decode(&bytes, &key.note(), directions.clone()).expect("it was encoded");
        assert!(same(&decoded, &values), "seed {seed}: {values:?} came back as {decoded:?}");
        assert_eq!(length(&bytes, &key.note(), directions), Ok(key.bytes().len()), "seed {seed}");
    }
}

#[test]
fn damaged_keys_are_errors_or_other_values_and_never_panics() {
    for seed in 0..3_000 {
        let mut draw = Draw(seed);
        let values: Vec<Option<Value>> = (0..2).map(|_| draw.field()).collect();
        let directions = [draw.direction(), draw.direction()];
        let key = key(&values, &directions, NO_LIMIT);
        let note = key.note();
        for end in 0..key.bytes().len() {
            assert!(decode(&key.bytes()[..end], &note, directions).is_err(), "seed {seed}: cut off at {end}");
            assert!(length(&key.bytes()[..end], &note, directions).is_err(), "seed {seed}: cut off at {end}");
        }
        for bit in 0..key.bytes().len() * 8 {
            let mut bytes = key.bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = decode(&bytes, &note, directions) {
                assert!(!same(&other, &values), "seed {seed}: bit {bit} says nothing");
            }
            _ = length(&bytes, &note, directions);
        }
        for bit in 0..note.len() * 8 {
            let mut note = note.clone();
            note[bit / 8] ^= 1 << (bit % 8);
            _ = decode(key.bytes(), &note, directions);
            _ = length(key.bytes(), &note, directions);
        }
    }
}

#[test]
fn equal_numbers_have_equal_bytes_inside_a_composite_key() {
    let directions = [Direction::Ascending, Direction::Descending];
    let rest = Some(Value::from("x"));
    let int = key(&[Some(Value::Int(1)), rest.clone()], &directions, NO_LIMIT);
    let float = key(&[Some(Value::Float(1.0)), rest], &directions, NO_LIMIT);
    assert_eq!(int.bytes(), float.bytes());
    assert_ne!(int.note(), float.note());
}
