//! Checks that blobs are where they must be when a run has come to rest.
//!
//! Three things. A store that has told that a blob is there still has it, unless its power was cut, or the blob may have been
//! without a name for longer than the interval of collection. Whatever the documents of the end name, and some device
//! still has, comes to every peer that fetches it. Fetches that were begun in the trouble have not been forgotten.
//!
//! The devices are looked into, not the engines: what an engine thinks that it has is what is to be checked.

use store::BlobDeviceNow;
use store::blob_device::decode_head;

use crate::check::Checker;
use crate::cluster::Cluster;
use crate::document::ATTACHED;
use crate::node::Request;

/// All fetches of the end are over by then, milliseconds.
const FETCH_MS_MAX: u64 = 300_000;

impl Cluster {
    /// Fetches at every peer what its documents name, and looks at what became of it.
    pub fn check_blobs(&mut self) {
        if !self.profile.blobs || self.failure.is_some() {
            return;
        }
        self.check_kept();
        let stores = self.nodes.len() - self.profile.tabs;
        let blobs = 0..self.attachments.blobs.len();
        let obtainable: Vec<usize> = blobs.filter(|blob| (0..stores).any(|store| self.holds(store, *blob))).collect();
        let mut wanted = Vec::new();
        for node in (0..stores).filter_map(|store| self.net_holder(store)) {
            // What only a peer names that does not subscribe is nothing that the Big Peer fetches.
            let named = |of: usize| self.attachments.names(&self.nodes[of].final_rows[&ATTACHED]);
            let (own, first) = (named(node), named(0));
            wanted.extend(
                obtainable.iter().filter(|blob| own.contains(blob) && first.contains(blob)).map(|b| (node, *b)),
            );
        }
        for (node, blob) in wanted.clone() {
            self.fetch(node, blob);
        }
        let deadline = self.now.plus(FETCH_MS_MAX);
        while self.failure.is_none() && self.missing(&wanted).is_some() && self.now < deadline {
            self.run_until(self.now.plus(500));
        }
        if let (Some((node, blob)), None) = (self.missing(&wanted), &self.failure) {
            let holders: Vec<usize> = (0..stores).filter(|store| self.holds(*store, blob)).collect();
            let text = format!("peer {node} waits for blob {blob}, which the devices of {holders:?} have");
            self.fail(Checker::Blobs, text);
        }
    }

    /// Returns a fetch or a reading that is not over.
    fn missing(&self, wanted: &[(usize, usize)]) -> Option<(usize, usize)> {
        let waits = |node: usize, blob: usize| {
            let of =
                |request: &Request| matches!(request, Request::Fetch(of) | Request::ReadChunk(of, _) if *of == blob);
            self.nodes[node].pending.values().any(of)
        };
        wanted.iter().find(|(node, blob)| waits(*node, *blob)).copied()
    }

    fn check_kept(&mut self) {
        let gone = self.attachments.had.iter().find(|(store, blob)| {
            let rows = &self.nodes[*store].final_rows[&ATTACHED];
            self.is_steady(*blob) && self.attachments.names(rows).contains(blob) && !self.holds(*store, *blob)
        });
        if let Some((store, blob)) = gone.copied() {
            let text =
                format!("the device of peer {store} has lost blob {blob}, though a document names it all the time");
            self.fail(Checker::Blobs, text);
        }
    }

    /// Says whether a blob has a name of its own, which nobody takes away.
    pub fn is_steady(&self, blob: usize) -> bool {
        let own = self.attachments.blobs[blob].own;
        own.is_some_and(|(write, id)| self.model.is_certain(&self.model.writes[write], id))
    }

    /// Says whether a device has all of a blob.
    fn holds(&self, store: usize, blob: usize) -> bool {
        let id = self.attachments.blobs[blob].id;
        let places = self.nodes[store].disk.blobs().blob_list_now().expect("a device in memory can be read");
        places.into_iter().any(|place| {
            let list = place.head.and_then(|head| decode_head(&head).ok()).filter(|list| list.id() == id);
            list.is_some_and(|list| list.chunks() as usize == place.parts.len())
        })
    }
}
