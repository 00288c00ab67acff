//! Goal: the laws of the join, on documents that any history of statements under any declared types can make.
//!
//! Method: proptest plays random histories (`history.rs`), in which every statement declares one of two random sets of types,
//! and shrinks what breaks a law. `SHOAL_LAWS_SEED=n cargo test -p crdt laws` plays others. `convergence.rs` plays more of
//! them and faster, but under fixed types; `model.rs` says what the values must be.

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseResult;
use value::{Object, Value};

use super::history::{Made, Played, Statement, check, declared, history, part, run};
use super::joined;
use crate::path::Path;
use crate::{Doc, Op, Type, Types};

/// Enough for each rule to be broken some times, in about a second a law.
const CASES: u32 = 2000;

#[test]
fn join_is_idempotent_commutative_and_associative() {
    let picked = prop::collection::vec(prop::array::uniform3(any::<(Index, u8)>()), 6);
    check(CASES, (history(), picked), |(history, picked)| {
        let played = run(&history);
        for three in picked {
            let [a, b, c] = three.map(|(index, mask)| part(played.pick(index), mask | 1));
            prop_assert_eq!(&joined(&a, &a), &a, "not idempotent");
            prop_assert_eq!(&joined(&a, &b), &joined(&b, &a), "not commutative");
            prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)), "not associative");
            let mut changed = a.clone();
            prop_assert_eq!(changed.join(&b), changed != a, "join says the wrong thing of {:?}", b);
        }
        Ok(())
    });
}

#[test]
fn any_leaves_of_a_delta_are_a_delta() {
    check(CASES, (history(), any::<u8>(), any::<Index>()), |(history, mask, index)| {
        let played = run(&history);
        let base = played.pick(index);
        for delta in &played.deltas {
            let (some, others) = (part(delta, mask), part(delta, !mask));
            for part in [&some, &others] {
                prop_assert_eq!(Doc::decode(&part.encode()), Ok(part.clone()));
                prop_assert_eq!(&joined(delta, part), delta, "a part adds to the whole");
                prop_assert_eq!(joined(&joined(base, part), delta), joined(base, delta), "a part spoils the whole");
            }
            prop_assert_eq!(&joined(&some, &others), delta, "the parts are not the whole");
        }
        Ok(())
    });
}

#[test]
fn replicas_that_saw_the_same_deltas_have_the_same_bytes() {
    // Three orders, in each of which some deltas come in part first and some come twice.
    let order = prop::collection::vec(any::<(u16, u8)>(), 64);
    check(CASES, (history(), prop::array::uniform3(order)), |(history, orders)| {
        let played = run(&history);
        let ends = orders.iter().map(|order| received(&played, order).encode());
        let states = played.states.iter().fold(Doc::default(), |all, state| joined(&all, state)).encode();
        for end in ends {
            prop_assert_eq!(&end, &states, "the order of arrival left a trace");
        }
        let end = Doc::decode(&states).expect("what was encoded is read");
        for state in &played.states {
            prop_assert!(!end.clone().join(state), "the end lacks what a replica has");
        }
        Ok(())
    });
}

/// Receives every delta, by the order of the numbers, the part that the mask leaves first and then all of it.
fn received(played: &Played, order: &[(u16, u8)]) -> Doc {
    let arrivals = played.deltas.iter().zip(order);
    let mut parts: Vec<(u16, Doc)> = arrivals.clone().map(|(delta, (at, mask))| (*at, part(delta, *mask))).collect();
    parts.extend(arrivals.map(|(delta, (at, mask))| (at.rotate_left(u32::from(*mask)), delta.clone())));
    parts.sort_by_key(|(at, _)| *at);
    parts.iter().fold(Doc::default(), |all, (_, part)| joined(&all, part))
}

