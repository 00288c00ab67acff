//! Goal: no bytes from outside make a reader panic, take memory out of proportion or mean two things.
//!
//! Method: every reader of `decoders` is given its samples, then samples with random damage; `cargo xtask nightly` gives the
//! same readers what libFuzzer finds. `DECODING_SEED=n` damages in another way, `DECODING_ROUNDS=n` for longer; a failure prints
//! the seed and the bytes. Below are bytes made by hand that claim to be much: chance does not find those.

use value::Writer;

use crate::decoders::{self, Decoder};
use crate::language::random::XorShift;

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Gives a reader damaged samples.
fn damage(decoder: &Decoder) {
    let (seed, rounds) = (number("DECODING_SEED", 1), number("DECODING_ROUNDS", 20_000));
    println!("DECODING_SEED={seed} {} of {rounds}", decoder.name);
    let samples = (decoder.samples)();
    samples.iter().for_each(|sample| decoder.check(sample));
    let random = &mut XorShift(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..rounds {
        let mut bytes = samples[random.below(samples.len())].clone();
        for _ in 0..=random.below(4) {
            mutate(&mut bytes, &samples[random.below(samples.len())], random);
        }
        decoder.check(&bytes);
    }
}

/// Changes some bytes, or brings in some of another sample.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut XorShift) {
    const TELLING: [u8; 9] = [0, 1, 0x10, 0x1f, 0x7f, 0x80, 0x9b, 0xbb, 0xff];
    let at = random.below(bytes.len() + 1);
    let end = (at + random.below(9)).min(bytes.len());
    match random.below(7) {
        0 => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
        1 => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte = TELLING[random.below(TELLING.len())]),
        2 => bytes.insert(at, random.below(256) as u8),
        3 => drop(bytes.drain(at..end)),
        4 => bytes.truncate(at),
        5 => {
            let from = random.below(other.len() + 1);
            let to = (from + random.below(40)).min(other.len());
            bytes.splice(at..end, other[from..to].iter().copied());
        }
        _ => {
            let mut count = Writer::new();
            count.var(u64::MAX >> random.below(64));
            bytes.splice(at..end, count.finish());
        }
    }
}

#[test]
fn a_damaged_document_is_refused_or_is_another_document() {
    damage(&decoders::DOCUMENT);
}

#[test]
fn a_damaged_frame_is_refused_or_is_another_message() {
    damage(&decoders::MESSAGE);
}

#[test]
fn a_damaged_presence_entry_is_refused_or_is_another_entry() {
    damage(&decoders::PRESENCE);
}

#[test]
fn a_damaged_record_is_refused_or_is_another_record() {
    damage(&decoders::RECORD);
}

#[test]
fn a_damaged_shorthand_is_refused_or_is_of_other_deltas() {
    damage(&decoders::SHORTHAND);
}

#[test]
fn a_damaged_parcel_is_refused_or_holds_other_rows() {
    damage(&decoders::PARCEL);
}

#[test]
fn a_damaged_update_of_a_yjs_client_is_refused_or_merges_like_any_other() {
    damage(&decoders::UPDATE);
}

#[test]
fn a_damaged_unit_is_refused_or_holds_other_documents() {
    damage(&decoders::UNIT);
}

#[test]
fn noise_is_refused_by_every_reader_or_read_back_as_written() {
    let random = &mut XorShift(number("DECODING_SEED", 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for round in 0..2000 {
        let noise: Vec<u8> = (0..round % 60).map(|_| random.below(256) as u8).collect();
        decoders::ALL.iter().for_each(|decoder| decoder.check(&noise));
    }
}

#[test]
fn lists_in_lists_that_each_claim_all_the_bytes_take_no_memory_for_it() {
    // A document of one field, whose value is 60 arrays in each other, each as long as there are bytes.
    let mut document = Writer::new();
    document.raw(&[0x10, 1]).fixed64(7).raw(&[1, 1, 0, 1, 0, 2]).raw(b"a\0").raw(&[1, 0]);
    (0..60).for_each(|_| _ = document.raw(&[0x9a, 0, 0, 0xf0, 0]));
    document.raw(&vec![0; 0x1_0000]);
    decoders::DOCUMENT.check(&document.finish());
}

#[test]
fn a_template_of_nothing_but_pieces_takes_no_memory_for_each() {
    // No rows, one template, five million pieces without a byte: 5 kB once they are compressed.
    let mut parcel = Writer::new();
    parcel.raw(&[0, 0, 1]).var(5_000_000).raw(&vec![0; 5_000_000]);
    decoders::PARCEL.check(&parcel.finish());
}

#[test]
fn a_unit_of_many_small_documents_takes_memory_in_proportion() {
    let mut list = Writer::new();
    // Ids are numbers of five bytes.
    for number in 0x1_0000..0x4_0000_u32 {
        list.str("a").bytes(&[&[0x1a], number.to_be_bytes().as_slice()].concat()).bytes(&[0x10, 0, 0, 0]);
    }
    decoders::UNIT.check(&list.finish());
}
