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

/// A store that had lost its last commits was never sent back what it had itself sent.
#[test]
fn edits_lost_in_a_power_cut_come_back_from_those_who_have_them() {
    [88, 99, 105, 147, 152].into_iter().for_each(passes);
}
