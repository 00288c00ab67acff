//! Reconciliation of a subscription: both sides gather what they have of it, the sender asks in rounds (`sync::recon`), and
//! sends whole documents that the receiver lacks or has in another state.
//!
//! What is compared are the documents that match the subscription, and tombstones. A Big Peer subscribes to everything and
//! may hold a thousand times what the sender has; there both compare what the *sender* subscribes to, and the sender sends
//! what else it has. A document that the receiver has and the sender no longer counts in, because it has left the
//! predicate, is found by the hash of its key, and its present state is sent: the receiver learns that it left.
//!
//! Two peers that begin at the same time would each take what the other has changed for news of its own, and send back the
//! old state. So a Small Peer with documents begins once it has what the Big Peer owes it, unless that is much.
//!
//! Items are gathered by one pass over the documents, when the first round needs them, and live as long as the
//! reconciliation: about 60 bytes a document. A document's hash is that of its key and its canonical bytes.

use std::collections::VecDeque;

use store::{Key, KeyRange, ReadError, Store, Visit};
use sync::outgoing::MESSAGE_BYTES;
use sync::recon::{self, Items, Sender};
use sync::recon::{Item, Range};
use sync::{Message, RoundKind};
use value::{CollectionName, DecodeError, DocId, ErrorCode, Seq, SmallMap, hash64, hash128_of};

use crate::config::Role;
use crate::engine::Engine;
use crate::incoming::has_documents;
use crate::io::LinkId;
use crate::network::{Link, Matcher};
use crate::packed;
use crate::pump::{Filled, Progress};
use crate::record::DocState;
use crate::{unit, view};

/// Bytes of data frames after which a Small Peer that still hears of changes begins to tell of its own.
const HEAR_BYTES: u64 = 256 * 1024;

/// What one side has of a subscription.
#[derive(Debug, Default)]
struct Gathered {
    items: Items,
    /// Keys in the order of the items.
    keys: Vec<Key>,
    /// Keys of other documents of the range.
    others: Vec<Key>,
}

/// A reconciliation at the sender.
#[derive(Debug)]
pub struct Giving {
    sender: Sender,
    keys: Vec<Key>,
    /// Documents of the collection that do not match, by the hash of their key, ascending.
    left: Vec<(u64, Key)>,
    /// To be sent before the next round.
    send: VecDeque<Key>,
}

/// The reconciliations of a link, at the receiver.
#[derive(Debug, Default)]
pub struct Taking {
    /// What was gathered, by the place of the subscription.
    gathered: SmallMap<usize, Gathered>,
    /// Rounds to be answered.
    rounds: VecDeque<Waiting>,
    /// Documents that the sender does not count in, with their hashes, where that may mean that they were deleted.
    alone: SmallMap<usize, Vec<(Key, u128)>>,
}

/// A round that waits for what was sent before it.
#[derive(Debug)]
struct Waiting {
    sub: usize,
    round: RoundKind,
    ranges: Vec<Range>,
    /// It is answered when so many bytes of the link are saved.
    after: u64,
}

impl Taking {
    /// A subscription is complete: returns what only this side has of it.
    pub fn done(&mut self, sub: usize) -> Vec<(Key, u128)> {
        self.gathered.remove(&sub);
        self.alone.remove(&sub).unwrap_or_default()
    }
}

/// The receiver's answer to a round.
pub struct Answer {
    /// What it says of the ranges.
    pub ranges: Vec<Range>,
    /// Places of the documents that it needs.
    pub needed: Vec<u64>,
    /// Hashes of keys that the sender does not count in.
    pub extra: Vec<u64>,
}

/// What is compared for a subscription.
enum Compared<'a> {
    /// What the sender subscribes to, which it has parsed itself.
    Own,
    /// What any of these match.
    Matchers(&'a [Matcher]),
}

