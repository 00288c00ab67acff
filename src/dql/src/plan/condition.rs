//! What a predicate says of single fields: the values that each can have where the predicate is true.
//!
//! Never too narrow: what is not understood says nothing. A comparison is true only between values of one kind, so `a > 5`
//! ends where the numbers end.

use std::cmp::Ordering;
use std::ops::Bound;

use value::{Object, Value, order};

use super::access::Finder;
use crate::aggregate::compare;
use crate::ast::{Absence, Case, Negation, Operator};
use crate::evaluate::Code;
use crate::function::Function;

/// A range of values, `None` being MISSING, the last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Interval {
    pub low: Bound<Option<Value>>,
    pub high: Bound<Option<Value>>,
}

/// Ranges, ascending and apart from each other. None: no value at all.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Intervals(pub Vec<Interval>);

impl Intervals {
    fn point(value: Option<Value>) -> Intervals {
        Intervals(vec![Interval { low: Bound::Included(value.clone()), high: Bound::Included(value) }])
    }

    fn one(low: Bound<Option<Value>>, high: Bound<Option<Value>>) -> Intervals {
        Intervals(vec![Interval { low, high }])
    }

    /// Returns the values if there are only single values.
    pub fn points(&self) -> Option<Vec<Option<Value>>> {
        let point = |interval: &Interval| match (&interval.low, &interval.high) {
            (Bound::Included(low), Bound::Included(high)) if compare(low.as_ref(), high.as_ref()).is_eq() => {
                Some(low.clone())
            }
            _ => None,
        };
        self.0.iter().map(point).collect()
    }

    /// Returns what lies in both.
    fn and(&self, other: &Intervals) -> Intervals {
        let mut both = Vec::new();
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            let low = if compare_bounds(&a.low, &b.low, Ordering::Less).is_ge() { &a.low } else { &b.low };
            let ends_first = compare_bounds(&a.high, &b.high, Ordering::Greater).is_le();
            let high = if ends_first { &a.high } else { &b.high };
            if !is_empty(low, high) {
                both.push(Interval { low: low.clone(), high: high.clone() });
            }
            // What ends first meets nothing more of the other side.
            if ends_first {
                left.next()
            } else {
                right.next()
            };
        }
        Intervals(both)
    }
}

/// Compares the starts of two ranges, or with `outward` greater their ends: which way a range gets larger there.
fn compare_bounds(a: &Bound<Option<Value>>, b: &Bound<Option<Value>>, outward: Ordering) -> Ordering {
    match (a, b) {
        (Bound::Unbounded, Bound::Unbounded) => Ordering::Equal,
        (Bound::Unbounded, _) => outward,
        (_, Bound::Unbounded) => outward.reverse(),
        (Bound::Included(x), Bound::Included(y)) | (Bound::Excluded(x), Bound::Excluded(y)) => {
            compare(x.as_ref(), y.as_ref())
        }
        (Bound::Included(x), Bound::Excluded(y)) => compare(x.as_ref(), y.as_ref()).then(outward),
        (Bound::Excluded(x), Bound::Included(y)) => compare(x.as_ref(), y.as_ref()).then(outward.reverse()),
    }
}

fn is_empty(low: &Bound<Option<Value>>, high: &Bound<Option<Value>>) -> bool {
    let (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) = (low, high) else {
        return false;
    };
    match compare(a.as_ref(), b.as_ref()) {
        Ordering::Less => false,
        Ordering::Equal => !matches!((low, high), (Bound::Included(_), Bound::Included(_))),
        Ordering::Greater => true,
    }
}

/// How many fields of a predicate are looked at, and how many conditions on each; the rest says nothing. Statements come from
/// other peers too, and a megabyte of conditions must not take minutes.
const FIELDS_MAX: usize = 100;
const CONDITIONS_MAX: usize = 100;

/// Returns the fields that a predicate restricts, each once, with the values that they can have.
pub(super) fn conditions<'c>(finder: &Finder<'_>, predicate: &'c Code) -> Vec<(&'c [String], Intervals)> {
    let mut all = Vec::new();
    collect(finder, predicate, &mut all);
    all.into_iter().map(|known| (known.path, known.intervals)).collect()
}