#[test]
fn documents_read_back_as_written_and_equal_ones_show_the_same() {
    check(CASES, history(), |history| {
        let played = run(&history);
        for doc in played.deltas.iter().chain(&played.states) {
            let bytes = doc.encode();
            let read = Doc::decode(&bytes);
            prop_assert_eq!(read.as_ref(), Ok(doc));
            let read = read.expect("it was compared");
            prop_assert_eq!(read.encode(), bytes);
            for declared in history.types.iter().chain([&Types::default()]) {
                for strict in [false, true] {
                    let types = Types { strict, ..declared.clone() };
                    let shown = doc.to_object(&types);
                    prop_assert_eq!(shown.is_some(), doc.is_live());
                    prop_assert_eq!(read.to_object(&types), shown, "{:?}", &types);
                }
            }
            super::bytes::check_projection(doc, "of a history");
        }
        Ok(())
    });
}

#[test]
fn what_a_statement_did_shows_where_it_was_made() {
    check(CASES, history(), |history| {
        for Made { turn, before, after } in run(&history).made {
            let turn = &history.turns[turn];
            let types = history.types_of(turn);
            match &turn.statement {
                Statement::Delete | Statement::DeleteFields => prop_assert!(!after.is_live()),
                // What a later operation of the statement overwrites is not looked at.
                Statement::Edit(ops) => {
                    if let [op] = ops.as_slice() {
                        check_operation(op, types, &before, &after)?;
                    }
                }
                Statement::Insert(_) | Statement::UpsertChanged(_) => prop_assert!(after.is_live()),
                // It loses to everything.
                Statement::InsertInitial(_) => {}
            }
        }
        Ok(())
    });
}

fn check_operation(op: &Op, types: &Types, before: &Doc, after: &Doc) -> TestCaseResult {
    // A document is gone with its last field, if the marker of its root was lost on the way.
    let shown = after.to_object(types).unwrap_or_default();
    let kind = |path: &[String]| declared(types, &path.join("."));
    let is_counter = |path: &[String]| matches!(kind(path), Some(Type::Counter | Type::PnCounter));
    let number = |path: &[String]| {
        let counter = before.leaf(&Path::new(path)).and_then(|leaf| leaf.counter.as_ref());
        counter.map_or(0, |counter| counter.value())
    };
    match op {
        Op::Increment { path, by } | Op::PnIncrement { path, by } if is_counter(path) && *by != 0 => {
            let sum = number(path) + by;
            prop_assert_eq!(found(&shown, path), Some(&Value::Int(sum)), "{:?} of {:?}", op, before);
        }
        Op::Restart { path, with } if is_counter(path) => {
            prop_assert_eq!(found(&shown, path), Some(&Value::Int(*with)), "{:?} of {:?}", op, before);
        }
        Op::Set { path, value } => match (found(&shown, path), value, kind(path)) {
            // An object is merged into what is there.
            (Some(Value::Object(_)), Value::Object(_), _) => {}
            // A PN_COUNTER is set by what it lacks; adding 0 does not make one.
            (_, Value::Int(wanted), Some(Type::PnCounter)) if number(path) == *wanted => {}
            // It is written in one form.
            (Some(Value::Str(_)), Value::Str(_), Some(Type::Xml)) => {}
            (shown, _, _) => prop_assert_eq!(shown, Some(value), "{:?} of {:?}", op, before),
        },
        // The inside of a register above it is not touched: that is one value.
        Op::Unset { path } => {
            let known = after.subtree(&Path::new(path));
            prop_assert!(known.iter().all(|(_, leaf)| !leaf.is_live()), "{:?} of {:?}", op, before);
        }
        // Of a counter that is not declared shows what was written last; of content, `text.rs` says.
        Op::Increment { .. } | Op::PnIncrement { .. } | Op::Restart { .. } | Op::Splice { .. } => {}
    }
    Ok(())
}

fn found<'a>(object: &'a Object, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let value = object.get(first)?;
    match (rest, value) {
        ([], _) => Some(value),
        (_, Value::Object(fields)) => found(fields, rest),
        _ => None,
    }
}
