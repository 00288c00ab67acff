//! Window functions: for each row a value from the rows of its partition.
//!
//! With ORDER BY an aggregate takes in the rows up to this one and its equals, as the standard has it; without, the whole
//! partition, whose rows are then all equal to RANK.

use std::collections::BTreeMap;

use value::{Object, Value};

use super::{Place, order_keys};
use crate::aggregate::{Accumulator, Call, Key};
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
        let place = |at: usize| Place { keys: order_keys(&call.order, environment(at)), tie: at };
        let mut places: Vec<Place<usize>> = rows.into_iter().map(place).collect();
        places.sort();
        fill(call, &places, environment, &mut values);
    }
    values
}

/// Computes the values of one sorted partition, equals by equals.
fn fill<'a>(
    call: &WindowCall,
    places: &[Place<usize>],
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
    let equals = places.chunk_by(|a, b| a.compare_keys(&b.keys).is_eq());
    let mut before = 0;
    for (rank, equals) in equals.enumerate() {
        if let Some(aggregate) = &aggregate {
            equals.iter().for_each(|row| accumulator.push(aggregate, environment(row.tie)));
        }
        for (place, row) in equals.iter().enumerate() {
            values[row.tie] = match (&aggregate, call.function) {
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