impl<S: Store> Engine<S> {
    /// Takes the next step of a reconciliation: documents to send, or a round, which is sent at once.
    pub(crate) fn reconcile(&mut self, id: LinkId, sub: usize, upto: Seq) -> Result<Option<Filled>, ReadError> {
        let Some(link) = self.network.links.get(&id) else { return Ok(None) };
        if !link.giving.contains_key(&sub) {
            let giving = self.give(link, sub)?;
            if let Some(link) = self.network.links.get_mut(&id) {
                link.giving.insert(sub, giving);
            }
        }
        let docs = self.take_documents(id, sub)?;
        let Some(link) = self.network.links.get_mut(&id) else { return Ok(None) };
        if !docs.is_empty() {
            return Ok(Some(Filled { units: vec![docs], progress: Progress::Reconciled { sub, complete: None } }));
        }
        let Some(giving) = link.giving.get_mut(&sub) else { return Ok(None) };
        let Some(round) = giving.sender.next_round() else {
            link.giving.remove(&sub);
            let progress = Progress::Reconciled { sub, complete: Some(upto) };
            return Ok(Some(Filled { units: vec![Vec::new()], progress }));
        };
        let kind = RoundKind { extent: round.extent, fresh: round.fresh, wants_extra: !giving.left.is_empty() };
        link.outgoing.asked(sub);
        let generation = link.outgoing.generation();
        self.send(id, &Message::Recon { generation, sub: sub as u64, round: kind, ranges: round.ranges });
        Ok(None)
    }

    /// Says whether a reconciliation that has not begun waits for what the other side owes.
    pub(crate) fn hears_first(&self, link: &Link) -> bool {
        link.is_authority(&self.config.role)
            && link.giving.is_empty()
            && has_documents(&self.store, None)
            && link.taken_bytes + link.untaken_bytes < HEAR_BYTES
            && (link.untaken_bytes > 0 || link.incoming.subs.iter().any(|sub| !sub.live && !sub.denied))
    }

    /// Starts a reconciliation at the sender.
    fn give(&self, link: &Link, sub: usize) -> Result<Giving, ReadError> {
        let everything = matches!(link.matchers[sub], Matcher::Everything);
        let compared =
            if everything { Compared::Own } else { Compared::Matchers(std::slice::from_ref(&link.matchers[sub])) };
        let Gathered { items, keys, others } = self.gather_items(&compared, Some(link))?;
        let (mut left, mut send) = (Vec::new(), VecDeque::new());
        if everything {
            send = others.into();
        } else {
            left = others.into_iter().map(|key| (hash64(key.as_bytes()), key)).collect();
            left.sort_unstable_by_key(|(hash, _)| *hash);
        }
        Ok(Giving { sender: Sender::new(items), keys, left, send })
    }

    /// Takes documents off what is to be sent, until a message is full.
    fn take_documents(&mut self, id: LinkId, sub: usize) -> Result<Vec<DocState>, ReadError> {
        let link = self.network.links.get(&id);
        let horizon = link.map_or(Seq(0), |link| self.horizon_of_big_peer(link));
        let giving = link.and_then(|link| link.giving.get(&sub));
        let (mut docs, mut bytes, mut taken) = (Vec::new(), 0, 0);
        for key in giving.iter().flat_map(|giving| &giving.send) {
            if bytes >= MESSAGE_BYTES {
                break;
            }
            taken += 1;
            // One that was evicted since is nobody's loss.
            let Some(stored) = self.store.get(key)? else { continue };
            let (seq, delta) = view::split(&stored)?;
            if !self.was_deleted_at(horizon, seq, (key, delta))? {
                let (collection, id) = view::named(key)?;
                let doc = DocState { collection, id, delta: delta.to_vec() };
                bytes += unit::weight(&doc);
                docs.push(doc);
            }
        }
        if let Some(giving) = self.network.links.get_mut(&id).and_then(|link| link.giving.get_mut(&sub)) {
            giving.send.drain(..taken);
        }
        Ok(docs)
    }

