//! Blobs: the bytes of attachments, beside the documents that name them.
//!
//! In go requests of the application, messages of links and answers of the device; out go tasks for the device, messages and
//! replies. `held` knows what is here, `fetch` brings what is wanted, `serve` gives others what they ask for, `names` knows
//! which documents name which blob, `collect` removes what none names, `damage` gives up what cannot be read, `walk` looks for it.
//!
//! Invariants, as absences: nothing counts as had before it is durable; nothing is believed that was not checked against an
//! id; no more than a few chunks are in memory, whatever the size of a blob and the number of links; no piece goes out while
//! the pump of commits has something to send. `docs/attachments.md`

mod collect;
mod damage;
mod fetch;
mod held;
mod link;
mod names;
mod serve;
mod walk;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use store::blob_device::{HEAD_PART, decode_head, encode_head};
use store::{BlobListing, BlobPlace, Store};
use value::{BlobId, ChunkList, ErrorCode, Failure, Millis, SmallMap};

use crate::engine::Engine;
use crate::io::{BlobAnswer, BlobRequest, BlobTask, LinkId, Output, Reply, Ticket};

use fetch::Fetch;
use held::{Held, Stray};
use link::BlobLink;
use names::Names;

pub use walk::{BlobFinding, BlobWalk};

/// All that the engine knows of blobs.
#[derive(Debug, Default)]
pub struct Blobs {
    /// The device was asked what it holds, and has told.
    known: bool,
    /// The device is to be asked, again.
    list_due: bool,
    /// It was asked, at that time.
    listing: Option<(Ticket, Millis)>,
    /// Requests that wait until it has told.
    waiting: Vec<BlobRequest>,
    /// Blobs with a head, whole or in part.
    held: BTreeMap<BlobId, Held>,
    /// Places that belong to none of them.
    strays: SmallMap<BlobPlace, Stray>,
    /// Places of those that were removed.
    swept: SmallMap<BlobPlace, ()>,
    /// Those that have lost chunks and are perhaps to be fetched again.
    broken: Vec<BlobId>,
    fetches: BTreeMap<BlobId, Fetch>,
    links: SmallMap<LinkId, BlobLink>,
    /// What the device works on.
    tasks: SmallMap<Ticket, Task>,
    /// Chunks that it writes.
    writing: usize,
    /// Parts that it reads for links, and those that lie ready for them.
    loaded: usize,
    names: Names,
    /// Whatever documents name is fetched.
    auto_fetch: bool,
    /// Something has changed that the fetches may go on with.
    due: bool,
    /// When unnamed blobs are looked for next.
    collect_at: Option<Millis>,
    /// They are to be removed as soon as it is known what is here and what is named.
    sweep_due: bool,
}

/// A task under way.
#[derive(Debug)]
enum Task {
    /// A chunk that a link brought is written.
    Chunk { id: BlobId, chunk: u32 },
    /// The head of a blob that is being fetched is written.
    Head { id: BlobId },
    /// The head of a blob that the application has made is written.
    Keep { ticket: Ticket, place: BlobPlace, list: Rc<ChunkList> },
    /// A chunk is read for the application.
    Local { ticket: Ticket, id: BlobId, chunk: u32, place: BlobPlace },
    /// A damaged head is written again.
    Mend,
    /// A chunk is read for a link.
    Serve { link: LinkId, id: BlobId, part: u32, place: BlobPlace },
    /// A part is read for verification.
    Walk { ticket: Ticket, walk: Box<BlobWalk>, id: BlobId, part: u32, place: BlobPlace },
}

impl Blobs {
    /// Starts with nothing known. `auto_fetch`: whatever documents name is fetched.
    pub fn new(auto_fetch: bool) -> Blobs {
        Blobs { list_due: true, auto_fetch, ..Blobs::default() }
    }

    /// Blocks were loaded: a scan of the documents may go on.
    pub fn unpark(&mut self, now: Millis) {
        self.names.unpark(now);
    }

