//! What a run is: the options a person gives, and the conditions that the seed draws from them.

use std::collections::BTreeSet;

use crate::document::{ATTACHED, OF_VALUES, RICH};
use crate::network::Weather;
use crate::plant::Plant;
use crate::rng::Rng;
use crate::trace::Lines;

/// A kind of trouble or of statement that can be left out, to find what a failure needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Attachments.
    Attachments,
    /// Processes that end.
    Crashes,
    /// Links that die.
    Cuts,
    /// Deletions.
    Deletes,
    /// Full and failing disks.
    Disks,
    /// Evictions.
    Evictions,
    /// Indexes that are made and dropped.
    Indexes,
    /// Inserts as of the beginning of time.
    Initial,
    /// Links of different kinds: slow, narrow, bad.
    Media,
    /// Links between Small Peers beside the Big Peer.
    Mesh,
    /// Two Big Peers.
    Parted,
    /// Partitions.
    Partitions,
    /// Subscriptions to a part, or to nothing, and changes of them.
    Partial,
    /// Power cuts.
    Power,
    /// Edits of texts and lists.
    Rich,
    /// Clocks that are wrong.
    Skew,
    /// Stores that two tabs have open.
    Tabs,
    /// Interactive transactions.
    Transactions,
    /// Statements without a model.
    Wild,
}

impl Class {
    /// All classes by name.
    pub const ALL: [(&str, Class); 19] = [
        ("attachments", Class::Attachments),
        ("crashes", Class::Crashes),
        ("cuts", Class::Cuts),
        ("deletes", Class::Deletes),
        ("disks", Class::Disks),
        ("evictions", Class::Evictions),
        ("indexes", Class::Indexes),
        ("initial", Class::Initial),
        ("media", Class::Media),
        ("mesh", Class::Mesh),
        ("parted", Class::Parted),
        ("partitions", Class::Partitions),
        ("partial", Class::Partial),
        ("power", Class::Power),
        ("rich", Class::Rich),
        ("skew", Class::Skew),
        ("tabs", Class::Tabs),
        ("transactions", Class::Transactions),
        ("wild", Class::Wild),
    ];
}

/// What a person asks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Small Peers.
    pub peers: usize,
    /// Statements, roughly.
    pub steps: usize,
    /// What is left out.
    pub without: BTreeSet<Class>,
    /// A bug to plant, to see it found.
    pub plant: Option<Plant>,
    /// Whether lines are printed.
    pub lines: Lines,
}

impl Default for Options {
    fn default() -> Options {
        Options { peers: 3, steps: 120, without: BTreeSet::new(), plant: None, lines: Lines::None }
    }
}

/// The conditions of one run.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Big Peers: the first so many nodes. None dials another; two are joined by the Small Peers alone.
    pub big_peers: usize,
    /// All engines, the Big Peer and second tabs included.
    pub nodes: usize,
    /// Second tabs: the last so many engines, of the first so many Small Peers.
    pub tabs: usize,
    /// Whether Small Peers hear of each other without a server.
    pub near: bool,
    /// How wires behave that have no medium of their own.
    pub weather: Weather,
    /// How long the disk takes at most, milliseconds.
    pub disk_ms_max: u64,
    /// How wrong a clock is at most, milliseconds.
    pub skew_ms_max: u64,
    /// Longest time between two statements, milliseconds.
    pub step_ms_max: u64,
    /// Longest time between two faults, milliseconds.
    pub fault_ms_max: u64,
    /// The memtable is flushed at this size, bytes.
    pub memtable_bytes: usize,
    /// So much log stays for catch-up, bytes.
    pub log_keep_bytes: u64,
    /// Ids in use per collection.
    pub ids: i64,
    /// Extra length of some values, bytes.
    pub padding: usize,
    /// Whether texts and lists are edited.
    pub rich: bool,
    /// Whether there are attachments.
    pub blobs: bool,
    /// Interval after which blobs without a name are removed, seconds; 0: the usual one, which no run reaches.
    pub blob_gc_secs: u64,
    /// The store that fetches blobs unasked.
    pub blob_auto_fetch: Option<usize>,
    /// Whether all peers subscribe to all collections.
    pub everything: bool,
    /// Whether peers are told when the network is back.
    pub told_online: bool,
    /// What is left out.
    pub without: BTreeSet<Class>,
}

