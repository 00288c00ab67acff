//! One aggregate of one group, kept up to date.

use value::Value;

use super::Effect;
use super::values::{End, Values};
use crate::aggregate::{Accumulator, Call, count_of, number};
use crate::evaluate::arithmetic::finite;
use crate::function::Aggregate;
use crate::sum::{Sum, Turn};

/// What one call knows of the rows that are in its group now.
#[derive(Debug)]
pub(super) enum Tally {
    Count(u64),
    /// The least or the greatest values: MIN and MAX.
    Extreme(Values),
    /// The least and the greatest numbers: MID.
    Extremes(Values, Values),
    Sum(Sum, u64),
    /// All values, equal ones counted: MEDIAN, and all with DISTINCT.
    Values(Values),
}

impl Tally {
    pub fn new(call: &Call) -> Tally {
        match call.function {
            Aggregate::Max => Tally::Extreme(Values::towards(End::Greatest)),
            Aggregate::Mid => Tally::Extremes(Values::towards(End::Least), Values::towards(End::Greatest)),
            Aggregate::Min => Tally::Extreme(Values::towards(End::Least)),
            Aggregate::Avg | Aggregate::Count | Aggregate::Sum if call.distinct => Tally::Values(Values::all()),
            Aggregate::Median => Tally::Values(Values::all()),
            Aggregate::Count => Tally::Count(0),
            Aggregate::Avg | Aggregate::Sum => Tally::Sum(Sum::default(), 0),
        }
    }

    pub fn of_count(count: u64) -> Tally {
        Tally::Count(count)
    }

    /// Takes a value in or out that counts.
    pub fn turn(&mut self, call: &Call, value: Value, turn: Turn) -> Effect {
        // MEDIAN and MID see numbers, not their forms, unless equal ones count once.
        let as_number = |value: Value| number(&value).map_or(Value::Null, Value::Float);
        match self {
            Tally::Count(count) => turn.count(count),
            Tally::Extreme(values) => return values.turn(value, turn),
            Tally::Extremes(least, greatest) => {
                let value = as_number(value);
                return least.turn(value.clone(), turn).max(greatest.turn(value, turn));
            }
            Tally::Sum(sum, count) => {
                sum.turn(&value, turn);
                turn.count(count);
            }
            Tally::Values(values) if call.distinct => return values.turn(value, turn),
            Tally::Values(values) => return values.turn(as_number(value), turn),
        }
        Effect::Touched
    }

    pub fn result(&self, call: &Call) -> Option<Value> {
        match self {
            Tally::Count(count) => Some(count_of(*count)),
            Tally::Extreme(values) => values.end().cloned(),
            Tally::Extremes(least, greatest) => {
                finite(f64::midpoint(least.end()?.as_float()?, greatest.end()?.as_float()?))
            }
            Tally::Sum(_, 0) => None,
            Tally::Sum(sum, count) if call.function == Aggregate::Avg => sum.average(*count),
            Tally::Sum(sum, _) => sum.total(),
            Tally::Values(values) if call.distinct => {
                let mut each = Accumulator::default();
                values.distinct().for_each(|value| each.take(call.function, value.clone()));
                each.plain_result(call.function)
            }
            Tally::Values(values) => {
                let count = values.count();
                let (low, high) = (values.at((count.checked_sub(1)?) / 2)?, values.at(count / 2)?);
                finite(f64::midpoint(low.as_float()?, high.as_float()?))
            }
        }
    }

    pub fn held(&self) -> usize {
        match self {
            Tally::Count(_) | Tally::Sum(..) => 1,
            Tally::Extreme(values) | Tally::Values(values) => values.held(),
            Tally::Extremes(least, greatest) => least.held() + greatest.held(),
        }
    }
}
