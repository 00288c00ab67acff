//! One run from its seed: trouble, healing, rest, judgement.
//!
//! The run is over for the checkers when nothing but keep-alive has happened for longer than any back-off or time-out of the
//! protocol; then all collections are read at all peers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use value::Millis;

use crate::check::{Checker, Failure};
use crate::cluster::{Cluster, Event};
use crate::document;
use crate::node::Request;
use crate::options::Options;
use crate::plant::Plant;
use crate::stats::Stats;

/// Rest is this long without a commit, a reply or a frame of data, milliseconds. Above the time after which a silent link is
/// dropped plus the longest back-off.
const REST_MS: u64 = 50_000;
/// Rest must be reached so long after the healing, milliseconds.
const HEALED_MS_MAX: u64 = 400_000;
/// At rest blocks are loaded at most so often in so long, milliseconds: what passes over the documents comes to an end.
const IDLE_MS: u64 = 5_000;
const IDLE_LOADS_MAX: u64 = 300;
/// The final reads are answered by then, milliseconds.
const READ_MS_MAX: u64 = 30_000;

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Of everything that happened.
    pub hash: u64,
    /// Counts.
    pub stats: Stats,
    /// What went wrong.
    pub failure: Option<Failure>,
}

/// Runs a seed.
pub fn run(seed: u64, options: &Options) -> Outcome {
    let played = catch_unwind(AssertUnwindSafe(|| play(seed, options)));
    played.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or(panic.downcast_ref::<&str>().copied()).unwrap_or("without words");
        let failure = Failure { checker: Checker::Panic, text: words.to_owned(), at: Millis(0) };
        Outcome { seed, hash: 0, stats: Stats::default(), failure: Some(failure) }
    })
}

/// Runs a seed twice; the two must be one.
pub fn run_twice(seed: u64, options: &Options) -> Outcome {
    let first = run(seed, options);
    let again = match options.plant {
        Some(Plant::Chance(number)) => Options { plant: Some(Plant::Chance(number + 1)), ..options.clone() },
        _ => options.clone(),
    };
    let second = run(seed, &again);
    if first.failure.is_some() || first == second {
        return first;
    }
    let text = format!("the first run has the hash {:016x}, the second {:016x}", first.hash, second.hash);
    Outcome { failure: Some(Failure { checker: Checker::Determinism, text, at: Millis(0) }), ..first }
}

fn play(seed: u64, options: &Options) -> Outcome {
    let mut cluster = Cluster::new(seed, options);
    trouble(&mut cluster);
    cluster.heal();
    rest(&mut cluster);
    read(&mut cluster);
    if cluster.failure.is_none() {
        cluster.judge();
    }
    cluster.check_blobs();
    cluster.stats += cluster.network.stats;
    Outcome { seed, hash: cluster.trace.hash(), stats: cluster.stats, failure: cluster.failure }
}

fn trouble(cluster: &mut Cluster) {
    cluster.plant_disk();
    for node in 0..cluster.nodes.len() {
        let delay = cluster.faults.between(0, 300);
        cluster.after(delay, Event::Start { node });
    }
    if cluster.profile.near {
        cluster.after(400, Event::Announce);
    }
    cluster.after(500, Event::Step);
    cluster.after(600, Event::Fault);
    while cluster.steps_left > 0 && cluster.failure.is_none() {
        cluster.run_until(cluster.now.plus(1_000));
    }
    let linger = cluster.faults.between(0, 3_000);
    cluster.run_until(cluster.now.plus(linger));
}

/// Lets a healed cluster come to rest.
pub(crate) fn rest(cluster: &mut Cluster) {
    let deadline = cluster.now.plus(HEALED_MS_MAX);
    while cluster.failure.is_none() && cluster.now.since(cluster.busy_at) < REST_MS {
        if cluster.now > deadline {
            let with = cluster.busy_with.clone();
            return cluster
                .fail(Checker::Silence, format!("no rest {HEALED_MS_MAX} ms after the healing; the last was {with}"));
        }
        if cluster.plant == Some(Plant::Chatter) {
            cluster.steps_left = 1;
            cluster.after(1, Event::Step);
        }
        cluster.run_until(cluster.now.plus(1_000));
    }
    let before = cluster.stats.loads;
    cluster.run_until(cluster.now.plus(IDLE_MS));
    let loads = cluster.stats.loads - before;
    if cluster.failure.is_none() && loads > IDLE_LOADS_MAX {
        cluster.fail(Checker::Silence, format!("{loads} times blocks were loaded in {IDLE_MS} ms of rest"));
    }
}

/// Reads all collections at all peers.
pub(crate) fn read(cluster: &mut Cluster) {
    if cluster.failure.is_some() {
        return;
    }
    for node in 0..cluster.nodes.len() {
        for collection in cluster.profile.collections() {
            let ticket = cluster.ticket(node, Request::FinalRead(collection));
            cluster.select(node, ticket, format!("SELECT * FROM {}", document::source(collection)));
        }
        for (observer, watch) in cluster.nodes[node].watches.clone() {
            let ticket = cluster.ticket(node, Request::FinalWatch(observer));
            cluster.select(node, ticket, watch.text);
        }
    }
    cluster.run_until(cluster.now.plus(READ_MS_MAX));
}
