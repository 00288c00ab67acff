//! Indexes in a run: clients make and drop them at random, and a checker compares their rows with the documents.
//!
//! Chance has a stream of its own, so that the statements of a seed stay what they are. Rows must be right at any time, not
//! only at rest: they change in the commits that change the documents.

use peer::io::{IndexChange, IndexDefinition, IndexKey, Input};
use store::{Durability, ReadError};
use value::CollectionName;

use crate::check::Checker;
use crate::cluster::Cluster;
use crate::document::{COLLECTIONS, OF_VALUES};
use crate::node::Request;
use crate::options::Class;

/// Fields of the indexes that clients make.
const KEYS: [&[(&str, bool)]; 6] = [
    &[("f0", false)],
    &[("f1", true), ("f0", false)],
    &[("n.x", false), ("_id", true)],
    &[("k", false), ("f2", true)],
    &[("n", true)],
    &[("x", false), ("y.z", false)],
];

impl Cluster {
    /// Lets the client of a peer make or drop an index now and then, and looks at the rows.
    pub fn step_index(&mut self, node: usize) {
        if !self.profile.has(Class::Indexes) {
            return;
        }
        if self.indexes.chance(60) {
            let number = self.indexes.index(KEYS.len());
            let collection = CollectionName::new(COLLECTIONS[self.indexes.index(OF_VALUES)]).expect("it is short");
            let (name, keys) = (format!("i{number}"), KEYS[number].iter().map(key).collect());
            let change = match self.indexes.chance(650) {
                true => {
                    let definition = IndexDefinition { collection, name, keys };
                    IndexChange::Create { definition, if_not_exists: true }
                }
                false => IndexChange::Drop { collection, name, if_exists: true },
            };
            self.stats.index_changes += 1;
            let ticket = self.ticket(node, Request::ChangeIndex);
            self.deliver(node, Input::ChangeIndex { ticket, change, durability: Durability::Relaxed });
        }
        if self.indexes.chance(40) {
            self.check_indexes(node);
        }
    }

    /// Compares the index rows of all peers with their documents; all indexes are built.
    pub fn check_all_indexes(&mut self) {
        for node in 0..self.nodes.len() {
            self.check_indexes(node);
            let Some(machine) = &self.nodes[node].machine else { continue };
            // A step that a full disk refused waits for the next commit.
            if let Some(listing) = machine.indexes().iter().find(|listing| !listing.built)
                && !self.profile.has(Class::Disks)
            {
                let text = format!("peer {node} has not built {listing:?}");
                return self.fail(Checker::Indexes, text);
            }
        }
    }

    fn check_indexes(&mut self, node: usize) {
        let store = self.store_of(node);
        if self.nodes[node].broken {
            return;
        }
        let Some(mut machine) = self.nodes[node].machine.take() else { return };
        let problems = machine.check_indexes(&mut |blocks| self.nodes[store].disk.look(blocks));
        self.stats.index_rows += machine.indexes().iter().map(|listing| listing.documents).sum::<u64>();
        self.nodes[node].machine = Some(machine);
        match problems {
            Ok(problems) => {
                if let Some(problem) = problems.first() {
                    self.fail(Checker::Indexes, format!("peer {node}: {problem:?}, and {} more", problems.len() - 1));
                }
            }
            // Another tab has compacted; this one will notice when it reads.
            Err(ReadError::Stale) => {}
            Err(error) => self.fail(Checker::Indexes, format!("peer {node}: {error}")),
        }
    }
}

fn key((path, descending): &(&str, bool)) -> IndexKey {
    IndexKey { path: path.split('.').map(str::to_owned).collect(), descending: *descending }
}
