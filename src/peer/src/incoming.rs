//! What links bring: subscriptions to serve, data to merge, acknowledgements, signals, presence.

use crdt::Doc;
use store::Store;
use sync::outgoing::WINDOW_BYTES;
use sync::wire::SIGNAL_HOPS_MAX;
use sync::{Hello, Message, SubRequest, Unit};
use value::limits::{FRAME_BYTES_MAX, STATEMENT_BYTES_MAX};
use value::{CollectionName, DocId, ErrorCode, Object, PeerKey, Seq, StoreId, Value, cbor, hash64};

use crate::config::Role;
use crate::cursor::Cursor;
use crate::engine::Engine;
use crate::io::{LinkId, Output};
use crate::network::{IncomingSub, Matcher};
use crate::pipeline::{Job, RemoteUnit};

/// The subscription text of a Big Peer.
const EVERYTHING: &str = "*";
/// Bytes of a unit's frames that may wait for its end.
const STAGED_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Bytes of frames that may wait to be saved: the sender's window, a frame over it, and patience.
const UNTAKEN_BYTES_MAX: u64 = 4 * WINDOW_BYTES + FRAME_BYTES_MAX as u64;

impl<S: Store> Engine<S> {
    pub(crate) fn message(&mut self, id: LinkId, message: Message, size: usize) {
        if message.is_data() {
            self.blob_link_heard(id);
        }
        match message {
            Message::Ack { seq, bytes } => self.acknowledged(id, seq, bytes),
            Message::Blob(message) => self.blob_message(id, message),
            Message::CatchUp { generation, hash, through, partial, unit } => {
                self.data(id, generation, unit, size, if partial { Moves::None } else { Moves::One(hash, through) });
            }
            Message::Commits { generation, through, partial, unit } => {
                self.data(id, generation, unit, size, if partial { Moves::None } else { Moves::Live(through) });
            }
            Message::Docs { generation, hash, complete, unit } => {
                let moves = complete.map_or(Moves::Stay, |seq| Moves::One(hash, seq));
                self.data(id, generation, unit, size, moves);
            }
            Message::Presence { entries } => self.presence_heard(id, entries),
            Message::Signal { from, to, hops, payload } => self.signal_heard(from, to, hops, payload),
            Message::SubDenied { generation, hash, .. } => {
                if let Some(sub) = self.incoming_sub(id, generation, hash) {
                    sub.denied = true;
                }
            }
            Message::SubLive { generation, hash, at } => {
                if let Some(sub) = self.incoming_sub(id, generation, hash) {
                    sub.live = true;
                    self.data(id, generation, Unit::default(), 0, Moves::One(hash, at));
                }
            }
            Message::Subs { generation, subs } => self.serve(id, generation, subs),
            // The session keeps these to itself.
            Message::Bye { .. }
            | Message::Hello(_)
            | Message::Ping
            | Message::Pong
            | Message::Reject { .. }
            | Message::Welcome => {}
        }
    }

