//! Removing what no document names.
//!
//! Every `attachments_gc_interval_secs` the engine that may compact looks at the device again, waits until all documents are
//! counted, and removes blobs that nobody has named, fetched or made for that long. So a blob lives between one and two
//! intervals after its last document, and at least one after it was made. No time is stored: after a restart the interval
//! begins anew, which only ever keeps a blob longer.

use store::{BlobPlace, Store};

use super::Blobs;
use crate::config::Role;
use crate::engine::Engine;
use crate::io::{BlobTask, Output};
use crate::parameters::{ATTACHMENTS_AUTO_FETCH, ATTACHMENTS_GC_SECS};

impl<S: Store> Engine<S> {
    /// Parameters were altered.
    pub(crate) fn blob_parameters_changed(&mut self) {
        let auto = self.parameters.is(ATTACHMENTS_AUTO_FETCH) || matches!(self.config.role, Role::BigPeer { .. });
        let blobs = &mut self.blobs;
        (blobs.due, blobs.collect_at) = (true, None);
        if blobs.auto_fetch == auto {
            return;
        }
        blobs.auto_fetch = auto;
        if auto {
            // What is named by now is fetched as it is counted.
            blobs.names.forget();
        } else {
            blobs.fetches.values_mut().for_each(|fetch| fetch.auto = false);
            self.drop_idle_fetches();
        }
    }

    /// This engine may link or compact, or may no longer: what it left to another one is its own now.
    pub(crate) fn blob_role_changed(&mut self) {
        (self.blobs.due, self.blobs.list_due) = (true, true);
        if self.blobs.auto_fetch {
            self.blobs.names.forget();
        }
    }

    fn collect_interval_ms(&self) -> u64 {
        self.parameters.count(ATTACHMENTS_GC_SECS) as u64 * 1000
    }

    /// Looks at the device again when it is time.
    pub(super) fn collect_when_due(&mut self) {
        if self.blobs.collect_at.take_if(|at| *at <= self.now).is_some() {
            self.blobs.list_due = true;
            self.blobs.sweep_due = true;
            self.blobs.due = true;
        }
    }

    /// Removes what was unnamed for an interval, when everything is known; and plans the next time.
    pub(super) fn sweep(&mut self) {
        if !self.may_compact {
            (self.blobs.collect_at, self.blobs.sweep_due) = (None, false);
            return;
        }
        let (now, interval) = (self.now, self.collect_interval_ms());
        let Blobs { held, strays, swept, fetches, names, sweep_due, listing, list_due, .. } = &mut self.blobs;
        let listed = listing.is_none() && !*list_due;
        if *sweep_due && listed && (names.is_complete() || held.is_empty()) {
            *sweep_due = false;
            let mut places: Vec<BlobPlace> = Vec::new();
            held.retain(|id, held| {
                if names.is_named(id) || fetches.contains_key(id) {
                    held.unnamed_since = None;
                    return true;
                }
                let kept = now.since(*held.unnamed_since.get_or_insert(now)) < interval;
                if !kept {
                    places.push(held.place);
                }
                kept
            });
            let still = strays.iter().filter(|(_, stray)| now.since(stray.still_since) >= interval);
            for (place, _) in still {
                places.push(*place);
                swept.insert(*place, ());
            }
            for place in places {
                strays.remove(&place);
                self.outputs.push_back(Output::Blob(BlobTask::Delete { place, part: None }));
            }
        }
        let anything = !self.blobs.held.is_empty() || !self.blobs.strays.is_empty();
        if anything && !self.blobs.sweep_due && self.blobs.collect_at.is_none() {
            self.blobs.collect_at = Some(now.plus(interval));
        }
    }
}
