//! Bringing blobs here: from every link that has one, a few parts at a time, each checked before it is written.
//!
//! First the chunk list comes, from one link; then chunks from all of them at once. What a link does not deliver, because it
//! died or the blob is gone there, is asked of another. What is durable is never asked for again, also after a restart.

use std::rc::Rc;

use store::blob_device::{HEAD_PART, encode_head};
use store::{BlobPlace, Store};
use sync::{BlobMessage, Message};
use value::blob::{BLOB_BYTES_MAX, list_bytes};
use value::{BlobId, ChunkList, ErrorCode, Failure, Millis, PeerKey};

use super::Task;
use super::held::Held;
use super::link::Flight;
use crate::engine::Engine;
use crate::io::{BlobTask, LinkId, Output, Reply, Ticket};

/// Parts that are on the way on one link.
const LINK_FLIGHTS_MAX: usize = 2;
/// Parts that are on the way on all links together.
const FLIGHTS_MAX: usize = 16;
/// Chunks that the device writes at a time; no more are asked for until it has written some.
const WRITES_MAX: usize = 8;
/// Bytes of pieces after which the sender is told that they were taken.
const TAKEN_BYTES: u64 = 64 * 1024;
/// How long a fetch rests that this peer has begun by itself and could not write, milliseconds.
const REST_MS: u64 = 60_000;

/// A blob that is wanted.
#[derive(Debug, Default)]
pub struct Fetch {
    /// Its length as its token has it, bytes.
    pub len: u64,
    /// Who waits for it.
    pub tickets: Vec<Ticket>,
    /// A document names it, and this peer fetches what documents name, or has lost a part of it.
    pub auto: bool,
    /// The link that was asked for the chunk list.
    pub list_from: Option<LinkId>,
    /// Peers that have sent something else.
    pub refused: Vec<PeerKey>,
    /// No chunk before this one is missing.
    pub cursor: u32,
    /// It rests until then.
    pub not_before: Millis,
}

impl<S: Store> Engine<S> {
    /// An application wants a blob.
    pub(super) fn fetch_blob(&mut self, ticket: Ticket, id: BlobId, len: u64) {
        let held = self.blobs.held.get(&id);
        if held.is_some_and(|held| held.blob_bytes() != len) || len > BLOB_BYTES_MAX {
            let message = format!("no attachment of {len} bytes has the id {id}");
            return self.reply(ticket, Err(Failure::new(ErrorCode::StoreAttachmentTokenInvalid, message)));
        }
        if held.is_some_and(Held::is_whole) {
            return self.reply(ticket, Ok(Reply::Fetched(Some(len))));
        }
        self.begin_fetch(id, len);
        if let Some(fetch) = self.blobs.fetches.get_mut(&id) {
            // What an application says counts more than what stands in some document.
            fetch.len = len;
            fetch.tickets.push(ticket);
        }
        self.look_at_fetch(id);
    }

    /// Fetches a blob that a document names.
    pub(super) fn auto_fetch(&mut self, id: BlobId, len: u64) {
        let held = self.blobs.held.get(&id);
        if held.is_some_and(Held::is_whole) || len > BLOB_BYTES_MAX {
            return;
        }
        self.begin_fetch(id, len);
        self.blobs.fetches.get_mut(&id).into_iter().for_each(|fetch| fetch.auto = true);
    }

    fn begin_fetch(&mut self, id: BlobId, len: u64) {
        let blobs = &mut self.blobs;
        blobs.due = true;
        if blobs.fetches.contains_key(&id) {
            return;
        }
        blobs.fetches.insert(id, Fetch { len, ..Fetch::default() });
        for link in blobs.links.values_mut().filter(|link| link.told_through >= Some(id)) {
            link.untold.push(id);
        }
        // The list of an empty blob is empty.
        if let Some(list) = ChunkList::new(len, Vec::new()).filter(|list| list.id() == id) {
            self.list_came(id, list);
        }
    }

