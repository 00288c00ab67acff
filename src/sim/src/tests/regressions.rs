//! Seeds that once failed, named for what they found.

use std::collections::BTreeSet;

use crate::{Class, Options, run};

/// Runs a seed as it was when stores had one tab and one Big Peer, links one kind and fields one value, without attachments, and expects no failure.
fn passes(seed: u64) {
    let options = Options {
        without: BTreeSet::from([Class::Attachments, Class::Media, Class::Parted, Class::Rich, Class::Tabs]),
        ..Options::default()
    };
    let outcome = run(seed, &options);
    assert_eq!(
        outcome.failure, None,
        "replay: cargo xtask sim --seed {seed} --without attachments,media,parted,rich,tabs"
    );
}

/// A tab had listed the place of a blob before another tab had written its head, and removed it later.
#[test]
fn a_blob_that_another_tab_was_writing_stays() {
    for seed in [50_570, 80_044] {
        let outcome = run(seed, &Options::default());
        assert_eq!(outcome.failure, None, "replay: cargo xtask sim --seed {seed}");
    }
}

/// The count of the blobs that documents name wanted blocks again as soon as they had come, for ever.
#[test]
fn a_pass_over_more_documents_than_the_cache_holds_comes_to_an_end() {
    let outcome = run(50_861, &Options::default());
    assert_eq!(outcome.failure, None, "replay: cargo xtask sim --seed 50861");
    assert!(outcome.stats.loads < 5_000, "{} loads", outcome.stats.loads);
}

/// An attachment without a byte, whose list was asked for, ended the link again and again.
#[test]
fn an_empty_attachment_is_fetched() {
    let outcome = run(205, &Options::default());
    assert_eq!(outcome.failure, None, "replay: cargo xtask sim --seed 205");
}

/// With a clock that stood behind the log, commits after a power cut took the positions of those that were lost, which the
/// Big Peer knew already.
#[test]
fn a_position_that_was_lost_is_not_taken_again() {
    let outcome = run(108_493, &Options::default());
    assert_eq!(outcome.failure, None, "replay: cargo xtask sim --seed 108493");
}

/// A store that had lost its last commits was never sent back what it had itself sent.
#[test]
fn edits_lost_in_a_power_cut_come_back_from_those_who_have_them() {
    [88, 99, 105, 147, 152].into_iter().for_each(passes);
}
