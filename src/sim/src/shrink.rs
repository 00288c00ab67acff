//! Makes a failing run smaller, so that its story can be read.
//!
//! First whole classes of trouble and of statements are left out, then steps and peers. A smaller run counts when the same
//! checker fails; its story may be another one of the same kind.

use crate::check::Checker;
use crate::options::{Class, Options};
use crate::run::{Outcome, run};
use crate::trace::Lines;

/// Returns smaller options under which the seed still fails by the same checker, with that outcome.
pub fn shrink(seed: u64, options: &Options, checker: Checker) -> (Options, Option<Outcome>) {
    let mut best = (Options { lines: Lines::None, ..options.clone() }, None);
    let attempt = |candidate: Options, best: &mut (Options, Option<Outcome>)| {
        let outcome = run(seed, &candidate);
        let fails = outcome.failure.as_ref().is_some_and(|failure| failure.checker == checker);
        if fails {
            *best = (candidate, Some(outcome));
        }
        fails
    };
    for (_, class) in Class::ALL {
        let mut candidate = best.0.clone();
        if candidate.without.insert(class) {
            attempt(candidate, &mut best);
        }
    }
    for peers in 1..best.0.peers {
        if attempt(Options { peers, ..best.0.clone() }, &mut best) {
            break;
        }
    }
    for steps in (0..10).chain((10..40).step_by(3)).chain((40..best.0.steps).step_by(10)) {
        if steps < best.0.steps && attempt(Options { steps, ..best.0.clone() }, &mut best) {
            break;
        }
    }
    best
}
