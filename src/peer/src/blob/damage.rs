//! Giving up what cannot be read: a chunk that is not the one that it should be counts as missing, and is fetched again like any
//! other, where a document names its blob and the blob was whole or everything is fetched. A damaged head is written again
//! from memory.
//!
//! What is marked as cold is compiled for size.
//!
//! Nothing damaged is ever handed out, and nothing is given up because a device failed: that says nothing of what it holds.

use store::blob_device::{HEAD_PART, encode_head};
use store::{BlobPlace, Store};
use value::{BlobId, Failure};

use super::Task;
use crate::engine::Engine;
use crate::io::{BlobTask, Output};

impl<S: Store> Engine<S> {
    /// Returns a chunk that was read, if it is the right one; one that is not there or damaged is given up.
    pub(super) fn sound(
        &mut self,
        (id, chunk, place): (BlobId, u32, BlobPlace),
        bytes: Result<Option<Vec<u8>>, Failure>,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let bytes = bytes?;
        let Some(held) = self.blobs.held.get(&id).filter(|held| held.place == place) else { return Ok(None) };
        if let Some(bytes) = bytes.filter(|bytes| held.list.is_chunk(chunk, bytes)) {
            return Ok(Some(bytes));
        }
        self.give_up_chunk(id, chunk);
        Ok(None)
    }

    /// A chunk counts as missing from now on; the application is told.
    #[cold]
    pub(super) fn give_up_chunk(&mut self, id: BlobId, chunk: u32) {
        let Some(held) = self.blobs.held.get_mut(&id) else { return };
        let (was_whole, place) = (held.is_whole(), held.place);
        if !held.lose(chunk) {
            return;
        }
        self.outputs.push_back(Output::Blob(BlobTask::Delete { place, part: Some(chunk + 1) }));
        self.outputs.push_back(Output::BlobDamaged { what: part_name(&id, chunk + 1) });
        self.mend(id, was_whole);
    }

    /// Chunks of a blob were lost. `was_whole`: until then nothing was missing.
    #[cold]
    pub(super) fn mend(&mut self, id: BlobId, was_whole: bool) {
        // A fetch under way may have passed them.
        self.blobs.fetches.get_mut(&id).into_iter().for_each(|fetch| fetch.cursor = 0);
        if was_whole || self.blobs.auto_fetch {
            self.blobs.broken.push(id);
            self.blobs.due = true;
        }
    }

    /// Has what was lost fetched again, as soon as it is known whether documents name it.
    #[cold]
    pub(super) fn fetch_broken(&mut self) {
        if !self.network.may_link {
            // The tab with the links sees the loss as well.
            self.blobs.broken.clear();
        }
        if !self.blobs.names.is_complete() {
            return;
        }
        for id in std::mem::take(&mut self.blobs.broken) {
            let held = self.blobs.held.get(&id).filter(|_| self.blobs.names.is_named(&id));
            held.map(|held| held.blob_bytes()).into_iter().for_each(|len| self.auto_fetch(id, len));
        }
    }

    /// Writes a head again that is damaged on the device.
    #[cold]
    pub(super) fn mend_head(&mut self, id: BlobId) {
        let Some(held) = self.blobs.held.get(&id) else { return };
        let (place, bytes) = (held.place, encode_head(&held.list));
        self.outputs.push_back(Output::BlobDamaged { what: part_name(&id, HEAD_PART) });
        self.blob_task(Task::Mend, |ticket| BlobTask::Write { ticket, place, part: HEAD_PART, bytes });
    }
}

/// Names a part for people.
pub fn part_name(id: &BlobId, part: u32) -> String {
    match part {
        HEAD_PART => format!("chunk list of {id}"),
        chunk => format!("chunk {chunk} of {id}"),
    }
}