    /// Tells how far a fetch is, and ends one that is complete: another tab may have done the work.
    pub(super) fn look_at_fetch(&mut self, id: BlobId) {
        let Some(held) = self.blobs.held.get(&id) else { return };
        if held.is_whole() {
            return self.blob_is_whole(id);
        }
        let have_bytes = held.have_bytes();
        if self.blobs.fetches.get(&id).is_some_and(|fetch| !fetch.tickets.is_empty()) {
            self.outputs.push_back(Output::BlobProgress { id, have_bytes });
        }
    }

    pub(super) fn stop_fetch(&mut self, ticket: Ticket) {
        let waits = |request: &crate::io::BlobRequest| !matches!(request, crate::io::BlobRequest::Fetch { ticket: of, .. } if *of == ticket);
        self.blobs.waiting.retain(waits);
        self.blobs.fetches.values_mut().for_each(|fetch| fetch.tickets.retain(|of| *of != ticket));
        self.drop_idle_fetches();
    }

    /// Forgets fetches that nobody waits for any more.
    pub(super) fn drop_idle_fetches(&mut self) {
        let blobs = &mut self.blobs;
        blobs.fetches.retain(|_, fetch| fetch.auto || !fetch.tickets.is_empty());
        let fetches = &blobs.fetches;
        for link in blobs.links.values_mut() {
            link.has.retain(|id, ()| fetches.contains_key(id));
        }
    }

    /// A blob is durable as a whole.
    pub(super) fn blob_is_whole(&mut self, id: BlobId) {
        if let Some(fetch) = self.blobs.fetches.remove(&id) {
            self.settle_fetch(fetch, &Ok(Reply::Fetched(Some(self.blobs.held[&id].blob_bytes()))));
        }
        self.tell_all_haves();
    }

    /// No document names a blob any more.
    pub(super) fn blob_is_unnamed(&mut self, id: BlobId) {
        if let Some(fetch) = self.blobs.fetches.remove(&id) {
            self.settle_fetch(fetch, &Ok(Reply::Fetched(None)));
        }
    }

    fn settle_fetch(&mut self, fetch: Fetch, result: &Result<Reply, Failure>) {
        fetch.tickets.into_iter().for_each(|ticket| self.reply(ticket, result.clone()));
        self.drop_idle_fetches();
    }

    /// A fetch cannot go on; one that nobody waits for rests.
    fn fail_fetch(&mut self, id: BlobId, failure: &Failure) {
        let Some(mut fetch) = self.blobs.fetches.remove(&id) else { return };
        let tickets = std::mem::take(&mut fetch.tickets);
        if fetch.auto {
            fetch.not_before = self.now.plus(REST_MS);
            self.blobs.fetches.insert(id, fetch);
        }
        let failure = Failure::new(ErrorCode::StoreFailedToFetchAttachment, failure.message.clone());
        self.settle_fetch(Fetch { tickets, ..Fetch::default() }, &Err(failure));
    }

    /// Lets fetches go on that have rested.
    pub(super) fn wake_fetches(&mut self) {
        let now = self.now;
        for fetch in self.blobs.fetches.values_mut().filter(|fetch| fetch.not_before > Millis(0)) {
            if fetch.not_before <= now {
                (fetch.not_before, self.blobs.due) = (Millis(0), true);
            }
        }
    }

    /// A link has blobs that are wanted.
    pub(super) fn sources_found(&mut self, id: LinkId, blobs: &[(BlobId, u64)]) {
        let peer = self.network.links.get(&id).and_then(|link| link.remote.as_ref()).map(|remote| &remote.peer_key);
        let (Some(link), Some(peer)) = (self.blobs.links.get_mut(&id), peer) else { return };
        for (blob, len) in blobs {
            let Some(fetch) = self.blobs.fetches.get_mut(blob) else { continue };
            // The id vouches for a length, a document does not.
            if fetch.tickets.is_empty() && fetch.list_from.is_none() && !self.blobs.held.contains_key(blob) {
                fetch.len = *len;
            }
            if fetch.len == *len && !fetch.refused.contains(peer) {
                link.has.insert(*blob, ());
            }
        }
    }