    /// Says whether a scan of the documents waits for blocks.
    pub fn is_parked(&self) -> bool {
        self.names.is_parked()
    }
}

impl<S: Store> Engine<S> {
    /// Returns what of blobs is here, bytes.
    pub fn blob_bytes(&self) -> u64 {
        self.blobs.held.values().map(Held::have_bytes).sum()
    }

    pub(crate) fn blob_request(&mut self, request: BlobRequest) {
        self.blobs.due = true;
        match (&self.broken, request) {
            (_, BlobRequest::Refresh) => self.blobs.list_due = true,
            (_, BlobRequest::Stop { ticket }) => self.stop_fetch(ticket),
            (
                Some(failure),
                BlobRequest::Fetch { ticket, .. }
                | BlobRequest::Find { ticket, .. }
                | BlobRequest::Keep { ticket, .. }
                | BlobRequest::Next { ticket, .. }
                | BlobRequest::Read { ticket, .. }
                | BlobRequest::Walk { ticket, .. },
            ) => {
                let failure = failure.clone();
                self.reply(ticket, Err(failure));
            }
            (None, request) if self.blobs.known => self.carry_out(request),
            (None, request) => {
                self.blobs.list_due |= self.blobs.listing.is_none();
                self.blobs.waiting.push(request);
            }
        }
    }

    fn carry_out(&mut self, request: BlobRequest) {
        match request {
            BlobRequest::Fetch { ticket, id, len } => self.fetch_blob(ticket, id, len),
            BlobRequest::Find { ticket, id } => {
                let len = self.blobs.held.get(&id).filter(|held| held.is_whole()).map(Held::blob_bytes);
                self.reply(ticket, Ok(Reply::BlobFound(len)));
            }
            BlobRequest::Keep { ticket, place, list } => self.keep_blob(ticket, place, list),
            BlobRequest::Next { ticket, after } => {
                let behind = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
                let next = self.blobs.held.range(behind).find(|(_, held)| held.is_whole());
                let next = next.map(|(id, held)| (*id, ChunkList::clone(&held.list)));
                self.reply(ticket, Ok(Reply::BlobNext(next)));
            }
            BlobRequest::Read { ticket, id, chunk } => match self.blobs.held.get(&id) {
                Some(held) if held.has(chunk) => {
                    let place = held.place;
                    self.blob_task(Task::Local { ticket, id, chunk, place }, |ticket| BlobTask::Read {
                        ticket,
                        place,
                        part: chunk + 1,
                    });
                }
                _ => self.reply(ticket, Err(not_here())),
            },
            BlobRequest::Refresh | BlobRequest::Stop { .. } => {}
            BlobRequest::Walk { ticket, walk } => self.walk_blobs(ticket, walk),
        }
    }

    /// Gives a task to the device.
    fn blob_task(&mut self, task: Task, output: impl FnOnce(Ticket) -> BlobTask) {
        let ticket = self.ticket();
        self.blobs.tasks.insert(ticket, task);
        self.outputs.push_back(Output::Blob(output(ticket)));
    }

    fn keep_blob(&mut self, ticket: Ticket, place: BlobPlace, list: ChunkList) {
        let id = list.id();
        if self.blobs.swept.contains_key(&place) {
            let message = "nothing was added to it for so long that it was removed; create it again";
            return self.reply(ticket, Err(Failure::new(ErrorCode::StoreFailedToCreateAttachment, message)));
        }
        if self.blobs.held.get(&id).is_some_and(Held::is_whole) {
            self.outputs.push_back(Output::Blob(BlobTask::Delete { place, part: None }));
            return self.reply(ticket, Ok(Reply::BlobKept(id)));
        }
        let (bytes, list) = (encode_head(&list), Rc::new(list));
        self.blob_task(Task::Keep { ticket, place, list }, |ticket| BlobTask::Write {
            ticket,
            place,
            part: HEAD_PART,
            bytes,
        });
    }

