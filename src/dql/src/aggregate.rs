//! Aggregates: one value from the rows of a group.
//!
//! Source: reference 2.3. COUNT(expr) skips null, missing and false; SUM, AVG, MEDIAN and MID take numbers only; MIN and MAX take the
//! total order and skip null; of an empty set all are MISSING but COUNT, which is 0.
//!
//! Invariants: no overflow (integers sum in 128 bits; a sum over 64 bits becomes a float), no result that is not finite, and
//! none that depends on the order of the rows: floats sum exactly, and of equal values integers go before floats.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use value::{Value, order};

use crate::evaluate::arithmetic::finite;
use crate::evaluate::{Code, Environment};
use crate::function::Aggregate;
use crate::sum::{Sum, Turn};

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
    sum: Sum,
    extreme: Option<Value>,
    /// All numbers of MEDIAN; the least and the greatest of MID.
    numbers: Vec<f64>,
    /// The values of a call with DISTINCT.
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

impl Key {
    /// Says whether an equal key is to be shown in this form: integers go before floats.
    pub fn is_preferred_to(&self, equal: &Key) -> bool {
        let pairs = self.0.iter().flatten().zip(equal.0.iter().flatten());
        pairs.map(|(a, b)| order::compare_exactly(a, b)).find(|ordering| ordering.is_ne()) == Some(Ordering::Less)
    }
}

impl Call {
    /// Returns what a row adds; in `COUNT(*)` anything counts.
    pub fn value(&self, environment: Environment<'_>) -> Option<Value> {
        match &self.argument {
            None => Some(Value::Bool(true)),
            Some(argument) => argument.value(environment).filter(|value| counts(self.function, value)),
        }
    }
}

impl Accumulator {
    /// Takes one row in.
    pub fn push(&mut self, call: &Call, environment: Environment<'_>) {
        match call.value(environment) {
            Some(value) if call.distinct => {
                let key = Key(vec![Some(value)]);
                if self.seen.get(&key).is_none_or(|seen| key.is_preferred_to(seen)) {
                    self.seen.replace(key);
                }
            }
            Some(value) => self.take(call.function, value),
            None => {}
        }
    }

    /// Takes a value in that counts.
    pub fn take(&mut self, function: Aggregate, value: Value) {
        self.count += 1;
        match function {
            Aggregate::Avg | Aggregate::Sum => self.sum.turn(&value, Turn::Add),
            Aggregate::Count => {}
            Aggregate::Max => self.keep(value, Ordering::Greater),
            Aggregate::Median => self.numbers.extend(number(&value)),
            Aggregate::Mid => {
                self.numbers.extend(number(&value));
                self.numbers.sort_unstable_by(f64::total_cmp);
                // The least and the greatest so far are enough.
                if let [first, .., last] = self.numbers[..] {
                    self.numbers = vec![first, last];
                }
            }
            Aggregate::Min => self.keep(value, Ordering::Less),
        }
    }

    fn keep(&mut self, value: Value, wanted: Ordering) {
        let is_better = |extreme: &Value| match order::compare(&value, extreme) {
            Ordering::Equal => order::compare_exactly(&value, extreme).is_lt(),
            ordering => ordering == wanted,
        };
        if self.extreme.as_ref().is_none_or(is_better) {
            self.extreme = Some(value);
        }
    }

    /// Returns the aggregate.
    pub fn result(&self, call: &Call) -> Option<Value> {
        if !call.distinct {
            return self.plain_result(call.function);
        }
        let mut each = Accumulator::default();
        self.seen
            .iter()
            .flat_map(|Key(value)| value)
            .flatten()
            .for_each(|value| each.take(call.function, value.clone()));
        each.plain_result(call.function)
    }

    /// As `result` where DISTINCT is done.
    pub fn plain_result(&self, function: Aggregate) -> Option<Value> {
        match function {
            Aggregate::Count => Some(count_of(self.count)),
            _ if self.count == 0 => None,
            Aggregate::Avg => self.sum.average(self.count),
            Aggregate::Max | Aggregate::Min => self.extreme.clone(),
            Aggregate::Median => median(self.numbers.clone()),
            Aggregate::Mid => finite(f64::midpoint(*self.numbers.first()?, *self.numbers.last()?)),
            Aggregate::Sum => self.sum.total(),
        }
    }
}

/// Returns a number as MEDIAN and MID see it: without the sign of zero.
pub(crate) fn number(value: &Value) -> Option<f64> {
    value.as_float().map(|number| number + 0.0)
}

/// Returns a count as a value.
pub(crate) fn count_of(count: u64) -> Value {
    i64::try_from(count).map_or(Value::Float(count as f64), Value::Int)
}

fn median(mut numbers: Vec<f64>) -> Option<Value> {
    numbers.sort_unstable_by(f64::total_cmp);
    let (low, high) = (numbers.get((numbers.len() - 1) / 2)?, numbers.get(numbers.len() / 2)?);
    finite(f64::midpoint(*low, *high))
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