    /// Tells a link what this peer wants, from which positions.
    pub(crate) fn send_subscriptions(&mut self, id: LinkId) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        let Some(remote) = link.remote.as_ref().map(|remote| remote.store) else { return };
        let mut requests: Vec<(SubRequest, Option<CollectionName>)> = Vec::new();
        match self.config.role {
            Role::BigPeer { .. } => {
                let (hash, text) = (hash64(EVERYTHING.as_bytes()), EVERYTHING.to_owned());
                requests.push((SubRequest { hash, text, args: Vec::new(), cursor: None }, None));
            }
            Role::SmallPeer { .. } => {
                for (subscription, args) in self.subscriptions.values() {
                    let (hash, text) = (subscription.hash(), subscription.text().to_owned());
                    if requests.iter().all(|(request, _)| request.hash != hash) {
                        let request =
                            SubRequest { hash, text, args: cbor::encode(&Value::Object(args.clone())), cursor: None };
                        requests.push((request, Some(subscription.collection.clone())));
                    }
                }
            }
        }
        link.incoming.generation += 1;
        link.incoming.staged.clear();
        link.incoming.staged_bytes = 0;
        link.incoming.subs.clear();
        let generation = link.incoming.generation;
        let mut subs = Vec::new();
        for (mut request, collection) in requests {
            request.cursor = self.cursors.cursor(remote, request.hash);
            link.incoming.subs.push(IncomingSub { hash: request.hash, collection, live: false, denied: false });
            subs.push(request);
        }
        self.send(id, &Message::Subs { generation, subs });
    }

    pub(crate) fn subscriptions_changed(&mut self) {
        let ids: Vec<LinkId> = self.network.established().map(|(id, _, _)| id).collect();
        ids.into_iter().for_each(|id| self.send_subscriptions(id));
    }

    /// Takes the other side's set of subscriptions.
    fn serve(&mut self, id: LinkId, generation: u64, subs: Vec<SubRequest>) {
        let (head, floor) = (self.log.head(), self.log.floor());
        let Some(link) = self.network.links.get_mut(&id) else { return };
        let from_big_peer = link.remote.as_ref().is_some_and(|remote| remote.is_big_peer);
        let matchers: Vec<_> = subs.iter().map(|sub| matcher_of(sub, from_big_peer)).collect();
        link.outgoing.replace(generation, subs, head, floor);
        link.matchers.clear();
        let mut refusals = Vec::new();
        for (index, matcher) in matchers.into_iter().enumerate() {
            link.matchers.push(matcher.unwrap_or_else(|(code, detail)| {
                link.outgoing.deny(index);
                let hash = link.outgoing.request(index).hash;
                refusals.push(Message::SubDenied { generation, hash, code, detail });
                Matcher::Denied
            }));
        }
        refusals.iter().for_each(|refusal| _ = self.send(id, refusal));
    }

    /// Takes data of a link into the pipeline, to be merged and acknowledged in order.
    fn data(&mut self, id: LinkId, generation: u64, unit: Unit, size: usize, moves: Moves) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        let Some(store) = link.remote.as_ref().map(|remote| remote.store) else { return };
        link.untaken_bytes += size as u64;
        if self.broken.is_some() || link.untaken_bytes > UNTAKEN_BYTES_MAX {
            return self.drop_link(id, ErrorCode::SyncBusy);
        }
        let (docs, moved) = (Vec::new(), Vec::new());
        let serving = link.outgoing.generation();
        let mut job = RemoteUnit { link: id, store, generation, serving, docs, moves: moved, bytes: size as u64 };
        if generation == link.incoming.generation {
            let docs: Result<Vec<_>, _> = unit.docs.into_iter().map(decoded).collect();
            let Ok(docs) = docs else { return self.drop_link(id, ErrorCode::SyncProtocol) };
            link.incoming.staged_bytes += size;
            if link.incoming.staged_bytes > STAGED_BYTES_MAX {
                return self.drop_link(id, ErrorCode::SyncProtocol);
            }
            let staged = &mut link.incoming.staged;
            if !matches!(moves, Moves::None) {
                link.incoming.staged_bytes = 0;
            }
            let subs = &link.incoming.subs;
            let cursor = |sub: &IncomingSub, seq| (sub.hash, Cursor { seq, collection: sub.collection.clone() });
            match moves {
                Moves::None => staged.extend(docs),
                Moves::Stay => job.docs = docs,
                Moves::Live(seq) => {
                    job.moves = subs.iter().filter(|sub| sub.live).map(|sub| cursor(sub, seq)).collect();
                    job.docs = std::mem::take(staged).into_iter().chain(docs).collect();
                }
                Moves::One(hash, seq) => {
                    job.moves = subs.iter().filter(|sub| sub.hash == hash).map(|sub| cursor(sub, seq)).collect();
                    job.docs = std::mem::take(staged).into_iter().chain(docs).collect();
                }
            }
        }
        self.pipeline.jobs.push_back(Job::Remote(job));
    }

    /// A unit of a link is saved.
    pub(crate) fn taken(&mut self, id: LinkId, store: StoreId, moves: &[(u64, Cursor)], docs: u64, bytes: u64) {
        for (hash, cursor) in moves {
            self.cursors.advance(store, *hash, cursor.clone());
        }
        self.network.documents_received += docs;
        if let Some(link) = self.network.links.get_mut(&id) {
            link.taken_bytes += bytes;
            link.untaken_bytes = link.untaken_bytes.saturating_sub(bytes);
            link.ack_due = true;
            link.received_at = Some(self.now);
        }
    }

    /// Acknowledges what was saved since the last time, one message a link.
    pub(crate) fn send_acknowledgement(&mut self, id: LinkId) {
        let Some(link) = self.network.links.get_mut(&id).filter(|link| link.ack_due) else { return };
        link.ack_due = false;
        let Some(store) = link.remote.as_ref().map(|remote| remote.store) else { return };
        let wanted = link.incoming.subs.iter().filter(|sub| !sub.denied);
        let seq = wanted.map(|sub| self.cursors.cursor(store, sub.hash).unwrap_or_default()).min();
        let message = Message::Ack { seq: seq.unwrap_or_default(), bytes: link.taken_bytes };
        self.send(id, &message);
    }

    fn acknowledged(&mut self, id: LinkId, seq: Seq, bytes: u64) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        if link.outgoing.acknowledged(bytes).is_err() {
            return self.drop_link(id, ErrorCode::SyncProtocol);
        }
        // The other side may have saved more than is left here after a power cut; then it says nothing about the present log.
        let seq = if seq > self.log.head() { Seq(0) } else { seq };
        link.acknowledged = link.acknowledged.max(seq);
        if link.remote.as_ref().is_some_and(|remote| remote.is_big_peer) && seq > self.network.acknowledged {
            self.network.acknowledged = seq;
            self.network.acknowledged_moved = true;
            while self.network.pending.pop_front_if(|pending| *pending <= seq).is_some() {}
        }
    }

    fn incoming_sub(&mut self, id: LinkId, generation: u64, hash: u64) -> Option<&mut IncomingSub> {
        let incoming = &mut self.network.links.get_mut(&id)?.incoming;
        (incoming.generation == generation).then_some(())?;
        incoming.subs.iter_mut().find(|sub| sub.hash == hash)
    }

    pub(crate) fn send_signal(&mut self, to: PeerKey, payload: Vec<u8>) {
        let from = self.config.peer_key.clone();
        self.relay(Message::Signal { from, to: to.clone(), hops: SIGNAL_HOPS_MAX, payload }, &to);
    }

    fn signal_heard(&mut self, from: PeerKey, to: PeerKey, hops: u8, payload: Vec<u8>) {
        if to == self.config.peer_key {
            self.outputs.push_back(Output::Signal { from, payload });
        } else if hops > 0 {
            let signal = Message::Signal { from, to: to.clone(), hops: hops.min(SIGNAL_HOPS_MAX) - 1, payload };
            self.relay(signal, &to);
        }
    }

    /// Sends a signal on the link to its addressee, else on one to a peer that says it has such a link.
    fn relay(&mut self, signal: Message, to: &PeerKey) {
        let next = self.network.link_to(to).or_else(|| {
            let says = |a: &PeerKey, b: &PeerKey| {
                self.peer_info(a).is_some_and(|info| info.links.iter().any(|(key, _)| key == b))
            };
            // A Big Peer's entry names no links; its clients' entries do.
            let leads = |remote: &Hello| match remote.is_big_peer {
                true => says(to, &remote.peer_key),
                false => says(&remote.peer_key, to),
            };
            self.network.established().find(|(_, _, remote)| leads(remote)).map(|(id, _, _)| id)
        });
        // With no way to the addressee the signal is lost, and the dialler tries again later.
        if let Some(link) = next {
            self.send(link, &signal);
        }
    }
}

