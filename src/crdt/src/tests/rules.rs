//! The rules one by one, and what is refused.

use value::limits::DOCUMENT_BYTES_MAX;
use value::{ErrorCode, Hlc, Object, Value};

use super::{edited, increment, inserted, joined, json, object, path, set, shown, stamp, types, unset};
use crate::{Doc, EditError, Op, Type, Types, delete, delete_fields, edit, insert, insert_initial, upsert_changed};

fn none() -> Types {
    Types::default()
}

#[test]
fn the_states_of_a_document_exclude_each_other() {
    let absent = Doc::default();
    let live = inserted("{}", stamp(10, 1));
    let deleted = joined(&live, &delete(&live, stamp(20, 1)));
    let emptied = joined(&live, &delete_fields(&live));
    let states = |doc: &Doc| (doc.is_absent(), doc.is_live(), doc.is_tombstone());
    assert_eq!(states(&absent), (true, false, false));
    assert_eq!(states(&live), (false, true, false));
    assert_eq!(states(&deleted), (false, false, true));
    assert_eq!(states(&emptied), (false, false, true));
    assert_eq!(deleted.to_object(&none()), None);
    assert_eq!(live.to_object(&none()), Some(Object::new()));
}

#[test]
fn a_removal_keeps_the_stamp_it_observed() {
    let base = inserted(r#"{"f":1}"#, stamp(10, 1));
    let removal = edit(&base, &[unset("f")], &none(), stamp(99, 2)).expect("valid");
    assert_eq!(removal.newest(), Hlc(10));
    assert!(edit(&base, &[unset("missing")], &none(), stamp(99, 2)).expect("valid").is_absent());
}

#[test]
fn an_overwrite_takes_at_least_the_stamp_it_overwrites_and_one() {
    let poisoned = inserted(r#"{"f":1,"m":{"x":1},"n":0}"#, stamp(1_000_000, 9));
    for op in [set("f", "2"), set("m", "2"), increment("m", 1)] {
        let delta = edit(&poisoned, &[op], &none(), stamp(20, 1)).expect("valid");
        assert_eq!(delta.newest(), Hlc(1_000_001));
    }
    // A new field overwrites nothing and keeps its clock, also below an old map.
    for dotted in ["g", "m.y"] {
        let delta = edit(&poisoned, &[set(dotted, "2")], &none(), stamp(20, 1)).expect("valid");
        assert_eq!(delta.newest(), Hlc(20));
    }
    let twice = edited(&inserted(r#"{"f":1}"#, stamp(10, 1)), &[set("f", "2"), set("f", "3")], &none(), stamp(20, 1));
    assert_eq!((shown(&twice), twice.newest()), (Some(json(r#"{"f":3}"#)), Hlc(21)));
}

#[test]
fn operations_of_one_statement_see_each_other() {
    let base = inserted("{}", stamp(10, 1));
    let ops = [set("m.x", "1"), set("m.y", "2"), unset("m.x"), increment("m.n", 2), increment("m.n", 3)];
    assert_eq!(shown(&edited(&base, &ops, &none(), stamp(20, 1))), Some(json(r#"{"m":{"y":2,"n":5}}"#)));
}

#[test]
fn one_path_keeps_all_its_types_and_shows_the_newest_or_the_declared() {
    let base = inserted(r#"{"f":"text"}"#, stamp(10, 1));
    let counted = edited(&base, &[increment("f", 3)], &none(), stamp(20, 1));
    assert_eq!(shown(&counted), Some(json(r#"{"f":3}"#)));
    let register = counted.to_object(&types(&[("f", Type::Register)])).map(Value::Object);
    assert_eq!(register, Some(json(r#"{"f":"text"}"#)));
    let again = edited(&counted, &[set("f", "true")], &none(), stamp(5, 1));
    assert_eq!(shown(&again), Some(json(r#"{"f":true}"#)));
    assert_eq!(again.to_object(&types(&[("f", Type::Counter)])).map(Value::Object), Some(json(r#"{"f":3}"#)));
    assert_eq!(shown(&edited(&again, &[unset("f")], &none(), stamp(5, 1))), Some(json("{}")));
}

#[test]
fn an_upsert_of_equal_fields_is_an_empty_delta() {
    let declared = types(&[("n", Type::Counter), ("p", Type::PnCounter), ("t", Type::Text), ("r", Type::Register)]);
    let fields = object(r#"{"a":[1],"m":{"x":{}},"n":3,"p":4,"t":"word","r":{"k":1}}"#);
    let base = insert(&Doc::default(), &fields, &declared, stamp(10, 1)).expect("valid");
    assert_eq!(base.to_object(&declared).as_ref(), Some(&fields));
    assert!(upsert_changed(&base, &fields, &declared, stamp(20, 1)).expect("valid").is_absent());
    let other = object(r#"{"a":[1],"n":8,"p":1,"t":"words"}"#);
    let after = joined(&base, &upsert_changed(&base, &other, &declared, stamp(20, 1)).expect("valid"));
    let wanted = object(r#"{"a":[1],"m":{"x":{}},"n":8,"p":1,"t":"words","r":{"k":1}}"#);
    assert_eq!(after.to_object(&declared), Some(wanted));
}

#[test]
fn equal_seeds_are_one_event() {
    let seed = object(r#"{"_id":"left out","a":1,"n":2}"#);
    let declared = types(&[("n", Type::Counter)]);
    let one = insert_initial(&Doc::default(), &seed, &declared).expect("valid");
    assert_eq!(insert_initial(&inserted("{}", stamp(10, 1)), &seed, &declared), Ok(one.clone()));
    assert_eq!(one.newest(), Hlc::ZERO);
    let deleted = joined(&one, &delete(&one, stamp(20, 1)));
    assert_eq!(insert_initial(&deleted, &seed, &declared), Ok(Doc::default()));
}

#[test]
fn what_cannot_be_written_is_refused_with_its_code() {
    let base = inserted("{}", stamp(10, 1));
    let all = types(&[
        ("a", Type::Attachment),
        ("n", Type::Counter),
        ("p", Type::PnCounter),
        ("m", Type::Map),
        ("r", Type::Register),
        ("t", Type::Text),
        ("l", Type::List),
    ]);
    let refusal = |op: Op| edit(&base, &[op], &all, stamp(20, 1)).expect_err("refused").code();
    for (dotted, value) in [("a", "1"), ("n", "\"x\""), ("p", "null"), ("m", "1"), ("t", "1"), ("l", "1"), ("r.k", "1")]
    {
        assert_eq!(refusal(set(dotted, value)), ErrorCode::StoreCrdt, "{dotted}");
    }
    assert_eq!(refusal(Op::Unset { path: vec![] }), ErrorCode::StoreCrdt);
    assert_eq!(refusal(set(&"d.".repeat(64), "1")), ErrorCode::ValidationDepthLimitExceeded);
    assert_eq!(refusal(set(&"d".repeat(1025), "1")), ErrorCode::ValidationSizeLimitExceeded);
    assert_eq!(edit(&Doc::default(), &[set("f", "1")], &all, stamp(20, 1)), Err(EditError::Absent));
    let full = edited(&base, &[increment("n", i64::MAX), increment("n", i64::MAX)], &none(), stamp(20, 1));
    assert_eq!(full.to_object(&none()), Some(object(&format!(r#"{{"n":{}}}"#, i64::MAX))));
    assert_eq!(
        edit(&full, &[increment("n", i64::MAX)], &none(), stamp(21, 1)),
        Err(EditError::CounterOverflow(path("n")))
    );
}

#[test]
fn a_document_has_at_most_64_levels_and_5_mib() {
    let nested = |levels: usize| (1..levels).fold(Value::Object(Object::new()), |inner, _| Value::from([("d", inner)]));
    for (levels, fits) in [(64, true), (65, false)] {
        let fields = nested(levels).into_object().expect("an object");
        let result = insert(&Doc::default(), &fields, &none(), stamp(10, 1));
        assert_eq!(result.err().map(|error| error.code()), (!fits).then_some(ErrorCode::ValidationDepthLimitExceeded));
    }
    let text = |bytes: usize| Op::Set { path: path("big"), value: Value::Str("x".repeat(bytes)) };
    let base = inserted(r#"{"small":1}"#, stamp(10, 1));
    let fits = edit(&base, &[text(DOCUMENT_BYTES_MAX - 100)], &none(), stamp(20, 1)).expect("it fits");
    let big = joined(&base, &fits);
    assert_eq!(Doc::decode(&big.encode()), Ok(big.clone()));
    let error = edit(&big, &[set("more", &format!("\"{}\"", "y".repeat(100)))], &none(), stamp(21, 1));
    assert_eq!(error.expect_err("too big").code(), ErrorCode::ValidationSizeLimitExceeded);
}

#[test]
fn what_a_replica_keeps_does_not_grow_with_edits() {
    let declared = types(&[("n", Type::Counter)]);
    let mut doc = inserted(r#"{"status":"new","n":0}"#, stamp(10, 1));
    let ops = |at: u64| [set("status", &format!("\"{}\"", at % 2)), increment("n", 1)];
    for at in 0..2000 {
        doc = edited(&doc, &ops(at), &declared, stamp(1_000_000 + at, 1 + at % 2));
    }
    println!("2,000 edits by two writers: {} bytes", doc.encode().len());
    assert!(doc.encode().len() <= 80);
    assert_eq!(doc.to_object(&declared), Some(object(r#"{"status":"1","n":2000}"#)));
}

#[test]
fn where_types_are_strict_an_object_is_one_value_and_only_the_type_of_a_path_shows() {
    let strict = |declared: &[(&str, Type)]| Types { strict: true, ..types(declared) };
    let open = inserted(r#"{"m":{"x":1},"s":"s"}"#, stamp(10, 1));
    assert_eq!(open.to_object(&strict(&[])), Some(object(r#"{"s":"s"}"#)));
    assert_eq!(open.to_object(&strict(&[("m", Type::Map)])), Some(object(r#"{"m":{"x":1},"s":"s"}"#)));
    assert_eq!(open.to_object(&strict(&[("m", Type::Counter)])), Some(object(r#"{"s":"s"}"#)));
    let whole = insert(&Doc::default(), &object(r#"{"m":{"x":{"y":1}}}"#), &strict(&[]), stamp(10, 1)).expect("valid");
    assert_eq!(whole.to_object(&strict(&[])), Some(object(r#"{"m":{"x":{"y":1}}}"#)));
    for dotted in ["m.z", "m.x.y"] {
        let below = edit(&whole, &[set(dotted, "2")], &strict(&[]), stamp(20, 1));
        assert_eq!(below, Err(EditError::Opaque(path(dotted), Type::Register)));
    }
    for name in ["n", "s"] {
        let ops = [increment(name, 1)];
        assert_eq!(edit(&open, &ops, &strict(&[]), stamp(20, 1)), Err(EditError::NoCounter(path(name))));
        assert!(edit(&open, &ops, &strict(&[(name, Type::Counter)]), stamp(20, 1)).is_ok());
    }
    let inside = edit(&open, &[set("m.z", "{}"), set("m.z.y", "1")], &strict(&[("m", Type::Map)]), stamp(20, 1));
    assert_eq!(inside, Err(EditError::Opaque(path("m.z.y"), Type::Register)));
    let changed =
        upsert_changed(&open, &object(r#"{"m":{"x":1},"s":"s"}"#), &strict(&[]), stamp(20, 1)).expect("valid");
    assert_eq!(joined(&open, &changed).to_object(&strict(&[])), Some(object(r#"{"m":{"x":1},"s":"s"}"#)));
}