impl Profile {
    /// Draws the conditions of a seed.
    pub fn draw(seed: u64, options: &Options) -> Profile {
        let mut rng = Rng::named(seed, "profile");
        let mut without = options.without.clone();
        // Half of the runs do without what excuses a missing document, so that the strict checks have work.
        for (class, per_mille) in [(Class::Deletes, 500), (Class::Evictions, 700), (Class::Disks, 500)] {
            if rng.chance(per_mille) {
                without.insert(class);
            }
        }
        // A stream of its own: what was drawn for a seed before there were tabs stays.
        let mut tab_rng = Rng::named(seed, "tabs");
        let tabs = if without.contains(&Class::Tabs) { 0 } else { tab_rng.weighted(&[40, 45, 15]).min(options.peers) };
        if tabs > 0 {
            // The model does not follow an eviction to the other tab.
            without.insert(Class::Evictions);
        }
        let mut blob_rng = Rng::named(seed, "blobs");
        let big_peer = rng.chance(800);
        let near = rng.chance(500);
        let everything = rng.chance(500) || without.contains(&Class::Partial);
        let skew_ms_max = *rng.pick(&[0, 0, 2_000, 120_000, 3_600_000]);
        let mut profile = Profile {
            big_peers: usize::from(big_peer),
            nodes: options.peers + usize::from(big_peer) + tabs,
            tabs,
            near: !big_peer || (near && !without.contains(&Class::Mesh)),
            weather: Weather { delay_ms_min: *rng.pick(&[1, 5, 20, 80]), jitter_ms_max: *rng.pick(&[0, 5, 20, 200]) },
            disk_ms_max: *rng.pick(&[1, 4, 20, 150]),
            skew_ms_max: if without.contains(&Class::Skew) { 0 } else { skew_ms_max },
            step_ms_max: *rng.pick(&[20, 100, 500, 2_000]),
            fault_ms_max: *rng.pick(&[500, 2_000, 8_000, 20_000]),
            memtable_bytes: *rng.pick(&[600, 2_000, 8_000, 1_000_000]),
            log_keep_bytes: *rng.pick(&[500, 4_000, 8_000_000]),
            ids: *rng.pick(&[2, 4, 6]),
            padding: *rng.pick(&[0, 0, 20, 300, 6_000, 15_000]),
            rich: Rng::named(seed, "rich").chance(350) && !without.contains(&Class::Rich),
            blobs: blob_rng.chance(300) && !without.contains(&Class::Attachments),
            blob_gc_secs: *blob_rng.pick(&[0, 5, 20]),
            blob_auto_fetch: blob_rng.chance(400).then(|| blob_rng.index(options.peers + usize::from(big_peer))),
            everything: everything || !big_peer,
            told_online: rng.chance(500),
            without,
        };
        if tabs > 0 {
            // A tab that sleeps is to find that the log went on without it.
            profile.memtable_bytes = *tab_rng.pick(&[600, 2_000, 8_000]);
            profile.log_keep_bytes = *tab_rng.pick(&[200, 500, 4_000]);
        }
        profile.part_big_peers(seed, options);
        profile
    }

    /// In some runs there are two Big Peers, and Small Peers of each that are linked to those of the other.
    fn part_big_peers(&mut self, seed: u64, options: &Options) {
        let possible = self.big_peers == 1 && options.peers > 1 && self.has(Class::Mesh) && self.has(Class::Parted);
        if !possible || !Rng::named(seed, "big peers").chance(180) {
            return;
        }
        (self.big_peers, self.nodes) = (2, self.nodes + 1);
        // Small Peers carry between the two what they subscribe to, and no blobs that they have not fetched.
        (self.near, self.everything, self.blobs) = (true, true, false);
    }

    /// Says whether a class takes part.
    pub fn has(&self, class: Class) -> bool {
        !self.without.contains(&class)
    }

    /// Returns the collections that take part.
    pub fn collections(&self) -> Vec<usize> {
        (0..OF_VALUES).chain(self.rich.then_some(RICH)).chain(self.blobs.then_some(ATTACHED)).collect()
    }

    /// Returns the node whose store an engine has open: its own, or for a second tab that of the first.
    pub fn store_of(&self, node: usize) -> usize {
        match node.checked_sub(self.nodes - self.tabs) {
            Some(tab) => tab + self.big_peers,
            None => node,
        }
    }

    /// Says whether a node is a Big Peer.
    pub fn is_big_peer(&self, node: usize) -> bool {
        node < self.big_peers
    }
}