    /// Takes the receiver's answer to a round.
    pub(crate) fn answer_heard(&mut self, id: LinkId, generation: u64, sub: u64, answer: Answer) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        let Some(sub) = usize::try_from(sub).ok().filter(|_| link.outgoing.generation() == generation) else { return };
        let Some(giving) = link.giving.get_mut(&sub) else { return };
        match giving.answered(&answer) {
            Ok(()) => link.outgoing.answered(sub),
            Err(_) => self.drop_link(id, ErrorCode::SyncProtocol),
        }
    }

    /// Takes a round of the sender, to be answered when everything that it sent before is saved.
    pub(crate) fn round_heard(
        &mut self,
        id: LinkId,
        generation: u64,
        sub: u64,
        (round, ranges): (RoundKind, Vec<Range>),
    ) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        let sub = usize::try_from(sub).ok().filter(|sub| *sub < link.incoming.subs.len());
        if let Some(sub) = sub.filter(|_| link.incoming.generation == generation) {
            // The sender waits for the answer to a round before the next of the same subscription.
            if link.taking.rounds.iter().any(|waiting| waiting.sub == sub) {
                return self.drop_link(id, ErrorCode::SyncProtocol);
            }
            let after = link.taken_bytes + link.untaken_bytes;
            link.taking.rounds.push_back(Waiting { sub, round, ranges, after });
        }
    }

    /// Answers the rounds of a link for which it has come to the time. Errors: blocks are missing.
    pub(crate) fn answer_rounds(&mut self, id: LinkId) -> Result<(), ReadError> {
        while let Some(link) = self.network.links.get(&id) {
            let waiting = link.taking.rounds.front().filter(|waiting| link.taken_bytes >= waiting.after);
            let Some((sub, round)) = waiting.map(|waiting| (waiting.sub, waiting.round)) else { break };
            let gathered = match link.taking.gathered.contains_key(&sub) && !round.fresh {
                true => None,
                false => Some(self.gather_for(link, sub)?),
            };
            let deleted = link.incoming.subs.get(sub).is_some_and(|sub| sub.returns);
            let Some(link) = self.network.links.get_mut(&id) else { break };
            if let Some(gathered) = gathered {
                link.taking.gathered.insert(sub, gathered);
            }
            let Some(Waiting { ranges, .. }) = link.taking.rounds.pop_front() else { break };
            let Some(gathered) = link.taking.gathered.get(&sub) else { break };
            let answer = recon::answer(&gathered.items, &ranges, round.extent);
            if deleted {
                let alone = answer.extra.iter().map(|at| (gathered.keys[*at].clone(), gathered.items.hash(*at)));
                link.taking.alone.or_insert_with(sub, Vec::new).extend(alone);
            }
            let extra = answer.extra.iter().filter(|_| round.wants_extra);
            let extra = extra.map(|at| hash64(gathered.keys[*at].as_bytes())).collect();
            let generation = link.incoming.generation;
            let (ranges, needed) = (answer.ranges, answer.needed);
            self.send(id, &Message::ReconAnswer { generation, sub: sub as u64, ranges, needed, extra });
        }
        Ok(())
    }

    /// Gathers what this peer has of one of its own subscriptions, as the sender on a link counts it.
    fn gather_for(&self, link: &Link, sub: usize) -> Result<Gathered, ReadError> {
        if matches!(self.config.role, Role::BigPeer { .. }) {
            return self.gather_items(&Compared::Matchers(&link.matchers), None);
        }
        let hash = link.incoming.subs[sub].hash;
        let own = self.subscriptions.values().find(|(subscription, _)| subscription.hash() == hash);
        let own: Vec<Matcher> = own.map(|(subscription, _)| Matcher::Query(subscription.clone())).into_iter().collect();
        self.gather_items(&Compared::Matchers(&own), None)
    }

    /// Passes over the documents that are compared; for a sender only those that may go over the link, and the others as well.
    fn gather_items(&self, compared: &Compared<'_>, sender: Option<&Link>) -> Result<Gathered, ReadError> {
        let own: Vec<Matcher>;
        let matchers = match compared {
            Compared::Matchers(matchers) => *matchers,
            Compared::Own if matches!(self.config.role, Role::BigPeer { .. }) => &[Matcher::Everything][..],
            Compared::Own => {
                own = self.subscriptions.values().map(|(one, _)| Matcher::Query(one.clone())).collect();
                own.as_slice()
            }
        };
        let (mut found, mut gathered) = (Vec::new(), Gathered::default());
        for range in ranges_of(compared, matchers) {
            self.gather_range(&range, matchers, sender, (&mut found, &mut gathered.others))?;
        }
        found.sort_unstable_by_key(|(item, _)| *item);
        let (items, keys) = found.into_iter().unzip();
        Ok(Gathered { items: Items::new(items), keys, ..gathered })
    }

    fn gather_range(
        &self,
        range: &KeyRange,
        matchers: &[Matcher],
        sender: Option<&Link>,
        (found, others): (&mut Vec<(Item, Key)>, &mut Vec<Key>),
    ) -> Result<(), ReadError> {
        self.store.resident(range)?;
        let mut failed = None;
        self.store.visit(range, &mut |key, stored| {
            let key = Key::from_bytes(key.to_vec());
            let looked = view::named(&key).and_then(|(collection, id)| {
                if sender.is_some_and(|link| !link.carries(&collection)) {
                    return Ok(());
                }
                match item(&key, (&collection, &id), view::split(stored)?.1, matchers)? {
                    Some(item) => found.push((item, key)),
                    None if sender.is_some() => others.push(key),
                    None => {}
                }
                Ok(())
            });
            failed = looked.err();
            if failed.is_some() { Visit::Stop } else { Visit::Continue }
        })?;
        failed.map_or(Ok(()), Err)
    }
}

