//! Aggregates: one value from the rows of a group.
//!
//! Source: reference 2.3. COUNT(expr) skips null, missing and false; SUM, AVG, MEDIAN and MID take numbers only; MIN and MAX take the
//! total order and skip null; of an empty set all are MISSING but COUNT, which is 0.
//!
//! Invariants: no overflow (integers sum in 128 bits; a sum over 64 bits becomes a float) and no result that is not finite.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use value::{Value, order};

use crate::evaluate::arithmetic::finite;
use crate::evaluate::{Code, Environment};
use crate::function::Aggregate;

/// An aggregate as a statement calls it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub function: Aggregate,
    pub distinct: bool,
    /// What is aggregated; nothing in `COUNT(*)`.
    pub argument: Option<Code>,
}

/// What one call has seen of one group.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accumulator {
    count: u64,
    ints: i128,
    floats: f64,
    has_floats: bool,
    extreme: Option<Value>,
    /// The numbers of MEDIAN in order, each with how many came before, which tells equal ones apart. A set, as for DISTINCT:
    /// a sort of its own is kilobytes of WebAssembly.
    numbers: BTreeSet<Key>,
    /// The least and the greatest number of MID.
    bounds: Option<(f64, f64)>,
    seen: BTreeSet<Key>,
}

/// Values in the total order, missing last; what GROUP BY and DISTINCT tell apart.
#[derive(Clone, Debug)]
pub(crate) struct Key(pub Vec<Option<Value>>);

impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        let pairs = self.0.iter().zip(&other.0);
        let unequal = pairs.map(|(a, b)| compare(a.as_ref(), b.as_ref())).find(|ordering| ordering.is_ne());
        unequal.unwrap_or_else(|| self.0.len().cmp(&other.0.len()))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

/// Compares in the total order with missing last.
pub(crate) fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => order::compare(a, b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}

impl Accumulator {
    /// Takes one row in.
    pub fn push(&mut self, call: &Call, environment: Environment<'_>) {
        let Some(argument) = &call.argument else {
            self.count += 1;
            return;
        };
        let Some(value) = argument.value(environment).filter(|value| counts(call.function, value)) else { return };
        if call.distinct && !self.seen.insert(Key(vec![Some(value.clone())])) {
            return;
        }
        self.count += 1;
        match (call.function, value) {
            (Aggregate::Avg | Aggregate::Sum, Value::Int(int)) => self.ints += i128::from(int),
            (Aggregate::Avg | Aggregate::Sum, Value::Float(float)) => {
                self.floats += float;
                self.has_floats = true;
            }
            (Aggregate::Max, value) => self.keep(value, Ordering::Greater),
            (Aggregate::Median, value) => {
                self.numbers.insert(Key(vec![Some(value), Some(Value::Int(self.count as i64))]));
            }
            (Aggregate::Mid, value) => {
                let number = value.as_float().unwrap_or(0.0);
                let (least, greatest) = self.bounds.unwrap_or((number, number));
                self.bounds = Some((least.min(number), greatest.max(number)));
            }
            (Aggregate::Min, value) => self.keep(value, Ordering::Less),
            (Aggregate::Avg | Aggregate::Count | Aggregate::Sum, _) => {}
        }
    }

    fn keep(&mut self, value: Value, wanted: Ordering) {
        if self.extreme.as_ref().is_none_or(|extreme| order::compare(&value, extreme) == wanted) {
            self.extreme = Some(value);
        }
    }

    fn median(&self) -> Option<Value> {
        let middle = self.numbers.len().checked_sub(1)? / 2;
        let mut upper = self.numbers.iter().skip(middle).filter_map(|Key(number)| number.first()?.as_ref()?.as_float());
        let low = upper.next()?;
        let high = if self.numbers.len().is_multiple_of(2) { upper.next()? } else { low };
        finite(f64::midpoint(low, high))
    }

    /// Returns the aggregate.
    pub fn result(&self, call: &Call) -> Option<Value> {
        let sum = self.ints as f64 + self.floats;
        match call.function {
            Aggregate::Count => Some(i64::try_from(self.count).map_or(Value::Float(self.count as f64), Value::Int)),
            _ if self.count == 0 => None,
            Aggregate::Avg => finite(sum / self.count as f64),
            Aggregate::Max | Aggregate::Min => self.extreme.clone(),
            Aggregate::Median => self.median(),
            Aggregate::Mid => self.bounds.and_then(|(least, greatest)| finite(f64::midpoint(least, greatest))),
            Aggregate::Sum => match i64::try_from(self.ints) {
                Ok(int) if !self.has_floats => Some(Value::Int(int)),
                _ => finite(sum),
            },
        }
    }
}

/// Says whether an aggregate takes a value in.
fn counts(function: Aggregate, value: &Value) -> bool {
    match function {
        Aggregate::Avg | Aggregate::Median | Aggregate::Mid | Aggregate::Sum => {
            matches!(value, Value::Int(_) | Value::Float(_))
        }
        Aggregate::Count => !matches!(value, Value::Null | Value::Bool(false)),
        Aggregate::Max | Aggregate::Min => *value != Value::Null,
    }
}
