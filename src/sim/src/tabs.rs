//! Stores that two tabs have open: a shared disk, news that comes late or never, a tab that sleeps, duties that change hands.
//!
//! A tab is a node of its own; what it shares with the first tab of its store is the disk, the ids, the clock and the wishes of
//! the application. One of them links and one compacts, as the Web Locks of `web::election` have it: a tab that goes down or
//! leaves in good order is replaced at once, one that hangs is robbed after a while and learns of it when it wakes.

use peer::io::{CommitOutcome, Input};
use value::Seq;

use crate::cluster::{Cluster, Event};
use crate::disk::Operation;

/// A holder that hangs is robbed after so long, milliseconds.
const PATIENCE_MS: u64 = 10_000;

/// What one tab of a store does for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holders {
    /// The node that may compact.
    pub compact: Option<usize>,
    /// The node that may link.
    pub net: Option<usize>,
}

/// What a tab knows of the end of the log, as its skin does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    /// The last position it was told.
    pub head: Seq,
    /// An append is under way.
    pub committing: bool,
    /// Others have appended meanwhile.
    pub stale: bool,
}

impl LogState {
    /// Takes note of what an engine is told; says whether the tail is to be read now.
    pub fn told(&mut self, input: &Input) -> bool {
        let last = |entries: &[(Seq, Vec<u8>)]| entries.last().map_or(Seq(0), |(seq, _)| *seq);
        let seen = match input {
            Input::Committed { outcome, .. } => {
                self.committing = false;
                match outcome {
                    CommitOutcome::Conflict(entries) => last(entries),
                    CommitOutcome::Durable(seq) => *seq,
                    CommitOutcome::Failed(_) | CommitOutcome::Gap => Seq(0),
                }
            }
            Input::LogGrew { entries } => last(entries),
            Input::Rebooted { image: Ok(image), .. } => last(&image.log),
            _ => return false,
        };
        self.head = self.head.max(seen);
        !self.committing && std::mem::take(&mut self.stale)
    }
}

/// What a message says of a record that a tab has appended.
#[derive(Clone, Debug)]
pub struct News {
    /// The position before it.
    pub after: Seq,
    /// Its position.
    pub seq: Seq,
    /// The record, when it is sent along.
    pub record: Option<Vec<u8>>,
}

impl Cluster {
    /// Returns the node whose disk a node uses: the first tab of its store.
    pub fn store_of(&self, node: usize) -> usize {
        self.profile.store_of(node)
    }

    /// Returns the tabs of a node's store, the node included.
    pub fn tabs_of(&self, node: usize) -> Vec<usize> {
        let store = self.store_of(node);
        (0..self.nodes.len()).filter(|tab| self.store_of(*tab) == store).collect()
    }

    /// Returns the tab of a store that may link.
    pub fn net_holder(&self, store: usize) -> Option<usize> {
        self.nodes[store].holders.net
    }

    /// Gives duties that nobody has to a tab that is awake.
    pub fn elect(&mut self, store: usize) {
        let awake = |cluster: &Cluster, tab: &usize| cluster.nodes[*tab].is_up() && !cluster.nodes[*tab].asleep;
        let Some(tab) = self.tabs_of(store).into_iter().find(|tab| awake(self, tab)) else { return };
        if self.nodes[store].holders.compact.is_none() {
            self.nodes[store].holders.compact = Some(tab);
            self.deliver(tab, Input::MayCompact(true));
        }
        if self.nodes[store].holders.net.is_none() {
            self.nodes[store].holders.net = Some(tab);
            self.deliver(tab, Input::MayLink(true));
        }
    }

    /// A tab went down or leaves: its duties are free.
    pub fn resign(&mut self, node: usize) {
        let store = self.store_of(node);
        let holders = &mut self.nodes[store].holders;
        holders.compact.take_if(|holder| *holder == node);
        holders.net.take_if(|holder| *holder == node);
        self.after(1, Event::Elect { store });
    }