    pub(crate) fn blob_answered(&mut self, answer: BlobAnswer) {
        self.blobs.due = true;
        match answer {
            BlobAnswer::Listed { ticket, places } => {
                let asked = self.blobs.listing.take_if(|(asked, _)| *asked == ticket);
                match (asked, places) {
                    (None, _) => {}
                    (Some((_, at)), Ok(places)) => self.blobs_listed(places, at),
                    (Some(_), Err(failure)) => self.refuse_waiting(&failure),
                }
            }
            BlobAnswer::Read { ticket, bytes } => match self.blobs.tasks.remove(&ticket) {
                Some(Task::Local { ticket, id, chunk, place }) => {
                    let result = self.sound((id, chunk, place), bytes).and_then(|bytes| bytes.ok_or_else(not_here));
                    self.reply(ticket, result.map(Reply::BlobChunk));
                }
                Some(Task::Serve { link, id, part, place }) => {
                    let sound = self.sound((id, part - 1, place), bytes);
                    self.read_for_link(link, id, part, sound.ok().flatten());
                }
                Some(Task::Walk { ticket, walk, id, part, place }) => {
                    self.part_walked(ticket, walk, (id, part, place), bytes);
                }
                Some(Task::Chunk { .. } | Task::Head { .. } | Task::Keep { .. } | Task::Mend) | None => {}
            },
            BlobAnswer::Written { ticket, result } => match self.blobs.tasks.remove(&ticket) {
                Some(Task::Chunk { id, chunk }) => self.chunk_written(id, chunk, result),
                Some(Task::Head { id }) => self.head_written(id, result),
                Some(Task::Keep { ticket, place, list }) => self.kept(ticket, place, list, result),
                // One that could not be written is found damaged again.
                Some(Task::Local { .. } | Task::Mend | Task::Serve { .. } | Task::Walk { .. }) | None => {}
            },
        }
    }

    /// Takes what the device holds. `asked_at`: what came after that may be missing.
    fn blobs_listed(&mut self, places: Vec<BlobListing>, asked_at: Millis) {
        let now = self.now;
        let blobs = &mut self.blobs;
        let mut listed: Vec<BlobPlace> = Vec::with_capacity(places.len());
        let mut broken: Vec<(BlobId, bool)> = Vec::new();
        for BlobListing { place, head, parts } in places {
            listed.push(place);
            let list = head.as_deref().map(decode_head);
            let Some(Ok(list)) = list else {
                // One of ours whose head is on its way is no stray.
                if blobs.held.values().all(|held| held.place != place) {
                    Stray::note(&mut blobs.strays, place, parts.len(), now).head_damaged = list.is_some();
                }
                continue;
            };
            let id = list.id();
            let held = blobs.held.entry(id).or_insert_with(|| Held::new(place, Rc::new(list), now));
            let was_whole = held.is_whole();
            // Two tabs may have made the same blob.
            if held.place != place {
                Stray::note(&mut blobs.strays, place, parts.len(), now);
                continue;
            }
            // It was a stray when another tab had not yet written the head.
            blobs.strays.remove(&place);
            if held.found(&parts, asked_at) {
                broken.push((id, was_whole));
            }
        }
        let is_listed = |place: &BlobPlace| listed.binary_search(place).is_ok();
        blobs.held.retain(|_, held| is_listed(&held.place) || held.since >= asked_at || !held.head);
        blobs.strays.retain(|place, _| is_listed(place));
        blobs.known = true;
        broken.into_iter().for_each(|(id, was_whole)| self.mend(id, was_whole));
        let fetched: Vec<BlobId> = self.blobs.fetches.keys().copied().collect();
        fetched.into_iter().for_each(|id| self.look_at_fetch(id));
        self.tell_all_haves();
        for request in std::mem::take(&mut self.blobs.waiting) {
            self.carry_out(request);
        }
    }

