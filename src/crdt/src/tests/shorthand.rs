//! Goal: what is shortened is restored byte for byte, and nothing that a link brings makes it panic.

use super::{object, set, stamp};
use crate::{Doc, Shorthand, Types, edit, insert};

fn deltas() -> Vec<Vec<u8>> {
    let at = |milliseconds: u64, actor| stamp(milliseconds << 16 | 3, actor);
    let first = at(1_700_000_000_000, 1);
    let mut doc =
        insert(&Doc::default(), &object(r#"{"city":"Bath","n":1}"#), &Types::default(), first).expect("valid");
    let mut deltas = vec![doc.encode()];
    for number in 0..20 {
        let stamp = at(1_700_000_000_000 + number * 977, 1 + number % 3);
        let delta = edit(&doc, &[set("city", &number.to_string())], &Types::default(), stamp).expect("valid");
        deltas.push(delta.encode());
        doc.join(&delta);
        deltas.push(doc.encode());
    }
    deltas.push(crate::delete(&doc, at(1_800_000_000_000, 9)).encode());
    deltas
}

#[test]
fn what_is_shortened_is_restored_byte_for_byte() {
    let (mut said, mut heard) = (Shorthand::default(), Shorthand::default());
    for delta in deltas() {
        let short = said.shorten(&delta).expect("a delta");
        assert_eq!(heard.restore(&short), Ok(delta));
    }
}

#[test]
fn a_field_changed_again_by_a_known_writer_takes_few_bytes() {
    let mut said = Shorthand::default();
    let deltas = deltas();
    deltas[..7].iter().for_each(|delta| _ = said.shorten(delta));
    let short = said.shorten(&deltas[7]).expect("a delta");
    assert!(short.len() + 11 <= deltas[7].len(), "{} of {} bytes", short.len(), deltas[7].len());
}

#[test]
fn truncated_and_flipped_shorthand_is_an_error_or_other_bytes() {
    let mut said = Shorthand::default();
    for delta in deltas() {
        let short = said.shorten(&delta).expect("a delta");
        for length in 0..short.len() {
            // Bytes of which nothing knows whether they are a document; the decoder behind decides.
            _ = Shorthand::default().restore(&short[..length]);
        }
        for bit in 0..short.len() * 8 {
            let mut flipped = short.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            _ = Shorthand::default().restore(&flipped).map(|bytes| Doc::decode(&bytes));
        }
    }
}

#[test]
fn bytes_that_are_no_delta_are_refused_and_nothing_is_remembered() {
    let (mut said, mut heard) = (Shorthand::default(), Shorthand::default());
    assert!(said.shorten(&[0x10, 2, 0]).is_err());
    for delta in deltas() {
        assert_eq!(heard.restore(&said.shorten(&delta).expect("a delta")), Ok(delta));
    }
}