/// What is known of one field.
struct Restricted<'c> {
    path: &'c [String],
    intervals: Intervals,
    /// How many conditions said so.
    conditions: usize,
}

fn collect<'c>(finder: &Finder<'_>, predicate: &'c Code, all: &mut Vec<Restricted<'c>>) {
    if let Code::Chain(first, rest) = predicate
        && matches!(rest.first(), Some((Operator::And, _)))
    {
        collect(finder, first, all);
        rest.iter().for_each(|(_, part)| collect(finder, part, all));
        return;
    }
    if let Some((path, intervals)) = condition(finder, predicate) {
        let is_full = all.len() >= FIELDS_MAX;
        match all.iter_mut().find(|known| known.path == path) {
            Some(known) if known.conditions >= CONDITIONS_MAX => {}
            Some(known) => {
                known.intervals = known.intervals.and(&intervals);
                known.conditions += 1;
            }
            None if is_full => {}
            None => all.push(Restricted { path, intervals, conditions: 1 }),
        }
    }
}

fn condition<'c>(finder: &Finder<'_>, code: &'c Code) -> Option<(&'c [String], Intervals)> {
    match code {
        Code::Between(operands, Negation::Plain) => {
            let path = finder.field(&operands[0])?;
            let (low, high) = (finder.value(&operands[1])?, finder.value(&operands[2])?);
            let from = compared(Operator::GreaterEqual, low);
            Some((path, from.and(&compared(Operator::LessEqual, high))))
        }
        Code::Chain(first, rest) => {
            let [(operator, second)] = rest.as_slice() else { return None };
            match (finder.field(first), finder.field(second)) {
                (Some(path), _) if comparison(*operator).is_some() => {
                    Some((path, compared(*operator, finder.value(second)?)))
                }
                (None, Some(path)) => Some((path, compared(comparison(*operator)?, finder.value(first)?))),
                _ => None,
            }
        }
        Code::Function(Function::StartsWith, arguments) => {
            let (text, prefix) = (finder.field(arguments.first()?)?, finder.value(arguments.get(1)?)?);
            Some((text, prefix.as_ref().and_then(Value::as_str).map_or(Intervals(Vec::new()), starting_with)))
        }
        Code::In(operands, Negation::Plain) => Some((finder.field(&operands[0])?, listed(finder, &operands[1])?)),
        Code::Is(operand, absence, negation) => {
            let path = finder.field(operand)?;
            let point = match absence {
                Absence::Missing => None,
                Absence::Null => Some(Value::Null),
            };
            match (negation, absence) {
                (Negation::Plain, _) => Some((path, Intervals::point(point))),
                (Negation::Negated, Absence::Missing) => {
                    Some((path, Intervals::one(Bound::Unbounded, Bound::Excluded(None))))
                }
                // Missing is not null, so it stays.
                (Negation::Negated, Absence::Null) => None,
            }
        }
        Code::Like { operands, escape, case: Case::Sensitive, negation: Negation::Plain } => {
            let path = finder.field(&operands[0])?;
            let pattern = finder.value(&operands[1])?;
            let Some(pattern) = pattern.as_ref().and_then(Value::as_str) else {
                return Some((path, Intervals(Vec::new())));
            };
            let (prefix, whole) = literal_prefix(pattern, escape.unwrap_or('\\'));
            Some((path, if whole { Intervals::point(Some(Value::Str(prefix))) } else { starting_with(&prefix) }))
        }
        _ => None,
    }
}

/// Returns the operator with its sides exchanged, if it compares.
fn comparison(operator: Operator) -> Option<Operator> {
    Some(match operator {
        Operator::Equal => Operator::Equal,
        Operator::NotEqual => Operator::NotEqual,
        Operator::Greater => Operator::Less,
        Operator::GreaterEqual => Operator::LessEqual,
        Operator::Less => Operator::Greater,
        Operator::LessEqual => Operator::GreaterEqual,
        _ => return None,
    })
}