    fn refuse_waiting(&mut self, failure: &Failure) {
        for request in std::mem::take(&mut self.blobs.waiting) {
            match request {
                BlobRequest::Fetch { ticket, .. }
                | BlobRequest::Find { ticket, .. }
                | BlobRequest::Keep { ticket, .. }
                | BlobRequest::Next { ticket, .. }
                | BlobRequest::Read { ticket, .. }
                | BlobRequest::Walk { ticket, .. } => self.reply(ticket, Err(failure.clone())),
                BlobRequest::Refresh | BlobRequest::Stop { .. } => {}
            }
        }
    }

    fn kept(&mut self, ticket: Ticket, place: BlobPlace, list: Rc<ChunkList>, result: Result<(), Failure>) {
        if let Err(failure) = result {
            self.outputs.push_back(Output::Blob(BlobTask::Delete { place, part: None }));
            let message = failure.message;
            return self.reply(ticket, Err(Failure::new(ErrorCode::StoreFailedToCreateAttachment, message)));
        }
        let id = list.id();
        self.blobs.strays.remove(&place);
        if self.blobs.held.get(&id).is_some_and(Held::is_whole) {
            self.outputs.push_back(Output::Blob(BlobTask::Delete { place, part: None }));
            return self.reply(ticket, Ok(Reply::BlobKept(id)));
        }
        let mut held = Held::new(place, list, self.now);
        held.complete();
        // A part of the same blob may have come from elsewhere meanwhile.
        if let Some(other) = self.blobs.held.insert(id, held) {
            self.outputs.push_back(Output::Blob(BlobTask::Delete { place: other.place, part: None }));
        }
        self.reply(ticket, Ok(Reply::BlobKept(id)));
        self.blob_is_whole(id);
    }

    /// Lets everything about blobs go on that can.
    pub(crate) fn run_blobs(&mut self) {
        if !self.booted || self.broken.is_some() {
            return;
        }
        // Before the store may trim what was loaded for it.
        self.name_some();
        if std::mem::take(&mut self.blobs.list_due) && self.blobs.listing.is_none() {
            let ticket = self.ticket();
            self.blobs.listing = Some((ticket, self.now));
            self.outputs.push_back(Output::Blob(BlobTask::List { ticket }));
        }
        if !std::mem::take(&mut self.blobs.due) || !self.blobs.known {
            return;
        }
        self.start_naming();
        self.fetch_broken();
        self.sweep();
        self.tell_wants();
        self.ask_for_parts();
    }

    /// Time has passed for whatever waits for it.
    pub(crate) fn blob_time_passed(&mut self) {
        self.collect_when_due();
        self.drop_silent_links();
        self.wake_fetches();
    }

    pub(crate) fn blob_timeout(&self) -> Option<Millis> {
        let blobs = &self.blobs;
        let fetches = blobs.fetches.values().map(|fetch| fetch.not_before).filter(|at| *at > self.now);
        let links = blobs.links.values().filter_map(BlobLink::dead_at);
        fetches.chain(links).chain(blobs.names.step_at()).chain(blobs.collect_at).min()
    }

    /// The store is gone: whoever waits for a blob is told.
    pub(crate) fn fail_blobs(&mut self, failure: &Failure) {
        self.refuse_waiting(failure);
        for (_, fetch) in std::mem::take(&mut self.blobs.fetches) {
            fetch.tickets.into_iter().for_each(|ticket| self.reply(ticket, Err(failure.clone())));
        }
        for (_, task) in std::mem::take(&mut self.blobs.tasks) {
            match task {
                Task::Keep { ticket, .. } | Task::Local { ticket, .. } | Task::Walk { ticket, .. } => {
                    self.reply(ticket, Err(failure.clone()));
                }
                Task::Chunk { .. } | Task::Head { .. } | Task::Mend | Task::Serve { .. } => {}
            }
        }
        let auto_fetch = self.blobs.auto_fetch;
        self.blobs = Blobs { auto_fetch, ..Blobs::default() };
    }
}

fn not_here() -> Failure {
    Failure::new(ErrorCode::StoreAttachmentNotFound, "the attachment is not here; fetch it with store.fetchAttachment")
}