/// Which cursors a message moves.
enum Moves {
    /// All live ones.
    Live(Seq),
    /// None: more of the unit follows.
    None,
    /// One.
    One(u64, Seq),
    /// None, and the unit is whole.
    Stay,
}

/// Checks a delta from outside.
fn decoded(doc: sync::DocState) -> Result<(CollectionName, DocId, Vec<u8>), value::DecodeError> {
    Doc::decode(&doc.delta)?;
    Ok((doc.collection, doc.id, doc.delta))
}

fn matcher_of(sub: &SubRequest, from_big_peer: bool) -> Result<Matcher, (ErrorCode, String)> {
    if sub.text == EVERYTHING {
        return match from_big_peer {
            true => Ok(Matcher::Everything),
            false => Err((ErrorCode::QueryUnsupported, "only a Big Peer subscribes to everything".to_owned())),
        };
    }
    let args = match cbor::decode(&sub.args, STATEMENT_BYTES_MAX) {
        Ok(value) => value.into_object().unwrap_or_default(),
        Err(_) if sub.args.is_empty() => Object::new(),
        Err(error) => return Err((ErrorCode::QueryArgumentsInvalid, error.to_string())),
    };
    match dql::subscription(&sub.text, &args, &dql::Context::default()) {
        Ok(subscription) => Ok(Matcher::Query(subscription)),
        Err(error) => Err((error.code, error.message.clone())),
    }
}
