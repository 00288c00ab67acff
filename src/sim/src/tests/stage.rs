//! A cluster that a test moves by hand: what happens is written down, nothing is drawn.

use peer::io::{Input, SubscriptionId, TransactionId};
use store::Durability;
use value::{Object, Value};

use crate::cluster::Cluster;
use crate::disk::{Crash, Mood};
use crate::document::WILD;
use crate::network::Weather;
use crate::node::{Interest, Request};
use crate::options::{Class, Options, Profile};
use crate::{Failure, run};

/// A Big Peer (0) and Small Peers (1, 2, …).
pub struct Stage {
    pub cluster: Cluster,
}

impl Stage {
    /// Starts a Big Peer and a Small Peer for each set of subscriptions.
    pub fn new(subscriptions: &[&[&str]]) -> Stage {
        let options = Options { peers: subscriptions.len(), steps: 0, ..Options::default() };
        let mut profile = Profile::draw(0, &options);
        profile.big_peers = 1;
        profile.nodes = 1 + subscriptions.len();
        profile.tabs = 0;
        profile.near = false;
        profile.rich = false;
        profile.blobs = false;
        profile.without.insert(Class::Media);
        profile.weather = Weather { delay_ms_min: 2, jitter_ms_max: 0 };
        profile.disk_ms_max = 1;
        profile.skew_ms_max = 0;
        profile.memtable_bytes = 1_000_000;
        profile.everything = false;
        profile.told_online = true;
        let mut cluster = Cluster::under(profile, 0, &options);
        for (node, texts) in subscriptions.iter().enumerate() {
            for text in *texts {
                let id = SubscriptionId(cluster.next_id());
                let interest = Interest { collection: WILD, text: (*text).to_owned(), part: None };
                cluster.nodes[node + 1].interests.insert(id, interest);
            }
        }
        let mut stage = Stage { cluster };
        (0..stage.cluster.nodes.len()).for_each(|node| stage.cluster.start(node));
        stage.wait(2_000);
        stage
    }

    /// Lets time pass.
    pub fn wait(&mut self, ms: u64) {
        self.cluster.run_until(self.cluster.now.plus(ms));
        assert_eq!(self.cluster.failure, None);
    }

    /// Runs a statement and waits a while. What it writes does not survive a power cut.
    pub fn execute(&mut self, node: usize, text: &str) {
        self.run(node, text, Durability::Relaxed);
    }

    /// Runs a statement and waits a while. What it writes, and all before it, survives a power cut.
    pub fn save(&mut self, node: usize, text: &str) {
        self.run(node, text, Durability::Strict);
    }

    fn run(&mut self, node: usize, text: &str, durability: Durability) {
        let ticket = self.cluster.ticket(node, Request::Write(None));
        let (text, args) = (text.to_owned(), Object::new());
        self.cluster.deliver(node, Input::Execute { ticket, transaction: None, text, args, durability });
        self.wait(500);
    }

    /// Runs statements in a transaction that is to survive a power cut.
    pub fn transact(&mut self, node: usize, texts: &[&str]) {
        let ticket = self.cluster.ticket(node, Request::Read(WILD));
        self.cluster.deliver(node, Input::Begin { ticket, read_only: false });
        // The engine counts transactions from 1, and a test opens one.
        let transaction = TransactionId(1);
        for text in texts {
            let ticket = self.cluster.ticket(node, Request::Write(None));
            let (text, args, durability) = ((*text).to_owned(), Object::new(), Durability::Strict);
            let input = Input::Execute { ticket, transaction: Some(transaction), text, args, durability };
            self.cluster.deliver(node, input);
        }
        let ticket = self.cluster.ticket(node, Request::Read(WILD));
        self.cluster.deliver(node, Input::End { ticket, transaction, commit: true });
        self.wait(500);
    }

    /// Cuts a peer off from all others.
    pub fn isolate(&mut self, node: usize) {
        let (count, now) = (self.cluster.nodes.len(), self.cluster.now);
        let due = self.cluster.network.partition(&[node], count, now);
        self.cluster.all_due(due);
        self.wait(41_000);
    }

    /// Ends all isolation and waits until links are back.
    pub fn rejoin(&mut self) {
        self.cluster.end_partition();
        self.wait(20_000);
    }

    /// Cuts the power of a peer: nothing that is not strictly durable survives. It stays down until `start`.
    pub fn cut_power(&mut self, node: usize) {
        let disk = &mut self.cluster.nodes[node].disk;
        let lost = disk.keep(disk.safe(Crash::Power));
        self.cluster.went_down(node, Crash::Power, &lost);
    }

    /// Starts a peer.
    pub fn start(&mut self, node: usize) {
        self.cluster.start(node);
        self.wait(5_000);
    }

    /// Makes a disk refuse writes, or not.
    pub fn disk(&mut self, node: usize, mood: Mood) {
        self.cluster.nodes[node].disk.mood = mood;
    }

    /// Lets the cluster rest and returns the documents of `w` at a peer.
    pub fn rows(&mut self, node: usize) -> Vec<Object> {
        self.cluster.healed = false;
        self.cluster.heal();
        run::rest(&mut self.cluster);
        run::read(&mut self.cluster);
        assert_eq!(self.cluster.failure.as_ref().map(|failure: &Failure| failure.text.clone()), None);
        self.cluster.nodes[node].final_rows[&WILD].iter().filter_map(|row| row.as_object().cloned()).collect()
    }

    /// Asserts that a peer and the Big Peer hold the same documents of `w`, and how many.
    pub fn agrees(&mut self, node: usize, count: usize) {
        let (own, big) = (self.rows(node), self.rows(0));
        assert_eq!(own, big, "peer {node} and the Big Peer");
        assert_eq!(own.len(), count);
    }
}

/// Names a document for an assertion.
pub fn document<const N: usize>(fields: [(&str, Value); N]) -> Object {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