    /// A link has a blob no more.
    pub(super) fn source_lost(&mut self, id: LinkId, blob: BlobId) {
        let Some(link) = self.blobs.links.get_mut(&id) else { return };
        link.has.remove(&blob);
        // It is told again, so that the other side tells when it has it again.
        if link.told_through >= Some(blob) {
            link.untold.push(blob);
        }
        let of_blob = |flight: &mut Flight| flight.id == blob;
        let lost: Vec<Flight> = link.flights.extract_if(.., of_blob).collect();
        lost.iter().for_each(|flight| self.flight_lost(flight.id, flight.part));
    }

    /// A part that was asked for will not come.
    pub(super) fn flight_lost(&mut self, id: BlobId, part: u32) {
        let fetch = self.blobs.fetches.get_mut(&id);
        match part.checked_sub(1) {
            None => fetch.into_iter().for_each(|fetch| fetch.list_from = None),
            Some(chunk) => {
                self.blobs.held.get_mut(&id).into_iter().for_each(|held| held.give_back(chunk));
                fetch.into_iter().for_each(|fetch| fetch.cursor = fetch.cursor.min(chunk));
            }
        }
    }

    /// Asks links for parts, as many as may be on the way.
    pub(super) fn ask_for_parts(&mut self) {
        let ids: Vec<LinkId> = self.blobs.links.keys().copied().collect();
        for id in ids {
            while self.blobs.writing < WRITES_MAX
                && self.blobs.links.values().map(|link| link.flights.len()).sum::<usize>() < FLIGHTS_MAX
                && let Some((blob, part, bytes_expected)) = self.next_part(id)
            {
                let now = self.now;
                let Some(link) = self.blobs.links.get_mut(&id) else { break };
                // After a stop the part may still be on its way here.
                if link.flights.iter().any(|flight| flight.id == blob && flight.part == part) {
                    continue;
                }
                if link.flights.is_empty() {
                    link.heard = now;
                }
                link.flights.push(Flight { id: blob, part, bytes_expected, bytes: Vec::new() });
                self.send(id, &Message::Blob(BlobMessage::Get { id: blob, part }));
            }
        }
    }

    /// Chooses what to ask a link for: blob, part, and its bytes.
    fn next_part(&mut self, id: LinkId) -> Option<(BlobId, u32, usize)> {
        let now = self.now;
        let blobs = &mut self.blobs;
        let link = blobs.links.get(&id).filter(|link| link.flights.len() < LINK_FLIGHTS_MAX)?;
        for blob in link.has.keys() {
            let Some(fetch) = blobs.fetches.get_mut(blob).filter(|fetch| fetch.not_before <= now) else { continue };
            match blobs.held.get_mut(blob) {
                None if fetch.list_from.is_none() => {
                    fetch.list_from = Some(id);
                    return Some((*blob, HEAD_PART, list_bytes(fetch.len)));
                }
                None => {}
                Some(held) => {
                    if let Some(chunk) = held.want_next(&mut fetch.cursor) {
                        return Some((*blob, chunk + 1, held.list.chunk_bytes(chunk)));
                    }
                }
            }
        }
        None
    }

    /// A piece came: of a part that was asked for, behind those that came before.
    pub(super) fn piece_came(&mut self, id: LinkId, of: (BlobId, u32), offset: u32, bytes: &[u8]) {
        let Some(link) = self.blobs.links.get_mut(&id) else { return };
        link.came_bytes += bytes.len() as u64;
        let place = link.flights.iter().position(|flight| (flight.id, flight.part) == of);
        let Some(flight) = place.map(|place| &mut link.flights[place]) else {
            return self.drop_link(id, ErrorCode::SyncProtocol);
        };
        let end = flight.bytes.len() + bytes.len();
        let stands_still = bytes.is_empty() && flight.bytes_expected > 0;
        if offset as usize != flight.bytes.len() || stands_still || end > flight.bytes_expected {
            return self.drop_link(id, ErrorCode::SyncProtocol);
        }
        flight.bytes.extend_from_slice(bytes);
        let done = place.filter(|_| end == flight.bytes_expected).map(|place| link.flights.swap_remove(place).bytes);
        if link.came_bytes - link.came_told_bytes >= TAKEN_BYTES {
            link.came_told_bytes = link.came_bytes;
            let taken = Message::Blob(BlobMessage::Taken { bytes: link.came_bytes });
            self.send(id, &taken);
        }
        if let Some(bytes) = done {
            match of.1.checked_sub(1) {
                None => self.list_bytes_came(id, of.0, bytes),
                Some(chunk) => self.chunk_came(id, of.0, chunk, bytes),
            }
        }
    }

