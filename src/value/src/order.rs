//! The total order over all values, which ORDER BY, indexes and equality use.
//!
//! false < true < numbers < binary < strings < arrays < objects < null. (Missing comes after null; it is not a value.)
//! Integers and floats compare by their mathematical value; source: reference 2.3 of the language.

use std::cmp::Ordering;

use crate::{Object, Value};

/// Compares two values in the total order.
pub fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b).unwrap_or_else(|| a.total_cmp(b)),
        (Value::Int(a), Value::Float(b)) => compare_int_float(*a, *b),
        (Value::Float(a), Value::Int(b)) => compare_int_float(*b, *a).reverse(),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (Value::Str(a), Value::Str(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => compare_lists(a.iter(), b.iter()),
        (Value::Object(a), Value::Object(b)) => compare_objects(a, b),
        (Value::Null, Value::Null) => Ordering::Equal,
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

/// Says whether two values are equal in the total order: `1 = 1.0`.
pub fn equal(a: &Value, b: &Value) -> bool {
    compare(a, b) == Ordering::Equal
}

/// Says whether two values are of one comparable kind (numbers are one kind, booleans one kind).
pub fn comparable(a: &Value, b: &Value) -> bool {
    rank(a) == rank(b)
}

/// Compares in the total order and, where that finds no difference, by form: an integer before a float, -0 before 0. Equal
/// are then only values that cannot be told apart.
pub fn compare_exactly(a: &Value, b: &Value) -> Ordering {
    compare(a, b).then_with(|| compare_forms(a, b))
}

/// Compares equal values by their forms, item by item.
fn compare_forms(a: &Value, b: &Value) -> Ordering {
    let items = |pair: (&Value, &Value)| Some(compare_forms(pair.0, pair.1)).filter(|ordering| ordering.is_ne());
    match (a, b) {
        (Value::Int(_), Value::Float(_)) => Ordering::Less,
        (Value::Float(_), Value::Int(_)) => Ordering::Greater,
        (Value::Float(a), Value::Float(b)) => a.total_cmp(b),
        (Value::Array(a), Value::Array(b)) => a.iter().zip(b).find_map(items).unwrap_or(Ordering::Equal),
        (Value::Object(a), Value::Object(b)) => a.values().zip(b.values()).find_map(items).unwrap_or(Ordering::Equal),
        _ => Ordering::Equal,
    }
}

/// Says whether two values cannot be told apart: `1` and `1.0` can.
pub fn identical(a: &Value, b: &Value) -> bool {
    compare_exactly(a, b) == Ordering::Equal
}

/// As `identical`, of objects.
pub fn identical_objects(a: &Object, b: &Object) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((a, x), (b, y))| a == b && identical(x, y))
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Bool(_) => 0,
        Value::Int(_) | Value::Float(_) => 1,
        Value::Bytes(_) => 2,
        Value::Str(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
        Value::Null => 6,
    }
}

/// Compares without losing the low bits of a large integer to a float conversion.
fn compare_int_float(int: i64, float: f64) -> Ordering {
    if float.is_nan() {
        return Ordering::Less;
    }
    if float >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    if float < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    let whole = float.trunc() as i64;
    int.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal))
}

fn compare_lists<'a>(mut a: impl Iterator<Item = &'a Value>, mut b: impl Iterator<Item = &'a Value>) -> Ordering {
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match compare(a, b) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
        }
    }
}

fn compare_objects(a: &crate::Object, b: &crate::Object) -> Ordering {
    let names = a.keys().cmp(b.keys());
    names.then_with(|| compare_lists(a.values(), b.values()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_come_in_the_documented_order() {
        let ascending = [
            Value::Bool(false),
            Value::Bool(true),
            Value::Float(-0.5),
            Value::Int(0),
            Value::Bytes(vec![]),
            Value::from(""),
            Value::Array(vec![]),
            Value::from([]),
            Value::Null,
        ];
        for pair in ascending.windows(2) {
            assert_eq!(compare(&pair[0], &pair[1]), Ordering::Less, "{pair:?}");
        }
    }

    #[test]
    fn integers_and_floats_compare_by_value() {
        assert!(equal(&Value::Int(1), &Value::Float(1.0)));
        assert_eq!(compare(&Value::Int(i64::MAX), &Value::Float(9.3e18)), Ordering::Less);
        assert_eq!(compare(&Value::Int((1 << 53) + 1), &Value::Float((1_u64 << 53) as f64)), Ordering::Greater);
        assert_eq!(compare(&Value::Int(-1), &Value::Float(-1.5)), Ordering::Greater);
    }
}
