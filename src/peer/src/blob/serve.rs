//! Giving others what they ask for: parts are read one after the other and sent in pieces, after everything else.
//!
//! A peer that knows a blob's id may have the blob: ids cannot be guessed, and stand in documents. Only whole blobs are
//! served, and a chunk that does not fit its hash is never sent.

use store::Store;
use sync::blob::BLOB_PIECE_BYTES_MAX;
use sync::{BlobMessage, Message, Step};
use value::{BlobId, ErrorCode};

use super::link::{Order, OrderState};
use super::{Blobs, Task};
use crate::engine::Engine;
use crate::io::{BlobTask, LinkId, LinkKind};

/// Orders of one link that may wait; more is a breach.
const ORDERS_MAX: usize = 64;
/// Orders of one link that are read ahead.
const AHEAD_MAX: usize = 2;
/// Parts in memory for all links together.
const LOADED_MAX: usize = 64;

impl<S: Store> Engine<S> {
    /// A link asks for a part.
    pub(super) fn ordered(&mut self, id: LinkId, blob: BlobId, part: u32) {
        let held = self.blobs.held.get(&blob).filter(|held| held.is_whole() && part <= held.list.chunks());
        if held.is_none() {
            return self.tell_gone(id, blob);
        }
        let Some(link) = self.blobs.links.get_mut(&id) else { return };
        if link.queue.len() >= ORDERS_MAX {
            return self.drop_link(id, ErrorCode::SyncProtocol);
        }
        link.queue.push_back(Order { id: blob, part, state: OrderState::Queued });
    }

    /// Tells that a blob is not here any more; nothing of it follows.
    fn tell_gone(&mut self, id: LinkId, blob: BlobId) {
        let Some(link) = self.blobs.links.get_mut(&id) else { return };
        let ready = |order: &&Order| order.id == blob && matches!(order.state, OrderState::Ready { .. });
        self.blobs.loaded -= link.queue.iter().filter(ready).count();
        link.queue.retain(|order| order.id != blob);
        self.send(id, &Message::Blob(BlobMessage::Gone { id: blob }));
    }

    /// Sends what a link has asked for, when there is nothing else to send and its window is open.
    pub(crate) fn pump_blobs(&mut self, id: LinkId) {
        self.load_orders(id);
        loop {
            let Some(link) = self.blobs.links.get_mut(&id).filter(|link| link.window_open()) else { return };
            let Some(order) = link.queue.front_mut() else { return };
            let OrderState::Ready { bytes, sent } = &mut order.state else { return };
            let idle = |link: &crate::network::Link| link.outgoing.next(self.log.head()) == Step::Rest;
            let Some(carrier) = self.network.links.get(&id).filter(|link| idle(link)) else { return };
            let piece_bytes = match carrier.kind {
                LinkKind::Simulated | LinkKind::WebSocket => BLOB_PIECE_BYTES_MAX,
                // One message of the transport, with room for the frame around it.
                LinkKind::WebRtc => BLOB_PIECE_BYTES_MAX / 2 - 64,
            };
            let end = (*sent + piece_bytes).min(bytes.len());
            let (blob, part, offset) = (order.id, order.part, *sent as u32);
            let piece = BlobMessage::Piece { id: blob, part, offset, bytes: bytes[*sent..end].to_vec() };
            link.sent_bytes += (end - *sent) as u64;
            *sent = end;
            let done = end == bytes.len();
            if done {
                link.queue.pop_front();
                self.blobs.loaded -= 1;
            }
            self.send(id, &Message::Blob(piece));
            if done {
                self.load_orders(id);
            }
        }
    }

    /// Has the first orders of a link read.
    fn load_orders(&mut self, id: LinkId) {
        loop {
            let Blobs { links, held, loaded, .. } = &mut self.blobs;
            let Some(link) = links.get_mut(&id) else { return };
            let queued = |order: &&mut Order| matches!(order.state, OrderState::Queued);
            let Some(order) = link.queue.iter_mut().take(AHEAD_MAX).find(queued) else { return };
            if *loaded >= LOADED_MAX {
                return;
            }
            let (blob, part) = (order.id, order.part);
            let Some(held) = held.get(&blob).filter(|held| held.is_whole()) else {
                return self.tell_gone(id, blob);
            };
            *loaded += 1;
            if part == 0 {
                order.state = OrderState::Ready { bytes: held.list.hashes().to_vec(), sent: 0 };
                continue;
            }
            order.state = OrderState::Loading;
            let place = held.place;
            let task = Task::Serve { link: id, id: blob, part, place };
            self.blob_task(task, |ticket| BlobTask::Read { ticket, place, part });
        }
    }

    /// A part was read for a link; `None`: it cannot be had.
    pub(super) fn read_for_link(&mut self, id: LinkId, blob: BlobId, part: u32, bytes: Option<Vec<u8>>) {
        let loading =
            |order: &&mut Order| order.id == blob && order.part == part && matches!(order.state, OrderState::Loading);
        let link = self.blobs.links.get_mut(&id);
        let order = link.and_then(|link| link.queue.iter_mut().find(loading));
        match (order, bytes) {
            (Some(order), Some(bytes)) => order.state = OrderState::Ready { bytes, sent: 0 },
            // Nobody waits for it any more.
            (None, _) => self.blobs.loaded -= 1,
            (Some(_), None) => {
                self.blobs.loaded -= 1;
                self.tell_gone(id, blob);
            }
        }
    }
}
