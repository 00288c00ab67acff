//! What a link has to do with blobs: what each side wants and has, and what is on the way.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use store::Store;
use sync::blob::{BLOB_WINDOW_BYTES, BLOBS_MAX};
use sync::{BlobMessage, Message};
use value::{BlobId, ErrorCode, Millis, SmallMap};

use super::fetch::Fetch;
use super::held::Held;
use crate::engine::Engine;
use crate::io::LinkId;

/// Wants of one link that are remembered; the oldest is forgotten for the next.
const WANTS_MAX: usize = 8192;
/// A link on which nothing comes for so long although parts were promised is given up, milliseconds.
const SILENCE_MS: u64 = 60_000;

/// The state of one link.
#[derive(Debug, Default)]
pub struct BlobLink {
    /// Blobs that the other side wants and does not know to be here, and which want it was.
    pub wanted: SmallMap<BlobId, u64>,
    /// Wants that came.
    pub wants: u64,
    /// Parts that it has asked for.
    pub queue: VecDeque<Order>,
    /// Bytes of pieces sent, and how many of them it has taken.
    pub sent_bytes: u64,
    pub taken_bytes: u64,
    /// Wants of ours are told in the order of ids: this was the last.
    pub told_through: Option<BlobId>,
    /// Those that came up behind it.
    pub untold: Vec<BlobId>,
    /// Those that the other side has.
    pub has: SmallMap<BlobId, ()>,
    /// Parts that we have asked for.
    pub flights: Vec<Flight>,
    /// Bytes of pieces that came, and how many of them we have told to have taken.
    pub came_bytes: u64,
    pub came_told_bytes: u64,
    /// When something came.
    pub heard: Millis,
}

/// A part that the other side has asked for.
#[derive(Debug)]
pub struct Order {
    pub id: BlobId,
    pub part: u32,
    pub state: OrderState,
}

/// How far it is.
#[derive(Debug)]
pub enum OrderState {
    /// Being read.
    Loading,
    /// It waits for its turn to be read.
    Queued,
    /// In memory; so much of it was sent.
    Ready { bytes: Vec<u8>, sent: usize },
}

/// A part on its way to us.
#[derive(Debug)]
pub struct Flight {
    pub id: BlobId,
    pub part: u32,
    /// How long it will be.
    pub bytes_expected: usize,
    pub bytes: Vec<u8>,
}

impl BlobLink {
    /// Returns when the link is given up if nothing comes.
    pub fn dead_at(&self) -> Option<Millis> {
        (!self.flights.is_empty()).then(|| self.heard.plus(SILENCE_MS))
    }

    fn remember_want(&mut self, blob: BlobId) {
        if self.wanted.len() >= WANTS_MAX {
            let oldest = self.wanted.iter().min_by_key(|(_, want)| **want).map(|(oldest, _)| *oldest);
            oldest.into_iter().for_each(|oldest| _ = self.wanted.remove(&oldest));
        }
        self.wants += 1;
        self.wanted.insert(blob, self.wants);
    }

    /// Returns what to tell next of what we want; nothing when all is told.
    fn next_wants(&mut self, fetches: &BTreeMap<BlobId, Fetch>) -> Vec<BlobId> {
        let behind = self.told_through.map_or(Bound::Unbounded, Bound::Excluded);
        let ids: Vec<BlobId> = fetches.range((behind, Bound::Unbounded)).map(|(id, _)| *id).take(BLOBS_MAX).collect();
        if let Some(last) = ids.last() {
            self.told_through = Some(*last);
            return ids;
        }
        self.untold.retain(|id| fetches.contains_key(id));
        let count = self.untold.len().min(BLOBS_MAX);
        self.untold.drain(..count).collect()
    }

    /// Says whether another piece may be sent.
    pub fn window_open(&self) -> bool {
        self.sent_bytes - self.taken_bytes < BLOB_WINDOW_BYTES
    }
}

impl<S: Store> Engine<S> {
    pub(crate) fn blob_link_up(&mut self, id: LinkId) {
        self.blobs.links.insert(id, BlobLink { heard: self.now, ..BlobLink::default() });
        self.blobs.due = true;
    }

    pub(crate) fn blob_link_down(&mut self, id: LinkId) {
        let Some(link) = self.blobs.links.remove(&id) else { return };
        self.blobs.loaded -= link.queue.iter().filter(|order| matches!(order.state, OrderState::Ready { .. })).count();
        link.flights.iter().for_each(|flight| self.flight_lost(flight.id, flight.part));
        self.blobs.due = true;
    }

    pub(crate) fn blob_message(&mut self, id: LinkId, message: BlobMessage) {
        let now = self.now;
        self.blobs.due = true;
        let Some(link) = self.blobs.links.get_mut(&id) else { return };
        link.heard = now;
        match message {
            BlobMessage::Get { id: blob, part } => self.ordered(id, blob, part),
            BlobMessage::Gone { id: blob } => self.source_lost(id, blob),
            BlobMessage::Have { blobs } => self.sources_found(id, &blobs),
            BlobMessage::Piece { id: blob, part, offset, bytes } => self.piece_came(id, (blob, part), offset, &bytes),
            BlobMessage::Taken { bytes } => {
                if bytes < link.taken_bytes || bytes > link.sent_bytes {
                    return self.drop_link(id, ErrorCode::SyncProtocol);
                }
                link.taken_bytes = bytes;
            }
            BlobMessage::Want { ids } => {
                for blob in ids {
                    link.remember_want(blob);
                }
                self.tell_haves(id);
            }
        }
    }

    /// Documents came on a link: what it has promised of blobs waits behind them.
    pub(crate) fn blob_link_heard(&mut self, id: LinkId) {
        if let Some(link) = self.blobs.links.get_mut(&id) {
            link.heard = self.now;
        }
    }

    /// Tells a link which of the blobs that it wants are here.
    pub(super) fn tell_haves(&mut self, id: LinkId) {
        let held = &self.blobs.held;
        let Some(link) = self.blobs.links.get_mut(&id) else { return };
        let whole = |blob: &BlobId| held.get(blob).filter(|held| held.is_whole()).map(Held::blob_bytes);
        let haves: Vec<(BlobId, u64)> = link.wanted.keys().filter_map(|id| Some((*id, whole(id)?))).collect();
        haves.iter().for_each(|(blob, _)| _ = link.wanted.remove(blob));
        for blobs in haves.chunks(BLOBS_MAX) {
            self.send(id, &Message::Blob(BlobMessage::Have { blobs: blobs.to_vec() }));
        }
    }

    pub(super) fn tell_all_haves(&mut self) {
        let ids: Vec<LinkId> = self.blobs.links.keys().copied().collect();
        ids.into_iter().for_each(|id| self.tell_haves(id));
    }

    /// Tells links what is wanted.
    pub(super) fn tell_wants(&mut self) {
        let ids: Vec<LinkId> = self.blobs.links.keys().copied().collect();
        for id in ids {
            while let Some(link) = self.blobs.links.get_mut(&id) {
                let ids = link.next_wants(&self.blobs.fetches);
                if ids.is_empty() {
                    break;
                }
                self.send(id, &Message::Blob(BlobMessage::Want { ids }));
            }
        }
    }

    pub(super) fn drop_silent_links(&mut self) {
        let now = self.now;
        let dead = |(id, link): (&LinkId, &BlobLink)| link.dead_at().is_some_and(|at| at <= now).then_some(*id);
        let dead: Vec<LinkId> = self.blobs.links.iter().filter_map(dead).collect();
        dead.into_iter().for_each(|id| self.drop_link(id, ErrorCode::SyncUnreachable));
    }
}
