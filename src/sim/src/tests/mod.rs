//! Whole runs: seeds, seeds that once failed, planted bugs, and short stories told step by step.

mod planted;
mod regressions;
mod scenarios;
mod seeds;
mod stage;
