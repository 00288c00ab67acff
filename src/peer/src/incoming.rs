//! What links bring: subscriptions to serve, data to merge, acknowledgements, signals, presence.

use store::{Key, Store};
use sync::outgoing::WINDOW_BYTES;
use sync::wire::SIGNAL_HOPS_MAX;
use sync::{Has, Hello, Message, SubRequest};
use value::limits::{FRAME_BYTES_MAX, STATEMENT_BYTES_MAX};
use value::{CollectionName, ErrorCode, Object, PeerKey, Seq, SmallMap, StoreId, Value, cbor, hash64};

use crate::config::Role;
use crate::cursor::Cursor;
use crate::engine::Engine;
use crate::io::{LinkId, Output};
use crate::network::{IncomingSub, Matcher};
use crate::pipeline::{Job, RemoteUnit};
use crate::reconcile::{Answer, Taking};
use crate::unit;

/// The subscription text of a Big Peer.
const EVERYTHING: &str = "*";
/// Bytes of a unit's frames that may wait for its end.
const STAGED_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Bytes of frames that may wait to be saved: the sender's window, a frame over it, and patience.
const UNTAKEN_BYTES_MAX: u64 = 4 * WINDOW_BYTES + FRAME_BYTES_MAX as u64;
/// Bytes of memory that what waits to be saved may take when more comes: what a sender that keeps to the window can have
/// under way, several times over.
const HELD_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes that a document takes in memory beside its own.
const DOCUMENT_BYTES: usize = 128;