/// The values for which `value operator constant` is true.
fn compared(operator: Operator, constant: Option<Value>) -> Intervals {
    let Some(constant) = constant else { return Intervals(Vec::new()) };
    let (first, after) = kind(&constant);
    let at = |bound: fn(Option<Value>) -> Bound<Option<Value>>| bound(Some(constant.clone()));
    match operator {
        Operator::Equal => Intervals::point(Some(constant)),
        Operator::Greater => Intervals::one(at(Bound::Excluded), after),
        Operator::GreaterEqual => Intervals::one(at(Bound::Included), after),
        Operator::Less => Intervals::one(first, at(Bound::Excluded)),
        Operator::LessEqual => Intervals::one(first, at(Bound::Included)),
        _ => {
            let below = Interval { low: first, high: at(Bound::Excluded) };
            let above = Interval { low: at(Bound::Excluded), high: after };
            Intervals([below, above].into_iter().filter(|part| !is_empty(&part.low, &part.high)).collect())
        }
    }
}

/// Where the values that a value can be compared with start and end.
fn kind(value: &Value) -> (Bound<Option<Value>>, Bound<Option<Value>>) {
    let least = |value: Value| Bound::Included(Some(value));
    let before = |value: Value| Bound::Excluded(Some(value));
    let least_text = || Value::Str(String::new());
    match value {
        Value::Bool(_) => (Bound::Unbounded, Bound::Included(Some(Value::Bool(true)))),
        Value::Float(_) | Value::Int(_) => (Bound::Excluded(Some(Value::Bool(true))), before(Value::Bytes(Vec::new()))),
        Value::Bytes(_) => (least(Value::Bytes(Vec::new())), before(least_text())),
        Value::Str(_) => (least(least_text()), before(Value::Array(Vec::new()))),
        Value::Array(_) => (least(Value::Array(Vec::new())), before(Value::Object(Object::new()))),
        Value::Object(_) => (least(Value::Object(Object::new())), before(Value::Null)),
        Value::Null => (least(Value::Null), Bound::Included(Some(Value::Null))),
    }
}

/// The texts that start with a prefix.
fn starting_with(prefix: &str) -> Intervals {
    let (least, after) = kind(&Value::Str(String::new()));
    let low = if prefix.is_empty() { least } else { Bound::Included(Some(Value::from(prefix))) };
    // The least text that is greater than all of them: the last character that has a successor, raised.
    let mut next: Vec<char> = prefix.chars().collect();
    while let Some(last) = next.pop() {
        if let Some(raised) = (u32::from(last) + 1..=u32::from(last) + 0x801).find_map(char::from_u32) {
            next.push(raised);
            return Intervals::one(low, Bound::Excluded(Some(Value::Str(next.into_iter().collect()))));
        }
    }
    Intervals::one(low, after)
}

/// Returns what a LIKE pattern starts with, and whether that is all of it.
fn literal_prefix(pattern: &str, escape: char) -> (String, bool) {
    let mut prefix = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            _ if character == escape => prefix.push(characters.next().unwrap_or(escape)),
            '%' | '_' => return (prefix, false),
            _ => prefix.push(character),
        }
    }
    (prefix, true)
}

/// The values of the list after IN; `None` if one of them depends on the document.
fn listed(finder: &Finder<'_>, list: &Code) -> Option<Intervals> {
    let mut values = match list {
        Code::Array(items) => {
            let all = items.iter().map(|item| finder.value(item)).collect::<Option<Vec<_>>>()?;
            all.into_iter().flatten().collect()
        }
        _ => match finder.value(list)? {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        },
    };
    values.sort_by(order::compare);
    values.dedup_by(|a, b| order::equal(a, b));
    let point =
        |value: Value| Interval { low: Bound::Included(Some(value.clone())), high: Bound::Included(Some(value)) };
    Some(Intervals(values.into_iter().map(point).collect()))
}
