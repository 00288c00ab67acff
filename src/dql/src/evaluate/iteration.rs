//! Quantifiers and comprehensions on one document.
//!
//! ANY is false where nothing satisfies, EVERY is true where there is nothing; what is neither an array nor an object makes
//! the result MISSING. A comprehension leaves out what is MISSING, and a field whose name is no string.
//!
//! Invariants: one evaluation of an outermost iteration visits at most `STEPS_MAX` values and makes at most `BYTES_MAX`
//! bytes of texts, arrays and objects, whatever is nested in it, and no array or object that it makes is over
//! `DOCUMENT_BYTES_MAX`; beyond that the result is MISSING. Both are counted in the same way on every peer.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::btree_map;
use std::iter::Enumerate;
use std::slice;

use value::limits::DOCUMENT_BYTES_MAX;
use value::{Object, Value};

use super::{Answer, Code, Environment};
use crate::iteration::{Iteration, IterationKind, Reach};

/// The variables of one iteration at one of its values.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    position: Value,
    value: &'a Value,
    outer: Option<&'a Frame<'a>>,
}

/// What the iterations of one evaluation may still do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    steps: u32,
    bytes: usize,
}

const STEPS_MAX: u32 = 1_000_000;
const BYTES_MAX: usize = 16 * DOCUMENT_BYTES_MAX;

/// Returns a variable: counted from the innermost iteration, two for each, the value before the place.
pub(super) fn variable<'a>(index: usize, environment: Environment<'a>) -> Answer<'a> {
    let mut frame = environment.frame?;
    for _ in 0..index / 2 {
        frame = frame.outer?;
    }
    Some(Cow::Borrowed(if index.is_multiple_of(2) { frame.value } else { &frame.position }))
}

/// Evaluates an iteration.
pub(super) fn iterate<'a>(iteration: &Iteration<Code>, environment: Environment<'_>) -> Answer<'a> {
    let budget = Cell::new(Budget { steps: STEPS_MAX, bytes: BYTES_MAX });
    let budget = environment.budget.unwrap_or(&budget);
    let result = result(iteration, Environment { budget: Some(budget), ..environment }, budget);
    // What is inside may have found the end without a say in the result.
    result.filter(|_| budget.get().steps > 0).map(Cow::Owned)
}

fn result(iteration: &Iteration<Code>, environment: Environment<'_>, budget: &Cell<Budget>) -> Option<Value> {
    let collection = iteration.collection.evaluate(environment)?;
    let (mut items, mut fields, mut bytes) = (Vec::new(), Object::new(), 0);
    let mut is_empty = true;
    let mut walk = Walk::new(&collection, iteration.reach, iteration.position.is_some())?;
    while let Some((position, value)) = walk.next() {
        spend(budget, 1, 0)?;
        is_empty = false;
        let frame = Frame { position, value, outer: environment.frame };
        let environment = Environment { frame: Some(&frame), ..environment };
        let holds = iteration.condition.as_ref().is_none_or(|condition| condition.is_true(environment));
        match iteration.kind {
            IterationKind::Any if holds => return Some(Value::Bool(true)),
            IterationKind::AnyAndEvery | IterationKind::Every if !holds => return Some(Value::Bool(false)),
            IterationKind::Array | IterationKind::Object if holds => {}
            IterationKind::Any
            | IterationKind::AnyAndEvery
            | IterationKind::Array
            | IterationKind::Every
            | IterationKind::Object => continue,
        }
        let (name, output) = match iteration.outputs.as_slice() {
            [name, output] => match name.value(environment) {
                Some(Value::Str(name)) => (Some(name), output),
                _ => continue,
            },
            outputs => (None, outputs.first()?),
        };
        let Some(made) = output.evaluate(environment) else { continue };
        // Measured before it is copied: it may be a whole document that is only borrowed.
        let weight = weight(&made) + name.as_ref().map_or(0, String::len);
        bytes += weight;
        spend(budget, 0, weight)?;
        if bytes > DOCUMENT_BYTES_MAX {
            return None;
        }
        match name {
            Some(name) => _ = fields.insert(name, made.into_owned()),
            None => items.push(made.into_owned()),
        }
    }
    Some(match iteration.kind {
        IterationKind::Any => Value::Bool(false),
        IterationKind::AnyAndEvery => Value::Bool(!is_empty),
        IterationKind::Array => Value::Array(items),
        IterationKind::Every => Value::Bool(true),
        IterationKind::Object => Value::Object(fields),
    })
}

/// Counts what an expression inside of an iteration has made; nothing when that is too much. What is only borrowed, and
/// numbers and the like, cost nothing.
#[cold]
pub(super) fn charged<'a>(answer: Answer<'a>, budget: &Cell<Budget>) -> Answer<'a> {
    match &answer {
        Some(Cow::Owned(made @ (Value::Array(_) | Value::Bytes(_) | Value::Object(_) | Value::Str(_)))) => {
            spend(budget, 0, weight(made)).and(answer)
        }
        _ => answer,
    }
}

/// Counts steps and bytes; nothing when there is no more to spend.
fn spend(budget: &Cell<Budget>, steps: u32, bytes: usize) -> Option<()> {
    let budgeted = budget.get();
    let rest = budgeted.steps.checked_sub(steps).zip(budgeted.bytes.checked_sub(bytes));
    budget.set(rest.map_or(Budget { steps: 0, bytes: 0 }, |(steps, bytes)| Budget { steps, bytes }));
    rest.map(|_| ())
}

/// Returns about how many bytes a value takes.
fn weight(value: &Value) -> usize {
    const EACH: usize = 8;
    EACH + match value {
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + weight(value)).sum(),
        Value::Str(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Bool(_) | Value::Float(_) | Value::Int(_) | Value::Null => 0,
    }
}

/// Goes through the values of a collection, each container before what is in it, without recursion.
struct Walk<'v> {
    open: Vec<Children<'v>>,
    reach: Reach,
    /// Whether places are asked for; names are copied only then.
    placed: bool,
}

enum Children<'v> {
    Fields(btree_map::Iter<'v, String, Value>),
    Items(Enumerate<slice::Iter<'v, Value>>),
}

impl<'v> Walk<'v> {
    /// Starts; nothing for what has no values in it.
    fn new(collection: &'v Value, reach: Reach, placed: bool) -> Option<Walk<'v>> {
        Some(Walk { open: vec![Children::of(collection)?], reach, placed })
    }

    /// Returns the place of the next value, and the value.
    fn next(&mut self) -> Option<(Value, &'v Value)> {
        loop {
            let (position, value) = match self.open.last_mut()? {
                Children::Fields(fields) => match fields.next() {
                    Some((name, value)) if self.placed => (Value::from(name.as_str()), value),
                    Some((_, value)) => (Value::Null, value),
                    None => {
                        self.open.pop();
                        continue;
                    }
                },
                Children::Items(items) => match items.next() {
                    Some((index, value)) => (Value::Int(index as i64), value),
                    None => {
                        self.open.pop();
                        continue;
                    }
                },
            };
            if self.reach == Reach::Nested {
                self.open.extend(Children::of(value));
            }
            return Some((position, value));
        }
    }
}

impl<'v> Children<'v> {
    fn of(value: &'v Value) -> Option<Children<'v>> {
        match value {
            Value::Array(items) => Some(Children::Items(items.iter().enumerate())),
            Value::Object(fields) => Some(Children::Fields(fields.iter())),
            Value::Bool(_) | Value::Bytes(_) | Value::Float(_) | Value::Int(_) | Value::Null | Value::Str(_) => None,
        }
    }
}
