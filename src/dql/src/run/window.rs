//! Window functions: for each row a value from the rows of its partition.
//!
//! With ORDER BY an aggregate takes in the rows up to this one and its equals, as the standard has it; without, the whole
//! partition, whose rows are then all equal to RANK.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use value::{Object, Value};

use crate::aggregate::{Accumulator, Call, Key, compare};
use crate::ast::WindowFunction;
use crate::evaluate::{Around, Environment};
use crate::plan::WindowCall;

/// Returns the values of the calls, in their order, for each document.
pub(super) fn slots(calls: &[WindowCall], documents: &[Object], around: Around<'_>) -> Vec<Vec<Option<Value>>> {
    let mut all = vec![Vec::with_capacity(calls.len()); documents.len()];
    for call in calls {
        let values = values(call, documents, around);
        all.iter_mut().zip(values).for_each(|(slots, value)| slots.push(value));
    }
    all
}

fn values(call: &WindowCall, documents: &[Object], around: Around<'_>) -> Vec<Option<Value>> {
    let environment = |at: usize| Environment { document: Some(&documents[at]), around, ..Environment::default() };
    let mut partitions: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for at in 0..documents.len() {
        let key = Key(call.partition.iter().map(|key| key.value(environment(at))).collect());
        partitions.entry(key).or_default().push(at);
    }
    let mut values = vec![None; documents.len()];
    for rows in partitions.into_values() {
        let keys = |at: &usize| -> Vec<Option<Value>> {
            call.order.iter().map(|(key, _)| key.value(environment(*at))).collect()
        };
        let mut keyed: Vec<(Vec<Option<Value>>, usize)> = rows.iter().map(|at| (keys(at), *at)).collect();
        keyed.sort_by(|(a, _), (b, _)| order(call, a, b));
        fill(call, &keyed, environment, &mut values);
    }
    values
}

fn order(call: &WindowCall, a: &[Option<Value>], b: &[Option<Value>]) -> Ordering {
    let pairs = a.iter().zip(b).zip(&call.order);
    let mut orderings = pairs.map(|((a, b), (_, descending))| match compare(a.as_ref(), b.as_ref()) {
        ordering if *descending => ordering.reverse(),
        ordering => ordering,
    });
    orderings.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
}

/// Computes the values of one sorted partition, equals by equals.
fn fill<'a>(
    call: &WindowCall,
    keyed: &[(Vec<Option<Value>>, usize)],
    environment: impl Fn(usize) -> Environment<'a>,
    values: &mut [Option<Value>],
) {
    let aggregate = match call.function {
        WindowFunction::Aggregate(function) => {
            Some(Call { function, distinct: false, argument: call.argument.clone() })
        }
        WindowFunction::DenseRank | WindowFunction::Rank | WindowFunction::RowNumber => None,
    };
    let mut accumulator = Accumulator::default();
    let equals = keyed.chunk_by(|(a, _), (b, _)| order(call, a, b).is_eq());
    let mut before = 0;
    for (rank, equals) in equals.enumerate() {
        if let Some(aggregate) = &aggregate {
            equals.iter().for_each(|(_, at)| accumulator.push(aggregate, environment(*at)));
        }
        for (place, (_, at)) in equals.iter().enumerate() {
            values[*at] = match (&aggregate, call.function) {
                (Some(aggregate), _) => accumulator.result(aggregate),
                (None, WindowFunction::DenseRank) => number(rank),
                (None, WindowFunction::Rank) => number(before),
                (None, _) => number(before + place),
            };
        }
        before += equals.len();
    }
}

/// Returns a place, counted from 1.
fn number(place: usize) -> Option<Value> {
    i64::try_from(place + 1).ok().map(Value::Int)
}
