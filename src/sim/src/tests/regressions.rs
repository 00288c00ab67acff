//! Seeds that once failed, named for what they found.

use crate::{Options, run};

/// Runs a seed and expects no failure.
fn passes(seed: u64) {
    let outcome = run(seed, &Options::default());
    assert_eq!(outcome.failure, None, "replay: cargo xtask sim --seed {seed}");
}

/// A store that had lost its last commits was never sent back what it had itself sent.
#[test]
fn edits_lost_in_a_power_cut_come_back_from_those_who_have_them() {
    [88, 99, 105, 147, 152].into_iter().for_each(passes);
}
