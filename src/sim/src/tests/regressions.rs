//! Seeds that once failed, named for what they found.

use std::collections::BTreeSet;

use crate::{Class, Options, run};

/// Runs a seed under options and expects no failure.
fn passes(seed: u64, steps: usize, peers: usize, without: &[Class]) {
    let without = BTreeSet::from_iter(without.iter().copied());
    let options = Options { steps, peers, without, ..Options::default() };
    let outcome = run(seed, &options);
    assert_eq!(outcome.failure, None, "replay: cargo xtask sim --seed {seed} --steps {steps} --peers {peers}");
}
