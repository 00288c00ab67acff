//! Lists, XML, and fields as Yjs clients have them.

use super::{Random, joined, json, object, path, stamp, types};
use crate::rich::RichKind;
use crate::yjs_sorted::sorted;
use crate::{Doc, EditError, Op, Received, Stamp, Type, Types, delete, edit, insert, receive};

/// The update that a Y.Doc of client 7 makes when "hello" is typed into its text.
const HELLO: &[u8] = b"\x01\x01\x07\x00\x04\x01\x07default\x05hello\x00";
/// The same of client 8 and "bye".
const BYE: &[u8] = b"\x01\x01\x08\x00\x04\x01\x07default\x03bye\x00";

fn from_client(base: &Doc, update: &[u8], life: Option<u64>, stamp: Stamp) -> Result<Doc, EditError> {
    receive(base, Received { path: &path("t"), kind: RichKind::Text, life, update }, stamp)
}

fn shown(doc: &Doc) -> Option<value::Value> {
    doc.to_object(&Types::default()).and_then(|object| object.get("t").cloned())
}

#[test]
fn what_a_yjs_client_wrote_is_a_delta_and_comes_out_again() {
    let delta = from_client(&Doc::default(), HELLO, None, stamp(10, 1)).expect("an update");
    assert_eq!(shown(&delta), Some(json("\"hello\"")));
    let lacking = delta.lacking(&path("t"), &[]).expect("a state vector").expect("content");
    assert_eq!((lacking.kind, lacking.update.as_slice()), (RichKind::Text, HELLO));
    // A client that has come to the end lacks nothing.
    let nothing = delta.lacking(&path("t"), &[1, 7, 5]).expect("a state vector").expect("content");
    assert_eq!(nothing.update, [0, 0]);
    assert_eq!(delta.lacking(&path("other"), &[]), Ok(None));
}

#[test]
fn two_clients_that_create_one_field_lose_nothing() {
    let a = from_client(&Doc::default(), HELLO, None, stamp(10, 1)).expect("an update");
    let b = from_client(&Doc::default(), BYE, None, stamp(11, 2)).expect("an update");
    let (ab, ba) = (joined(&a, &b), joined(&b, &a));
    assert_eq!((ab.encode(), shown(&ab)), (ba.encode(), Some(json("\"hellobye\""))));
    let lives = [&a, &b, &ab].map(|doc| doc.lacking(&path("t"), &[]).expect("valid").expect("content").life);
    assert!(lives[0] == lives[1] && lives[1] == lives[2]);
}

#[test]
fn a_client_of_an_earlier_life_is_told() {
    let first = from_client(&Doc::default(), HELLO, None, stamp(10, 1)).expect("an update");
    let life = first.lacking(&path("t"), &[]).expect("valid").expect("content").life;
    let gone = joined(&first, &delete(&first, stamp(20, 1)));
    let replaced = Err(EditError::Replaced(path("t")));
    assert_eq!(from_client(&gone, BYE, Some(life), stamp(30, 1)), replaced);
    let again = insert(&gone, &object("{}"), &Types::default(), stamp(40, 1)).expect("valid");
    let again = from_client(&joined(&gone, &again), HELLO, None, stamp(50, 1)).expect("a new life");
    assert_eq!(from_client(&again, BYE, Some(life), stamp(60, 1)), replaced);
    assert_eq!(shown(&again), Some(json("\"hello\"")));
}

#[test]
fn what_is_no_update_or_of_another_kind_is_refused() {
    let doc = from_client(&Doc::default(), HELLO, None, stamp(10, 1)).expect("an update");
    for bytes in [&b""[..], b"\xff", b"\x01\x01\x07", &HELLO[..HELLO.len() - 1]] {
        assert_eq!(from_client(&doc, bytes, None, stamp(20, 1)), Err(EditError::Update(path("t"))));
    }
    for bytes in [&b"\xff"[..], b"\x01\x01", b"\x01\x01\x01\x00", HELLO] {
        assert_eq!(doc.lacking(&path("t"), bytes), Err(EditError::Update(path("t"))));
    }
    let list = Received { path: &path("t"), kind: RichKind::List, life: None, update: HELLO };
    assert_eq!(receive(&doc, list, stamp(20, 1)), Err(EditError::Kind(path("t"), RichKind::Text)));
}

#[test]
fn objects_in_a_list_have_one_form() {
    // Goal: states of two replicas are the same bytes though yrs keeps objects in hash maps. Method: encode again and again.
    let declared = types(&[("l", Type::List)]);
    let fields = object(r#"{"l":[{"a":1,"b":2,"c":3,"d":{"x":[{"p":1,"q":2,"r":3}],"y":1,"z":2}}]}"#);
    let base = insert(&Doc::default(), &fields, &declared, stamp(10, 1)).expect("valid");
    for at in 0..20 {
        let random = &mut Random::new(at);
        let splice = |from, insert| Op::Splice { path: path("l"), start: from, delete: 0, insert: Some(json(insert)) };
        let one = edit(&base, &[splice(0, r#"[{"e":1,"f":2,"g":3}]"#)], &declared, stamp(20, 2)).expect("valid");
        let two = edit(&base, &[splice(1, r#"[{"h":1,"i":2,"j":3}]"#)], &declared, stamp(20, 3)).expect("valid");
        let mut parts = [&base, &one, &two];
        random.shuffle(&mut parts);
        let merged = parts.iter().fold(Doc::default(), |merged, part| joined(&merged, part));
        let other = joined(&joined(&base, &one), &two);
        assert_eq!(merged.encode(), other.encode());
        assert!(!merged.clone().join(&other), "joining the same changes nothing");
    }
}

#[test]
fn json_of_formats_is_sorted_in_place() {
    // A format of client 1: key "link", JSON with its fields in another order; lengths stay.
    let update = |json: &str| {
        let mut bytes = b"\x01\x01\x01\x00\x06\x01\x07default\x04link".to_vec();
        bytes.push(json.len() as u8);
        bytes.extend(json.as_bytes());
        bytes.push(0);
        bytes
    };
    let sorted_json = r#"{"a":"}\"","b":[{"c":1,"d":null}],"e":-1.5}"#;
    let written = update(r#"{"e":-1.5,"b":[{"d":null,"c":1}],"a":"}\""}"#);
    assert_eq!(sorted(&written), Some(update(sorted_json)));
    assert_eq!(sorted(&update("{broken")), Some(update("{broken")));
}
