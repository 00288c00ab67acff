//! Two tabs of one peer: engines of their own over one store, as the skin of the browser keeps them.
//!
//! A tab that commits tells the other, which reads the records from the disk. One of them holds the locks: it runs the links
//! and compacts; when it dies the other inherits. A killed tab takes its own operations with it, a power cut both tabs.

use peer::io::Input;

use crate::cluster::{Cluster, Event};
use crate::disk::{Crash, Disk};

impl Cluster {
    /// Returns the disk of a node.
    pub fn disk(&mut self, node: usize) -> &mut Disk {
        let home = self.profile.home(node);
        &mut self.nodes[home].disk
    }

    /// Returns the other tab of a node's peer, if it has one.
    pub fn other_tab(&self, node: usize) -> Option<usize> {
        let home = self.profile.home(node);
        (0..self.nodes.len()).find(|other| *other != node && self.profile.home(*other) == home)
    }

    /// Returns the tab that runs the links of a peer, if one is up.
    pub fn link_holder(&self, home: usize) -> Option<usize> {
        (0..self.nodes.len())
            .find(|node| self.profile.home(*node) == home && self.nodes[*node].is_up() && self.nodes[*node].locks)
    }

    /// Gives a tab the locks, unless the other has them.
    pub fn take_locks(&mut self, node: usize) {
        if self.nodes[node].is_up() && self.link_holder(self.profile.home(node)).is_none() {
            self.nodes[node].locks = true;
            self.deliver(node, Input::MayCompact(true));
            self.deliver(node, Input::MayLink(true));
        }
    }

    /// Tells the other tab that the log has grown.
    pub fn ping(&mut self, node: usize) {
        if let Some(other) = self.other_tab(node).filter(|other| self.nodes[*other].is_up()) {
            let delay = self.luck.between(0, 10);
            self.after(delay, Event::Ping { node: other, life: self.nodes[other].life });
        }
    }

    /// Lets a tab read what the other has appended.
    pub fn pinged(&mut self, node: usize) {
        let Some(head) = self.nodes[node].machine.as_ref().map(|machine| machine.head()) else { return };
        match self.disk(node).tail(head) {
            Ok(entries) if entries.is_empty() => {}
            Ok(entries) => self.deliver(node, Input::LogGrew { entries }),
            // Compacted away before it was read: the tab loads the store anew.
            Err(_) => self.crash(node, Crash::Kill),
        }
    }
}