/// Returns where the documents are that are compared: the collections of the matchers, or everything.
fn ranges_of(compared: &Compared<'_>, matchers: &[Matcher]) -> Vec<KeyRange> {
    let mut collections: Vec<&CollectionName> = Vec::new();
    for matcher in matchers {
        match matcher {
            Matcher::Denied => {}
            Matcher::Everything => return vec![Key::all_documents()],
            Matcher::Query(one) if collections.contains(&&one.collection) => {}
            Matcher::Query(one) => collections.push(&one.collection),
        }
    }
    match compared {
        // What the sender has beside its own subscriptions goes too.
        Compared::Own => vec![Key::all_documents()],
        Compared::Matchers(_) => collections.into_iter().map(Key::documents).collect(),
    }
}

impl Giving {
    fn answered(&mut self, answer: &Answer) -> Result<(), DecodeError> {
        let needed = self.sender.answered(&answer.ranges, &answer.needed)?;
        self.send.extend(needed.into_iter().map(|at| self.keys[at].clone()));
        for hash in &answer.extra {
            let from = self.left.partition_point(|(known, _)| known < hash);
            let same = self.left[from..].iter().take_while(|(known, _)| known == hash);
            self.send.extend(same.map(|(_, key)| key.clone()));
        }
        Ok(())
    }
}

/// Returns what a document counts as, if any of the matchers wants it.
fn item(
    key: &Key,
    named: (&CollectionName, &DocId),
    doc: &[u8],
    matchers: &[Matcher],
) -> Result<Option<Item>, ReadError> {
    let mut counts = false;
    for matcher in matchers {
        counts = counts || matches(matcher, named, doc)?;
    }
    if !counts {
        return Ok(None);
    }
    let newest = crdt::newest(doc).map_err(|error| ReadError::Backend(format!("a stored document: {error}")))?;
    Ok(Some(Item { time: newest.0, hash: hash128_of(key.as_bytes(), doc) }))
}

/// Says whether a matcher wants a document; tombstones always.
pub(crate) fn matches(
    matcher: &Matcher,
    (collection, id): (&CollectionName, &DocId),
    doc: &[u8],
) -> Result<bool, ReadError> {
    let subscription = match matcher {
        Matcher::Denied => return Ok(false),
        Matcher::Everything => return Ok(true),
        Matcher::Query(subscription) => subscription,
    };
    if *collection != subscription.collection {
        return Ok(false);
    }
    if subscription.is_unconditional() {
        return Ok(true);
    }
    let found = packed::fields(doc, subscription.needed(), || id.clone())?;
    Ok(found.is_none_or(|object| subscription.matches(&object)))
}