    fn list_bytes_came(&mut self, id: LinkId, blob: BlobId, bytes: Vec<u8>) {
        let Some(fetch) = self.blobs.fetches.get_mut(&blob) else { return };
        fetch.list_from = None;
        if self.blobs.held.contains_key(&blob) {
            return;
        }
        match ChunkList::new(fetch.len, bytes).filter(|list| list.id() == blob) {
            Some(list) => self.list_came(blob, list),
            None => self.refuse(id, blob),
        }
    }

    /// The chunk list is here and right: it becomes the head of a new place.
    fn list_came(&mut self, id: BlobId, list: ChunkList) {
        let place = BlobPlace(self.random.number());
        let bytes = encode_head(&list);
        self.blobs.held.insert(id, Held::new(place, Rc::new(list), self.now));
        let write = |ticket| BlobTask::Write { ticket, place, part: HEAD_PART, bytes };
        self.blob_task(Task::Head { id }, write);
    }

    fn chunk_came(&mut self, link: LinkId, id: BlobId, chunk: u32, bytes: Vec<u8>) {
        let Some(held) = self.blobs.held.get(&id).filter(|held| held.is_wanted(chunk)) else { return };
        if !held.list.is_chunk(chunk, &bytes) {
            self.flight_lost(id, chunk + 1);
            return self.refuse(link, id);
        }
        let place = held.place;
        self.blobs.writing += 1;
        let write = |ticket| BlobTask::Write { ticket, place, part: chunk + 1, bytes };
        self.blob_task(Task::Chunk { id, chunk }, write);
    }

    /// A peer has sent something else than what was asked for: it is not asked for this blob again.
    fn refuse(&mut self, id: LinkId, blob: BlobId) {
        let peer =
            self.network.links.get(&id).and_then(|link| link.remote.as_ref()).map(|hello| hello.peer_key.clone());
        if let (Some(fetch), Some(peer)) = (self.blobs.fetches.get_mut(&blob), peer) {
            fetch.refused.push(peer);
        }
        self.drop_link(id, ErrorCode::SyncProtocol);
    }

    /// A chunk is durable, or the device has refused it.
    pub(super) fn chunk_written(&mut self, id: BlobId, chunk: u32, result: Result<(), Failure>) {
        self.blobs.writing -= 1;
        match result {
            Err(failure) => {
                self.flight_lost(id, chunk + 1);
                self.fail_fetch(id, &failure);
            }
            Ok(()) => {
                if let Some(held) = self.blobs.held.get_mut(&id) {
                    held.put(chunk);
                    held.touched = self.now;
                }
                self.look_at_fetch(id);
            }
        }
    }

    /// The head of a blob that is being fetched is durable, or the device has refused it.
    pub(super) fn head_written(&mut self, id: BlobId, result: Result<(), Failure>) {
        let Some(held) = self.blobs.held.get_mut(&id) else { return };
        match result {
            Ok(()) => {
                held.head = true;
                self.look_at_fetch(id);
            }
            Err(failure) => {
                let place = held.place;
                self.blobs.held.remove(&id);
                self.blobs.fetches.get_mut(&id).into_iter().for_each(|fetch| fetch.cursor = 0);
                self.outputs.push_back(Output::Blob(BlobTask::Delete { place, part: None }));
                self.fail_fetch(id, &failure);
            }
        }
    }
}