    /// Puts a tab of a shared store to sleep: frozen in good order, or hanging.
    pub fn put_to_sleep(&mut self, node: usize) {
        let shared = self.tabs_of(node).len() > 1;
        if !shared || !self.nodes[node].is_up() || self.nodes[node].asleep {
            return;
        }
        self.stats.sleeps += 1;
        let hangs = self.faults.chance(700);
        self.trace.note(self.now, &format!("tab {node} {}", if hangs { "hangs" } else { "is frozen" }));
        if !hangs {
            self.deliver(node, Input::MayLink(false));
            self.deliver(node, Input::MayCompact(false));
            self.resign(node);
        }
        self.nodes[node].asleep = true;
        // Nobody is robbed while the other tab is hidden.
        if self.faults.chance(500) {
            self.after(PATIENCE_MS, Event::Steal { node, life: self.nodes[node].life });
        }
        let long = self.faults.chance(500);
        let lasts = if long { self.faults.between(5_000, 60_000) } else { self.faults.between(50, 5_000) };
        self.after(lasts, Event::Rouse { node, life: self.nodes[node].life });
    }

    /// Another tab takes the duties of one that hangs. It learns of it among all the other things that wait for it.
    pub fn steal(&mut self, node: usize) {
        let store = self.store_of(node);
        let others = self.tabs_of(node).into_iter().any(|tab| self.nodes[tab].is_up() && !self.nodes[tab].asleep);
        if !self.nodes[node].asleep || !others {
            return;
        }
        if self.nodes[store].holders.net == Some(node) {
            self.nodes[node].backlog.push(Input::MayLink(false));
        }
        if self.nodes[store].holders.compact == Some(node) {
            self.nodes[node].backlog.push(Input::MayCompact(false));
        }
        self.resign(node);
    }

    /// Wakes a tab: it is told all that waited, and reads what the others wrote.
    pub fn rouse(&mut self, node: usize) {
        if !std::mem::take(&mut self.nodes[node].asleep) {
            return;
        }
        self.trace.note(self.now, &format!("tab {node} wakes"));
        for input in std::mem::take(&mut self.nodes[node].backlog) {
            self.deliver(node, input);
        }
        self.elect(self.store_of(node));
        self.read_tail(node);
    }

    /// Tells the other tabs what an operation of the disk has appended.
    pub fn tell_of(&mut self, node: usize, operation: Operation, input: &Input) {
        let Operation::Append { expected, record, .. } = operation else { return };
        let Input::Committed { outcome, .. } = input else { return };
        match outcome {
            CommitOutcome::Conflict(_) | CommitOutcome::Gap => self.stats.conflicts += 1,
            CommitOutcome::Durable(seq) => self.spread(node, expected, *seq, &record),
            CommitOutcome::Failed(_) => {}
        }
    }

    /// Tells the other tabs of a record that was appended; some never hear of it.
    pub fn spread(&mut self, node: usize, after: Seq, seq: Seq, record: &[u8]) {
        for tab in self.tabs_of(node) {
            let lost = !self.healed && self.disks.chance(100);
            if tab == node || !self.nodes[tab].is_up() || lost {
                continue;
            }
            let record = self.disks.chance(500).then(|| record.to_vec());
            let delay = if self.disks.chance(100) { self.disks.between(1, 2_000) } else { self.disks.between(0, 5) };
            self.after(delay, Event::News { node: tab, life: self.nodes[tab].life, news: News { after, seq, record } });
        }
    }

    /// A tab hears that another has appended.
    pub fn hear(&mut self, node: usize, news: News) {
        let log = self.nodes[node].log;
        match news.record {
            Some(record) if log.head == news.after && !log.committing && !self.nodes[node].asleep => {
                self.deliver(node, Input::LogGrew { entries: vec![(news.seq, record)] });
            }
            Some(_) | None => self.read_tail(node),
        }
    }

    /// Reads what others have appended, unless a commit is about to meet it.
    pub fn read_tail(&mut self, node: usize) {
        if self.nodes[node].log.committing {
            self.nodes[node].log.stale = true;
            return;
        }
        let after = self.nodes[node].log.head;
        self.submit(node, Operation::Tail { after });
    }

    /// Lets all tabs read what they may have missed.
    pub fn rouse_all(&mut self) {
        for node in 0..self.nodes.len() {
            self.rouse(node);
            if self.tabs_of(node).len() > 1 {
                self.read_tail(node);
            }
        }
    }
}
