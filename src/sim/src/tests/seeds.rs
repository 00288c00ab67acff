//! Seeds that nobody chose.

use crate::{Options, run, run_twice};

#[test]
fn a_hundred_seeds_converge_and_lose_nothing() {
    for seed in 0..100 {
        let outcome = run(seed, &Options::default());
        assert_eq!(outcome.failure, None, "replay: cargo xtask sim --seed {seed}");
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [1, 2, 3] {
        let outcome = run_twice(seed, &Options::default());
        assert_eq!(outcome.failure, None, "replay: cargo xtask sim --seed {seed}");
    }
}

#[test]
fn a_run_meets_the_trouble_it_is_for() {
    let mut sum = crate::Stats::default();
    for seed in 100..120 {
        sum += run(seed, &Options::default()).stats;
    }
    for (count, what) in sum.told() {
        assert!(count > 0, "twenty runs without {what}");
    }
}
