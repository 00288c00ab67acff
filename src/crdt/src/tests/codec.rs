//! The binary form: sizes, one form for one document, and bytes from outside.

use value::{DecodeError, Hlc};

use super::{Random, edited, increment, inserted, joined, object, path, set, stamp, types, unset};
use crate::{Doc, Op, Stamp, Type, Types, delete, edit, insert};

/// A stamp with the clock of 2026 and an actor of 64 random bits.
fn real(ms_more: u64, actor: u64) -> Stamp {
    Stamp { hlc: Hlc((1_790_000_000_000 + ms_more) << 16), actor: 0x9e37_79b9_7f4a_7c15 ^ actor }
}

const ORDER: &str = r#"{"customer":"Ada Lovelace","city":"London","status":"open","total":12950,"currency":"GBP",
"lines":[{"sku":"A-100","count":2},{"sku":"B-200","count":1}],"note":"ring the bell twice, then leave it at the door",
"paid":false,"address":{"street":"12 St James's Square","zip":"SW1Y 4JH","floor":3},"updated":"2026-09-21T10:00:00Z"}"#;

/// A document with everything in it.
fn rich_sample() -> Doc {
    let declared = types(&[("n", Type::Counter), ("t", Type::Text), ("m.p", Type::PnCounter)]);
    let fields = object(r#"{"a":1.5,"m":{"p":4,"é\u0000":null},"n":3,"t":"some text","e":{},"z":[1,{"k":"v"}]}"#);
    let base = insert(&Doc::default(), &fields, &declared, real(0, 1)).expect("valid");
    let base = edited(&base, &[increment("n", -5), unset("a"), set("t", "\"some more text\"")], &declared, real(70, 2));
    edited(&base, &[Op::Restart { path: path("n"), with: 9 }, increment("m.p", 1), unset("z")], &declared, real(900, 3))
}

#[test]
fn sizes_are_as_documented() {
    let fields = object(ORDER);
    let json = ORDER.replace('\n', "").len();
    let order = insert(&Doc::default(), &fields, &Types::default(), real(0, 1)).expect("valid");
    let delta = edit(&order, &[set("city", "\"Bath\"")], &Types::default(), real(86_400_000, 2)).expect("valid");
    let flag = edit(&order, &[set("paid", "true")], &Types::default(), real(1, 1)).expect("valid");
    let merged = joined(&order, &delta);
    let sum = edit(&order, &[increment("n", 1)], &Types::default(), real(5, 2)).expect("valid");
    let gone = delete(&order, real(9, 2));
    let sizes = [&order, &merged, &delta, &flag, &sum, &gone].map(|doc| doc.encode().len());
    println!("JSON {json}; document, + one edit, field delta, flag delta, increment, tombstone: {sizes:?}");
    assert!(sizes[0] <= json + 10 && sizes[1] <= json + 25, "{sizes:?}, JSON {json}");
    assert!(sizes[2] <= 35 && sizes[3] <= 35 && sizes[4] <= 35, "{sizes:?}");
    assert!(sizes[5] <= 40, "{sizes:?}");
}

#[test]
fn documents_read_back_as_written() {
    let sample = rich_sample();
    let deleted = joined(&sample, &delete(&sample, real(1000, 1)));
    let again = joined(&deleted, &insert(&deleted, &object("{}"), &Types::default(), real(2000, 1)).expect("valid"));
    let zero = inserted(r#"{"f":1}"#, stamp(0, 7));
    for doc in [Doc::default(), sample, deleted, again, zero] {
        let bytes = doc.encode();
        assert_eq!(Doc::decode(&bytes), Ok(doc));
    }
}

#[test]
fn every_truncation_and_bit_flip_is_an_error_or_another_document() {
    for doc in [rich_sample(), inserted(ORDER, real(0, 1))] {
        let bytes = doc.encode();
        for end in 0..bytes.len() {
            assert!(Doc::decode(&bytes[..end]).is_err(), "truncated at {end}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            check_outside(&flipped, &doc);
        }
    }
}

/// Whatever is read must encode as it came, and join without a panic.
fn check_outside(bytes: &[u8], known: &Doc) {
    if let Ok(other) = Doc::decode(bytes) {
        assert_ne!(&other, known);
        assert_eq!(other.encode(), bytes);
        assert_eq!(joined(known, &other), joined(&other, known));
        let _ = (other.to_object(&Types::default()), other.newest());
    }
}

#[test]
fn random_damage_never_panics() {
    let docs = [rich_sample(), inserted(ORDER, real(0, 1)), delete(&rich_sample(), real(1000, 1))];
    let random = &mut Random::new(3);
    for _ in 0..60_000 {
        let doc = random.pick(&docs);
        let mut bytes = doc.encode();
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len() as u64) as usize;
            match random.below(3) {
                0 => bytes[at] = random.below(256) as u8,
                1 => {
                    bytes.remove(at);
                }
                _ => bytes.insert(at, random.below(256) as u8),
            }
        }
        if bytes != doc.encode() {
            check_outside(&bytes, doc);
        }
    }
    for length in 0..4000 {
        let mut noise: Vec<u8> = (0..length % 60).map(|_| random.below(256) as u8).collect();
        noise.insert(0, 0x10 + (length & 3) as u8);
        check_outside(&noise, &docs[0]);
    }
}

#[test]
fn other_forms_of_the_same_document_are_refused() {
    assert_eq!(Doc::decode(&Doc::default().encode()), Ok(Doc::default()));
    assert_eq!(Doc::default().encode(), [0x10, 0, 0, 0]);
    let invalid = |bytes: &[u8]| matches!(Doc::decode(bytes), Err(DecodeError::Invalid(_)));
    // A longer varint, an actor without a stamp, an epoch of nothing.
    assert!(invalid(&[0x10, 0, 0, 0x80, 0]));
    assert!(invalid(&[0x10, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]));
    assert!(invalid(&[0x11, 1, 0, 0, 0]));
    assert_eq!(Doc::decode(&[0x20]), Err(DecodeError::Version(2)));
    assert_eq!(Doc::decode(&[0x10, 0, 0, 0, 0]), Err(DecodeError::Trailing));
    assert_eq!(Doc::decode(&[0x10, 0xff, 0xff, 0xff, 0x0f]), Err(DecodeError::Limit("count")));
}

#[test]
fn bytes_tell_documents_apart_and_do_not_depend_on_history() {
    let base = inserted(r#"{"a":1,"b":2}"#, real(0, 1));
    let one = edit(&base, &[set("a", "3")], &Types::default(), real(5, 2)).expect("valid");
    let two = edit(&base, &[set("b", "4")], &Types::default(), real(6, 3)).expect("valid");
    let (left, right) = (joined(&joined(&base, &one), &two), joined(&joined(&two, &base), &one));
    assert_eq!(left.encode(), right.encode());
    let all = [&base, &one, &two, &left, &delete(&base, real(9, 1))].map(Doc::encode);
    for (at, bytes) in all.iter().enumerate() {
        assert!(!all[..at].contains(bytes));
    }
}
