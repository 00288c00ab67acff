//! The short ways from and to the binary form: each gives what the long way through the document gives.

use value::Value;
use value::limits::DOCUMENT_BYTES_MAX;

use super::{Random, inserted, object, stamp, types};
use crate::{Doc, EditError, Fields, Type, Types, insert, insert_new, project};

/// Checks that reading some fields of a document's bytes shows what the document shows of them.
pub(super) fn check_projection(doc: &Doc, context: &str) {
    let bytes = doc.encode();
    assert_eq!(Doc::read(&bytes).as_ref(), Ok(doc), "{context}");
    check_parts(&bytes, context);
    let whole = doc.to_object(&Types::default());
    assert_eq!(project(&bytes, Fields::All), Ok(whole.clone()), "{context}");
    for names in [vec![], vec!["a"], vec!["m"], vec!["b", "n"], vec!["t"], vec!["none"]] {
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let mut wanted = whole.clone();
        wanted.iter_mut().for_each(|object| object.retain(|name, _| names.contains(name)));
        assert_eq!(project(&bytes, Fields::Named(&names)), Ok(wanted), "{context} {names:?}");
    }
}

/// Checks that the variable parts of a document ascend within its bytes, and leave no value out.
fn check_parts(bytes: &[u8], context: &str) {
    let mut parts = Vec::new();
    assert_eq!(crate::variable_parts(bytes, 10, &mut parts), Ok(()), "{context}");
    let ends = parts.iter().fold(10, |before, part| {
        assert!(before <= part.start && part.start < part.end, "{context}: {parts:?}");
        part.end
    });
    assert!(ends <= bytes.len() + 10, "{context}");
    for length in 0..bytes.len() {
        assert!(crate::variable_parts(&bytes[..length], 10, &mut Vec::new()).is_err(), "{context}: cut to {length}");
    }
}

#[test]
fn documents_that_differ_in_values_alone_differ_in_their_variable_parts_alone() {
    let rest = |text: &str, hlc: u64| {
        let bytes = inserted(text, stamp(hlc, 7)).encode();
        let mut parts = Vec::new();
        crate::variable_parts(&bytes, 0, &mut parts).expect("a document");
        parts.iter().rev().fold(bytes.clone(), |rest, part| [&rest[..part.start], &rest[part.end..]].concat())
    };
    let one = rest(r#"{"a":1,"m":{"x":"long text","y":[1]}}"#, 5 << 16);
    assert_eq!(one, rest(r#"{"a":-700,"m":{"x":"","y":null}}"#, 900 << 16));
}

#[test]
fn a_new_document_is_written_as_if_it_had_been_built() {
    let random = &mut Random::new(1);
    let names = ["", "a", "a\0", "a\u{1}b", "b", "ż", "żó", "_id", "long name of a field"];
    for round in 0..3000 {
        let document = random_object(&names, random, 3);
        let at = stamp(random.below(1 << 60), random.below(u64::MAX));
        let long = insert(&Doc::default(), &document, &Types::default(), at).map(|doc| doc.encode());
        assert_eq!(insert_new(&document, at), long, "round {round}: {document:?}");
    }
}

fn random_object(names: &[&str], random: &mut Random, depth: u64) -> value::Object {
    let count = random.below(6);
    let field = |random: &mut Random| {
        let value = match random.below(if depth == 0 { 5 } else { 7 }) {
            0 => Value::Int(random.below(1000) as i64 - 500),
            1 => Value::Float(0.5),
            2 => Value::Str("żółw".repeat(random.below(20) as usize)),
            3 => Value::Array(vec![Value::Object(object(r#"{"x":1}"#)), Value::Null]),
            4 => Value::Bytes(vec![1, 2]),
            _ => Value::Object(random_object(names, random, depth - 1)),
        };
        ((*random.pick(names)).to_owned(), value)
    };
    (0..count).map(|_| field(random)).collect()
}

#[test]
fn a_new_document_is_refused_as_if_it_had_been_built() {
    let deep = (0..70).fold(Value::Int(1), |below, _| Value::from([("d", below)])).into_object().expect("an object");
    let long_name = value::Object::from([("n".repeat(2000), Value::Null)]);
    let large = value::Object::from([("t".to_owned(), Value::Str("x".repeat(DOCUMENT_BYTES_MAX)))]);
    for document in [deep, long_name, large] {
        let long = insert(&Doc::default(), &document, &Types::default(), stamp(1, 1)).map(|doc| doc.encode());
        assert_eq!(insert_new(&document, stamp(1, 1)), long);
        assert!(long.is_err());
    }
    let just = value::Object::from([("t".to_owned(), Value::Str("x".repeat(DOCUMENT_BYTES_MAX - 40)))]);
    assert!(matches!(insert_new(&just, stamp(1, 1)), Ok(_) | Err(EditError::Size(_))));
}

#[test]
fn what_lies_under_one_path_in_several_types_is_read_as_it_shows() {
    // A scalar over a map, a counter beside a register, removals of each.
    let declared = types(&[("a", Type::Counter)]);
    let mut doc = inserted(r#"{"a":{"x":1},"m":{}}"#, stamp(5, 1));
    for (text, types, at) in [(r#"{"a":1}"#, &Types::default(), 7), (r#"{"a":3}"#, &declared, 9)] {
        let delta = insert(&doc, &object(text), types, stamp(at, 1)).expect("a valid document");
        doc.join(&delta);
        check_projection(&doc, text);
    }
    doc.join(&crate::delete_fields(&doc));
    check_projection(&doc, "every field removed");
    doc.join(&crate::delete(&inserted("{}", stamp(1, 1)), stamp(99, 1)));
    check_projection(&doc, "deleted");
    check_projection(&Doc::default(), "absent");
}