impl<S: Store> Engine<S> {
    pub(crate) fn message(&mut self, id: LinkId, message: Message, size: usize) {
        if message.is_data() || matches!(message, Message::Recon { .. } | Message::ReconAnswer { .. }) {
            self.blob_link_heard(id);
        }
        match message {
            Message::Ack { seq, bytes } => self.acknowledged(id, seq, bytes),
            Message::Blob(message) => self.blob_message(id, message),
            Message::CatchUp { generation, sub, through, partial, unit } => {
                let moves = if partial { Moves::None } else { Moves::One(sub, through) };
                self.data(id, Arrived { generation, sub: Some(sub), size }, &unit, moves);
            }
            Message::Commits { generation, ahead, partial, unit } => {
                let moves = if partial { Moves::None } else { Moves::Live(self.live_moves(id, generation, ahead)) };
                self.data(id, Arrived { generation, sub: None, size }, &unit, moves);
            }
            Message::Docs { generation, sub, complete, unit } => {
                let moves = complete.map_or(Moves::Stay, |seq| Moves::One(sub, seq));
                self.data(id, Arrived { generation, sub: Some(sub), size }, &unit, moves);
            }
            Message::Expect { generation, sub, documents, bytes } => {
                if let Some(sub) = self.incoming_sub(id, generation, sub) {
                    sub.expected = Some((documents, bytes));
                }
            }
            Message::Ephemeral(message) => self.ephemeral_heard(id, message),
            Message::NotLive { generation } => {
                if let Some(link) =
                    self.network.links.get_mut(&id).filter(|link| link.incoming.generation == generation)
                {
                    link.incoming.subs.iter_mut().for_each(|sub| sub.live = false);
                }
            }
            Message::Presence { own, entries } => self.presence_heard(id, own, entries),
            Message::Signal { from, to, hops, payload } => self.signal_heard(from, to, hops, payload),
            Message::Recon { generation, sub, round, ranges } => self.round_heard(id, generation, sub, (round, ranges)),
            Message::ReconAnswer { generation, sub, ranges, needed, extra } => {
                self.answer_heard(id, generation, sub, Answer { ranges, needed, extra });
            }
            Message::SubDenied { generation, sub, .. } => {
                if let Some(sub) = self.incoming_sub(id, generation, sub) {
                    sub.denied = true;
                }
            }
            Message::SubLive { generation, sub: place, ahead } => {
                if let Some(sub) = self.incoming_sub(id, generation, place) {
                    sub.live = true;
                    let at = Seq(sub.from.0.wrapping_add(ahead));
                    self.network.links.get_mut(&id).into_iter().for_each(|link| link.incoming.live = at);
                    self.data(id, Arrived { generation, sub: None, size: 0 }, &[], Moves::One(place, at));
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
        let wanted = self.wanted();
        let Some(link) = self.network.links.get_mut(&id) else { return };
        let Some((remote, horizon)) = link.remote.as_ref().map(|remote| (remote.store, remote.horizon)) else { return };
        let to_authority = link.is_authority(&self.config.role);
        link.incoming.generation += 1;
        link.incoming.staged.clear();
        link.incoming.staged_bytes = 0;
        link.incoming.subs.clear();
        link.taking = Taking::default();
        let generation = link.incoming.generation;
        let mut subs: Vec<SubRequest> = Vec::new();
        for Wanted { hash, text, args, collection } in wanted {
            let has = match self.cursors.cursor(remote, hash) {
                Some(seq) => Has::UpTo(seq),
                None if has_documents(&self.store, collection.as_ref()) => Has::Something,
                None => Has::Nothing,
            };
            let (documents, bytes) = (0, 0);
            let (live, denied, expected) = (false, false, None);
            let returns = to_authority && matches!(has, Has::UpTo(at) if at.0 < horizon);
            let from = has.position();
            let sub = IncomingSub { hash, collection, from, live, denied, returns, documents, bytes, expected };
            link.incoming.subs.push(sub);
            subs.push(SubRequest { text, args, has });
        }
        link.acknowledgement.0 = saved(&subs);
        self.send(id, &Message::Subs { generation, subs });
    }

    /// Returns what this peer wants of every other.
    pub(crate) fn wanted(&self) -> Vec<Wanted> {
        if matches!(self.config.role, Role::BigPeer { .. }) {
            let (hash, text) = (hash64(EVERYTHING.as_bytes()), EVERYTHING.to_owned());
            return vec![Wanted { hash, text, args: Vec::new(), collection: None }];
        }
        let mut all: Vec<Wanted> = Vec::new();
        for (subscription, args) in self.subscriptions.values() {
            let (hash, text) = (subscription.hash(), subscription.text().to_owned());
            if all.iter().all(|wanted| wanted.hash != hash) {
                let args = if args.is_empty() { Vec::new() } else { cbor::encode(&Value::Object(args.clone())) };
                all.push(Wanted { hash, text, args, collection: Some(subscription.collection.clone()) });
            }
        }
        all
    }

    pub(crate) fn subscriptions_changed(&mut self) {
        let ids: Vec<LinkId> = self.network.established().map(|(id, _, _)| id).collect();
        ids.into_iter().for_each(|id| self.send_subscriptions(id));
    }

    /// Takes the other side's set of subscriptions.
    fn serve(&mut self, id: LinkId, generation: u64, mut subs: Vec<SubRequest>) {
        self.saved_there(id, saved(&subs));
        let asked = subs.iter().map(|sub| sub.has.position()).collect();
        let (head, floor) = (self.log.head(), self.log.floor());
        // What a Small Peer drops, its Big Peer has acknowledged.
        let told = self.network.links.get(&id).is_some_and(|link| link.is_authority(&self.config.role));
        let widened = Some(self.scopes_widened).filter(|at| *at > Seq(0));
        for sub in &mut subs {
            // It may have missed a tombstone that is gone, or something that was kept back.
            let missed = |at: Seq| at < self.reaper.horizon() && !told || widened.is_some_and(|widened| at <= widened);
            if matches!(sub.has, Has::UpTo(at) if missed(at)) {
                sub.has = Has::Something;
            }
        }
        let Some(link) = self.network.links.get_mut(&id) else { return };
        let from_big_peer = link.remote.as_ref().is_some_and(|remote| remote.is_big_peer);
        let matchers: Vec<_> = subs.iter().map(|sub| matcher_of(sub, from_big_peer)).collect();
        link.outgoing.replace(generation, subs, head, floor);
        link.asked = asked;
        link.giving = SmallMap::new();
        link.matchers.clear();
        let mut refusals = Vec::new();
        for (index, matcher) in matchers.into_iter().enumerate() {
            link.matchers.push(matcher.unwrap_or_else(|(code, detail)| {
                link.outgoing.deny(index);
                refusals.push(Message::SubDenied { generation, sub: index as u64, code, detail });
                Matcher::Denied
            }));
        }
        refusals.iter().for_each(|refusal| _ = self.send(id, refusal));
    }

    /// Moves the position of the live stream of a link.
    fn live_moves(&mut self, id: LinkId, generation: u64, ahead: u64) -> Seq {
        let Some(link) = self.network.links.get_mut(&id) else { return Seq(0) };
        if link.incoming.generation == generation {
            link.incoming.live.0 = link.incoming.live.0.saturating_add(ahead);
        }
        link.incoming.live
    }

    /// Takes data of a link into the pipeline, to be merged and acknowledged in order.
    fn data(&mut self, id: LinkId, arrived: Arrived, unit: &[u8], moves: Moves) {
        let Arrived { generation, sub, size } = arrived;
        let size = size.max(unit::cost(unit));
        let Some(link) = self.network.links.get_mut(&id) else { return };
        let Some(store) = link.remote.as_ref().map(|remote| remote.store) else { return };
        let held = self.pipeline.held(store);
        link.untaken_bytes += size as u64;
        if self.broken.is_some() || link.untaken_bytes > UNTAKEN_BYTES_MAX || held > HELD_BYTES_MAX {
            return self.drop_link(id, ErrorCode::SyncBusy);
        }
        let serving = link.outgoing.generation();
        let live = matches!(moves, Moves::Live(_));
        let mut alone = Vec::new();
        let mut job = RemoteUnit {
            link: id,
            store,
            generation,
            serving,
            docs: Vec::new(),
            moves: Vec::new(),
            bytes: size as u64,
            held: 0,
        };
        let part = matches!(moves, Moves::None);
        let Ok(docs) = unit::decode(unit, &mut link.heard) else { return self.drop_link(id, ErrorCode::SyncProtocol) };
        if generation == link.incoming.generation {
            let weight: usize = docs.iter().map(unit::weight).sum();
            link.incoming.staged_bytes += size.max(weight);
            if link.incoming.staged_bytes > STAGED_BYTES_MAX {
                return self.drop_link(id, ErrorCode::SyncProtocol);
            }
            let of = sub.and_then(|sub| link.incoming.subs.get_mut(usize::try_from(sub).ok()?));
            if let Some(sub) = of {
                sub.documents += docs.len() as u64;
                sub.bytes += weight as u64;
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
                Moves::One(sub, seq) => {
                    let sub = usize::try_from(sub).ok().filter(|sub| *sub < subs.len());
                    alone = sub.map(|sub| link.taking.done(sub)).unwrap_or_default();
                    let sub = sub.map(|sub| &subs[sub]);
                    job.moves = sub.map(|sub| cursor(sub, seq)).into_iter().collect();
                    job.docs = std::mem::take(staged).into_iter().chain(docs).collect();
                }
            }
        }
        let unacknowledged = &mut link.incoming.unacknowledged_bytes;
        if part {
            *unacknowledged += size as u64;
            return;
        }
        job.bytes += std::mem::take(unacknowledged);
        job.held = job.docs.iter().map(|doc| unit::weight(doc) + DOCUMENT_BYTES).sum();
        match live {
            true => self.pipeline.add(Job::Remote(job)),
            // The end of a catch-up comes after all of it.
            false => self.pipeline.jobs.push_back(Job::Remote(job)),
        }
        self.drop_what_is_alone(id, alone);
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
            if bytes == 0 && !moves.is_empty() {
                // A subscription went live: what it brought moved this side's position.
                link.caught_up = true;
                link.through_due = link.through_due.map(|_| self.now);
            }
            link.received_at = Some(self.now);
        }
    }

    /// Acknowledges what was saved since the last time, one message a link.
    pub(crate) fn send_acknowledgement(&mut self, id: LinkId) {
        let Some(link) = self.network.links.get_mut(&id).filter(|link| link.ack_due) else { return };
        link.ack_due = false;
        let Some(store) = link.remote.as_ref().map(|remote| remote.store) else { return };
        let wanted = link.incoming.subs.iter().filter(|sub| !sub.denied);
        let seq = wanted.map(|sub| self.cursors.cursor(store, sub.hash).unwrap_or_default()).min().unwrap_or_default();
        let news = (seq, link.taken_bytes);
        if std::mem::replace(&mut link.acknowledgement, news) != news {
            self.send(id, &Message::Ack { seq, bytes: news.1 });
        }
    }

    fn acknowledged(&mut self, id: LinkId, seq: Seq, bytes: u64) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        if link.outgoing.acknowledged(bytes).is_err() {
            return self.drop_link(id, ErrorCode::SyncProtocol);
        }
        self.saved_there(id, seq);
    }

    /// The other side has everything that it wants up to this position of the log.
    fn saved_there(&mut self, id: LinkId, seq: Seq) {
        // It may have saved more than is left here after a power cut; then it says nothing about the present log.
        let seq = if seq > self.log.head() { Seq(0) } else { seq };
        let Some(link) = self.network.links.get_mut(&id) else { return };
        link.acknowledged = link.acknowledged.max(seq);
        if link.remote.as_ref().is_some_and(|remote| remote.is_big_peer) && seq > self.network.acknowledged {
            self.network.acknowledged = seq;
            self.network.acknowledged_moved = true;
            while self.network.pending.pop_front_if(|pending| *pending <= seq).is_some() {}
        }
    }

    fn incoming_sub(&mut self, id: LinkId, generation: u64, sub: u64) -> Option<&mut IncomingSub> {
        let incoming = &mut self.network.links.get_mut(&id)?.incoming;
        (incoming.generation == generation).then_some(())?;
        incoming.subs.get_mut(usize::try_from(sub).ok()?)
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

/// What a message says of itself.
struct Arrived {
    /// Of the set of subscriptions that it answers.
    generation: u64,
    /// The subscription that catches up by it.
    sub: Option<u64>,
    /// Bytes of its frame.
    size: usize,
}

/// Which cursors a message moves.
enum Moves {
    /// All live ones.
    Live(Seq),
    /// None: more of the unit follows.
    None,
    /// That of one subscription, by its place.
    One(u64, Seq),
    /// None, and the unit is whole.
    Stay,
}

/// One subscription of this peer.
pub(crate) struct Wanted {
    hash: u64,
    pub text: String,
    args: Vec<u8>,
    collection: Option<CollectionName>,
}

/// Returns up to where a set of subscriptions says that everything is saved.
fn saved(subs: &[SubRequest]) -> Seq {
    subs.iter().map(|sub| sub.has.position()).min().unwrap_or_default()
}

/// Says whether there are documents of a collection, or of any. A block that is missing is not waited for: it has some.
pub(crate) fn has_documents(store: &impl Store, collection: Option<&CollectionName>) -> bool {
    let range = collection.map_or_else(Key::all_documents, Key::documents);
    store.range(&range, 1).map_or(true, |rows| !rows.is_empty())
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
