//! Goal: a unit reads back as written in each of its forms, is small, and nothing from outside makes reading it panic.

use crdt::{Stamp, Types};
use value::{CollectionName, DocId, Hlc, Object, Value};

use crate::record::DocState;
use crate::unit::{Words, cost, decode, encode};

pub fn state(collection: &str, id: i64, note: &str) -> DocState {
    let object: Object = [("city".to_owned(), Value::Int(id)), ("note".to_owned(), Value::Str(note.into()))].into();
    let stamp = Stamp { hlc: Hlc((1_700_000_000_000 + id.unsigned_abs()) << 16), actor: 0x1234_5678_9abc_def0 };
    let doc = crdt::insert(&crdt::Doc::default(), &object, &Types::default(), stamp).expect("valid");
    DocState {
        collection: CollectionName::new(collection).expect("valid"),
        id: DocId::new(&Value::Int(id)).expect("valid"),
        delta: doc.encode(),
    }
}

fn many() -> Vec<DocState> {
    (0..300).map(|id| state(if id % 2 == 0 { "a" } else { "b" }, id, "some words that come again")).collect()
}

fn sorted(mut docs: Vec<DocState>) -> Vec<DocState> {
    docs.sort_by(|a, b| (&a.collection, &a.id).cmp(&(&b.collection, &b.id)));
    docs
}

#[test]
fn every_form_reads_back_as_written() {
    let (mut said, mut heard) = (Words::default(), Words::default());
    let twice = [many(), many()].concat();
    let named =
        |text: &str| DocState { id: DocId::new(&Value::Str(text.into())).expect("valid"), ..state("a", 1, "x") };
    let named = ["0123456789abcdef0123456789abcdef", "abc", "AB", "zz", "00"].map(named).to_vec();
    let units = [vec![], vec![state("a", 1, "x")], vec![state("a", 1, "y"), state("b", 1, "z")], many(), twice, named];
    for (number, docs) in units.iter().cycle().take(18).enumerate() {
        let unit = encode(docs, &mut said);
        let read = decode(&unit, &mut heard).expect("it reads back");
        // Columns are in the order of their keys; a unit is applied whole, so that its order says nothing.
        assert_eq!(sorted(read), sorted(docs.clone()), "unit {number}");
    }
}

#[test]
fn many_documents_are_compressed_and_few_are_spelled_once() {
    let mut said = Words::default();
    let docs = many();
    let plain: usize = docs.iter().map(|doc| doc.delta.len()).sum();
    assert!(encode(&docs, &mut said).len() * 8 < plain, "columns");
    let first = encode(&[state("a", 1, "x")], &mut said).len();
    let again = encode(&[state("a", 1, "x")], &mut said).len();
    assert!(again + 15 <= first, "{first}, then {again} bytes");
}

#[test]
fn what_is_truncated_or_flipped_is_an_error_or_other_documents() {
    for docs in [vec![state("a", 1, "x"), state("a", 2, "y")], many(), [many(), many()].concat()] {
        let unit = encode(&docs, &mut Words::default());
        // A deflated unit has no room for every bit: one in so many is flipped.
        let step = (unit.len() / 200).max(1);
        for length in (0..unit.len()).step_by(step) {
            assert_ne!(decode(&unit[..length], &mut Words::default()), Ok(docs.clone()));
        }
        for bit in (0..unit.len() * 8).step_by(step * 5 + 1) {
            let mut flipped = unit.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            _ = decode(&flipped, &mut Words::default());
        }
    }
}

#[test]
fn a_small_unit_that_claims_to_be_large_is_refused() {
    // Columns whose rows take a terabyte; a list of as much; a stream that expands a thousand times.
    for head in [[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 1], [2, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0]] {
        assert!(decode(&head, &mut Words::default()).is_err());
    }
    assert!(decode(&[3], &mut Words::default()).is_err());
    assert!(decode(&[0, 1, 9], &mut Words::default()).is_err(), "a place where nothing is");
}

#[test]
fn a_unit_that_becomes_much_costs_a_share_of_it() {
    let mut words = Words::default();
    let docs: Vec<DocState> = (0..500).map(|id| state("a", id, &"a".repeat(1000))).collect();
    for docs in [docs.clone(), [docs.clone(), docs.clone()].concat()] {
        let bytes: usize = docs.iter().map(|doc| doc.delta.len()).sum();
        let unit = encode(&docs, &mut words);
        assert!(unit.len() * 20 < bytes && cost(&unit) * 4 >= bytes, "{} bytes cost {}", unit.len(), cost(&unit));
    }
    let short = encode(&[state("a", 1, "x")], &mut words);
    assert_eq!((cost(&short), cost(&[])), (0, 0), "these become no more than they are");
}

#[test]
fn a_unit_in_shorthand_that_names_a_long_id_again_and_again_is_refused() {
    let (mut said, mut heard) = (Words::default(), Words::default());
    let id = DocId::new(&Value::Str("long ".repeat(60))).expect("valid");
    let named = DocState { id, ..state("a", 1, "x") };
    let unit = encode(&[named], &mut said);
    assert!(decode(&unit, &mut heard).is_ok());
    // Form, count, and for each document its place and a delta as it is.
    let delta = state("a", 1, "x").delta;
    let again = [&[1, 0, delta.len() as u8], delta.as_slice()].concat();
    let unit = |count: u8| [&[0, count], again.repeat(usize::from(count)).as_slice()].concat();
    assert_eq!(decode(&unit(2), &mut heard).map(|docs| docs.len()), Ok(2));
    assert!(decode(&unit(9), &mut heard).is_err());
}
