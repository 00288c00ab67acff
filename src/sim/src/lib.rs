//! The deterministic simulator: peers, network and disks under a virtual clock, driven by a seed, judged by checkers.
//!
//! In goes a seed; out comes a verdict. The engines are the real ones, driven through the contract of `peer::io` as `web`
//! and `big-peer` drive them; everything around them is a twin: the clock is a queue of events, the network loses links, the
//! disks crash, the clients write at random. When trouble ends the cluster must converge, nothing acknowledged may be
//! missing, observers must be up to date, and the links must fall silent. `docs/simulator.md` tells how to use it.
//!
//! Invariants, as absences: no wall clock, no threads, no randomness but the seed's, no iteration over hash maps; no
//! rule of the protocol or the language.
//!
//! Sources: TigerBeetle's VOPR and turso's simulator (seeds, fault profiles, safety and liveness told apart); FoundationDB's
//! simulation for the idea.

mod answer;
mod attachment;
mod carry;
mod check;
mod check_blob;
mod check_loss;
mod client;
mod cluster;
mod contract;
mod disk;
mod document;
mod fault;
mod index;
mod lossy;
mod machine;
mod medium;
mod model;
mod network;
mod node;
mod options;
mod plant;
mod queue;
mod rich;
mod rng;
mod run;
mod shrink;
mod stats;
mod tabs;
mod trace;
mod workload;

pub use check::{Checker, Failure};
pub use options::{Class, Options};
pub use plant::Plant;
pub use run::{Outcome, run, run_twice};
pub use shrink::shrink;
pub use stats::Stats;
pub use trace::Lines;

#[cfg(test)]
mod tests;
