//! What clients of one field say to each other without its being kept: awareness.
//!
//! It goes to every link and is relayed by every peer that has not seen it, a few hops far. A link that brings more than its
//! share is not listened to until the second is over. Nothing is sent again, nothing waits, nothing is written.

use store::Store;
use sync::ephemeral::{EPHEMERAL_BYTES_MAX, EPHEMERAL_HOPS_MAX, Ephemeral, Seen};
use sync::{Hello, Message};
use value::{Millis, SmallMap};

use crate::engine::Engine;
use crate::io::{LinkId, Output};
use crate::network::Link;

/// Messages that a link may bring in a second.
const MESSAGES_PER_SECOND_MAX: u32 = 200;

/// What this peer remembers of them.
#[derive(Debug, Default)]
pub struct Ephemerals {
    seen: Seen,
    /// The second that is counted, and what each link brought in it.
    second: Millis,
    brought: SmallMap<LinkId, u32>,
}

impl Ephemerals {
    /// Says whether a link has brought less than its share.
    fn has_room(&mut self, link: LinkId, now: Millis) -> bool {
        if now.since(self.second) >= 1000 {
            self.second = now;
            self.brought = SmallMap::new();
        }
        let brought = self.brought.get(&link).copied().unwrap_or(0);
        self.brought.insert(link, brought.saturating_add(1));
        brought < MESSAGES_PER_SECOND_MAX
    }
}

impl<S: Store> Engine<S> {
    /// Sends a message of this peer's own; one over the limit is dropped.
    pub(crate) fn say(&mut self, topic: u64, payload: Vec<u8>) {
        if payload.len() > EPHEMERAL_BYTES_MAX || !self.network.sync_on {
            return;
        }
        let origin = self.stamp();
        let message =
            Ephemeral { origin: origin.actor, number: origin.hlc.0, hops: EPHEMERAL_HOPS_MAX, topic, payload };
        self.network.ephemerals.seen.is_new(&message);
        self.spread(message, None);
    }

    pub(crate) fn ephemeral_heard(&mut self, from: LinkId, message: Ephemeral) {
        let (now, known) = (self.now, &mut self.network.ephemerals);
        if !known.has_room(from, now) || !known.seen.is_new(&message) {
            return;
        }
        self.outputs.push_back(Output::Said { topic: message.topic, payload: message.payload.clone() });
        if message.hops > 0 {
            let hops = message.hops.min(EPHEMERAL_HOPS_MAX) - 1;
            self.spread(Ephemeral { hops, ..message }, Some(from));
        }
    }

    fn spread(&mut self, message: Ephemeral, except: Option<LinkId>) {
        let other = |(id, _, _): (LinkId, &Link, &Hello)| (Some(id) != except).then_some(id);
        let links: Vec<LinkId> = self.network.established().filter_map(other).collect();
        let message = Message::Ephemeral(message);
        links.into_iter().for_each(|link| _ = self.send(link, &message));
    }
}
