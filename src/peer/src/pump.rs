//! What links are owed: steps of the planner in `sync`, filled with documents.
//!
//! A delta goes out where the document's base went out before (a live subscription that matched it before the change);
//! otherwise the whole document does. A change does not go back over the link it came from. Empty units are not sent; the
//! position they would have carried is told a second later, when nothing else was; at once where a catch-up moved it, so
//! that a short visit leaves a cursor at the other side.

use std::rc::Rc;

use store::{Key, KeyRange, ReadError, Store, Visit};
use sync::outgoing::MESSAGE_BYTES;
use sync::{Message, Step};
use value::{CollectionName, DocId, Seq, StoreId};

use crate::draft::Change;
use crate::engine::Engine;
use crate::io::LinkId;
use crate::log_tail::{LogEntry, Via};
use crate::network::{Link, Matcher};
use crate::packed::Packed;
use crate::reconcile;
use crate::record::DocState;
use crate::unit;
use crate::view;

/// How long a moved position may wait for a commit to carry it, milliseconds.
const THROUGH_MS: u64 = 1_000;
/// Rows of a scan read at a time.
const ROWS: usize = 128;

/// Documents to send, and what the planner is told once they are sent.
pub(crate) struct Filled {
    /// What each message holds.
    pub units: Vec<Vec<DocState>>,
    /// Which messages they are.
    pub progress: Progress,
}

/// What is being served, and how far it comes.
#[derive(Clone, Debug)]
pub(crate) enum Progress {
    /// A subscription from the log.
    CaughtUp { sub: usize, through: Seq },
    /// All live subscriptions.
    Live { through: Seq },
    /// A reconciliation; complete at a position.
    Reconciled { sub: usize, complete: Option<Seq> },
    /// A scan; complete at a position, or goes on after a key.
    Scanned { sub: usize, next: Result<Seq, Vec<u8>> },
}

impl<S: Store> Engine<S> {
    /// Lets every link send what its window allows, and acknowledge what was saved.
    pub(crate) fn run_links(&mut self) {
        if !self.booted {
            return;
        }
        let ids: Vec<LinkId> = self.network.links.keys().copied().collect();
        for id in ids {
            self.send_acknowledgement(id);
            self.answer_rounds_of(id);
            self.pump(id);
            self.pump_blobs(id);
            self.drain(id);
        }
        self.run_dialers();
    }

    /// The log has a new head.
    pub(crate) fn published(&mut self, seq: Seq, floor_rose: bool) {
        let local = self.log.after(Seq(seq.0 - 1)).any(LogEntry::is_local);
        if local && seq > self.network.acknowledged && self.config.role.big_peer_url().is_some() {
            self.network.pending.push_back(seq);
        }
        if floor_rose {
            let (head, floor) = (self.log.head(), self.log.floor());
            self.network.links.values_mut().for_each(|link| link.outgoing.floor_rose(head, floor));
        }
    }

    fn pump(&mut self, id: LinkId) {
        loop {
            self.tell_torn(id);
            let Some(link) = self.network.links.get(&id) else { return };
            let Some(remote) = link.remote.as_ref().map(|remote| remote.store) else { return };
            let step = link.outgoing.next(self.log.head());
            if link.parked || !link.outgoing.has_room_for(&step) {
                return;
            }
            let filled = match step {
                Step::Rest => return,
                Step::GoLive { sub, at } => {
                    self.go_live(id, sub, at);
                    continue;
                }
                Step::Reconcile { .. } if self.hears_first(link) => return,
                Step::Reconcile { sub, upto } => match self.reconcile(id, sub, upto) {
                    Ok(Some(filled)) => Ok(filled),
                    Ok(None) => continue,
                    Err(error) => Err(error),
                },
                Step::CatchUp { sub, after, until } => self.fill_catch_up(link, remote, sub, after, until),
                Step::Live { after } => self.fill_live(link, remote, after),
                Step::Scan { sub, after, upto, since } => {
                    if after.is_none() && since.is_none() {
                        self.tell_expected(id, sub);
                    }
                    let Some(link) = self.network.links.get(&id) else { return };
                    self.fill_scan(link, sub, after, upto, since)
                }
            };
            match filled {
                Ok(filled) => self.send_filled(id, filled),
                Err(error) => return self.park_link(id, error),
            }
        }
    }

    fn answer_rounds_of(&mut self, id: LinkId) {
        if self.network.links.get(&id).is_some_and(|link| !link.parked)
            && let Err(error) = self.answer_rounds(id)
        {
            self.park_link(id, error);
        }
    }

    /// A link waits for blocks.
    fn park_link(&mut self, id: LinkId, error: ReadError) {
        match self.park_on(error) {
            Ok(()) => self.network.links.get_mut(&id).into_iter().for_each(|link| link.parked = true),
            Err(failure) => self.break_down(failure),
        }
    }

    /// Tells the other side that nothing is live any more, if so: a cursor of it must not move over what will be scanned for.
    fn tell_torn(&mut self, id: LinkId) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        if link.outgoing.take_torn() {
            let generation = link.outgoing.generation();
            self.send(id, &Message::NotLive { generation });
        }
    }

    fn go_live(&mut self, id: LinkId, sub: usize, at: Seq) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        link.outgoing.gone_live(sub, at);
        link.told = at;
        let generation = link.outgoing.generation();
        let ahead = at.0.wrapping_sub(link.asked.get(sub).map_or(0, |asked| asked.0));
        self.send(id, &Message::SubLive { generation, sub: sub as u64, ahead });
    }

    fn send_filled(&mut self, id: LinkId, filled: Filled) {
        let Filled { units, progress } = filled;
        let (count, none) = (units.len(), units.is_empty());
        for (number, docs) in units.into_iter().enumerate() {
            let Some(link) = self.network.links.get_mut(&id) else { return };
            let unit = unit::encode(&docs, &mut link.said);
            let cost = unit::cost(&unit);
            let message = progress.message(link.outgoing.generation(), unit, link.told, number + 1 == count);
            let size = self.send(id, &message).max(cost);
            if let Some(link) = self.network.links.get_mut(&id) {
                link.outgoing.sent(size);
            }
        }
        let now = self.now;
        let log = &self.log;
        let Some(link) = self.network.links.get_mut(&id) else { return };
        match progress {
            Progress::CaughtUp { sub, through } => link.outgoing.caught_up(sub, through),
            Progress::Live { through } => {
                // Commits of small records alone are not worth telling; both sides would tell each other for ever.
                let after = link.outgoing.live_at().unwrap_or_default();
                let skipped = log.after(after).take_while(|entry| entry.seq <= through).any(LogEntry::has_docs);
                link.outgoing.live_through(through);
                match none {
                    true if skipped && link.caught_up => link.through_due = Some(now),
                    true if skipped => _ = link.through_due.get_or_insert(now.plus(THROUGH_MS)),
                    true => {}
                    false => (link.told, link.through_due) = (through, None),
                }
            }
            Progress::Reconciled { complete: None, .. } => {}
            Progress::Reconciled { sub, complete: Some(_) } => link.outgoing.reconciled(sub),
            Progress::Scanned { sub, next } => link.outgoing.scanned(sub, next.err()),
        }
    }

    /// Tells the position of the live stream when it moved over nothing but commits that held nothing for the link.
    pub(crate) fn tell_through(&mut self, id: LinkId) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        if link.through_due.is_none_or(|due| due > self.now) {
            return;
        }
        (link.through_due, link.caught_up) = (None, false);
        let Some(through) = link.outgoing.live_at() else { return };
        let (generation, ahead) = (link.outgoing.generation(), through.0 - link.told.0);
        link.told = through;
        let message = Message::Commits { generation, ahead, partial: false, unit: Vec::new() };
        let size = self.send(id, &message);
        if let Some(link) = self.network.links.get_mut(&id) {
            link.outgoing.sent(size);
        }
    }

    fn fill_live(&self, link: &Link, remote: StoreId, after: Seq) -> Result<Filled, ReadError> {
        let subs: Vec<usize> = (0..link.matchers.len()).filter(|sub| link.outgoing.is_live(*sub)).collect();
        let (docs, through) = self.gather(link, remote, &subs, after, self.log.head())?;
        Ok(Filled { units: parts(docs), progress: Progress::Live { through } })
    }

    fn fill_catch_up(
        &self,
        link: &Link,
        remote: StoreId,
        sub: usize,
        after: Seq,
        until: Seq,
    ) -> Result<Filled, ReadError> {
        let (docs, through) = self.gather(link, remote, &[sub], after, until)?;
        Ok(Filled { units: parts(docs), progress: Progress::CaughtUp { sub, through } })
    }

    /// Collects whole commits after a position until a message is full; returns them and the position they reach.
    fn gather(
        &self,
        link: &Link,
        remote: StoreId,
        subs: &[usize],
        after: Seq,
        until: Seq,
    ) -> Result<(Vec<DocState>, Seq), ReadError> {
        let mut docs = Vec::new();
        let (mut bytes, mut through) = (0, until);
        for entry in self.log.after(after).take_while(|entry| entry.seq <= until) {
            if entry.has_docs() {
                let before = docs.len();
                self.gather_entry(link, remote, subs, entry, &mut docs)?;
                bytes += docs[before..].iter().map(unit::weight).sum::<usize>();
            }
            if bytes >= MESSAGE_BYTES {
                through = entry.seq;
                break;
            }
        }
        Ok((docs, through))
    }

    /// Adds what one commit holds for some subscriptions of a link.
    fn gather_entry(
        &self,
        link: &Link,
        remote: StoreId,
        subs: &[usize],
        entry: &LogEntry,
        docs: &mut Vec<DocState>,
    ) -> Result<(), ReadError> {
        let changes = entry.changes.as_ref().map(Rc::as_ref);
        // A store that lost its last commits in a power cut asks again from an older position, and must get back what it
        // had sent itself. So a change is kept from a link only if it came over this very link.
        let via = Via { store: remote, link: link.id, serving: link.outgoing.generation() };
        let came_over = entry.vias.contains(&via);
        for part in entry.parts.iter() {
            let echo = part.origin == remote && came_over;
            for doc in &part.docs {
                if self.log.evicted_after(&doc.collection, &doc.id, entry.seq) {
                    continue;
                }
                match owed(link, subs, changes, &doc.collection, &doc.id) {
                    Owed::Nothing => {}
                    Owed::Delta if echo => {}
                    Owed::Delta => docs.push(doc.clone()),
                    Owed::Whole => {
                        if let Some(delta) = self.whole(&doc.collection, &doc.id)? {
                            docs.push(DocState { delta, ..doc.clone() });
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns a document's whole state; `None` when it was evicted.
    pub(crate) fn whole(&self, collection: &CollectionName, id: &DocId) -> Result<Option<Vec<u8>>, ReadError> {
        match self.store.get(&Key::document(collection, id))? {
            Some(bytes) => Ok(Some(view::split(&bytes)?.1.to_vec())),
            None => Ok(None),
        }
    }

    /// Tells how much a scan will be, where that can be counted without waiting.
    fn tell_expected(&mut self, id: LinkId, sub: usize) {
        let Some(link) = self.network.links.get(&id) else { return };
        let range = scanned(&link.matchers[sub]);
        if self.store.resident(&range).is_err() {
            return;
        }
        let matcher = &link.matchers[sub];
        // Where nothing has to be looked at nothing is read: nobody else is served meanwhile.
        let all = matches!(matcher, Matcher::Query(one) if one.is_unconditional() && link.carries(&one.collection));
        let (mut documents, mut bytes) = (0, 0);
        let counted = self.store.visit(&range, &mut |key, stored| {
            let wants = |doc| {
                let Ok((collection, id)) = view::named(&Key::from_bytes(key.to_vec())) else { return false };
                link.carries(&collection) && reconcile::matches(matcher, (&collection, &id), doc) == Ok(true)
            };
            if let Ok((_, doc)) = view::split(stored)
                && (all || wants(doc))
            {
                documents += 1;
                bytes += unit::weight_of(key.len(), doc.len()) as u64;
            }
            Visit::Continue
        });
        let generation = link.outgoing.generation();
        if counted.is_ok() {
            self.send(id, &Message::Expect { generation, sub: sub as u64, documents, bytes });
        }
    }

    /// Collects the next documents of a scan.
    fn fill_scan(
        &self,
        link: &Link,
        sub: usize,
        after: Option<Vec<u8>>,
        upto: Seq,
        since: Option<Seq>,
    ) -> Result<Filled, ReadError> {
        let matcher = &link.matchers[sub];
        let mut range = scanned(matcher);
        if let Some(after) = after {
            range = range.after(&Key::from_bytes(after));
        }
        let (mut docs, mut bytes, mut last) = (Vec::new(), 0, None);
        let complete = loop {
            let rows = self.store.range(&range, ROWS)?;
            for (key, stored) in &rows {
                let (seq, doc) = view::split(stored)?;
                last = Some(key.clone());
                if since.is_some_and(|since| seq <= since) {
                    continue;
                }
                // What changed while the other side was away may have left the predicate: it must hear of that.
                if let Some(state) =
                    wanted(matcher, key, doc, since.is_some())?.filter(|doc| link.carries(&doc.collection))
                {
                    bytes += unit::weight(&state);
                    docs.push(state);
                }
            }
            match &last {
                Some(key) if rows.len() == ROWS => range = range.after(key),
                _ => break true,
            }
            if bytes >= MESSAGE_BYTES {
                break false;
            }
        };
        let next = match last {
            Some(key) if !complete => Err(key.into_bytes()),
            _ => Ok(upto),
        };
        Ok(Filled { units: vec![docs], progress: Progress::Scanned { sub, next } })
    }
}

impl Progress {
    /// Returns the message of one of its units.
    fn message(&self, generation: u64, unit: Vec<u8>, told: Seq, last: bool) -> Message {
        match *self {
            Progress::CaughtUp { sub, through } => {
                Message::CatchUp { generation, sub: sub as u64, through, partial: !last, unit }
            }
            Progress::Live { through } => {
                let ahead = if last { through.0 - told.0 } else { 0 };
                Message::Commits { generation, ahead, partial: !last, unit }
            }
            Progress::Reconciled { sub, complete } => Message::Docs { generation, sub: sub as u64, complete, unit },
            Progress::Scanned { sub, ref next } => {
                Message::Docs { generation, sub: sub as u64, complete: next.as_ref().ok().copied(), unit }
            }
        }
    }
}

/// Returns where a subscription's documents are.
fn scanned(matcher: &Matcher) -> KeyRange {
    match matcher {
        Matcher::Denied => panic!("a denied subscription is not scanned"),
        Matcher::Everything => Key::all_documents(),
        Matcher::Query(subscription) => Key::documents(&subscription.collection),
    }
}

/// Cuts a commit's documents into units of messages. No documents: no message.
fn parts(docs: Vec<DocState>) -> Vec<Vec<DocState>> {
    let mut units: Vec<Vec<DocState>> = Vec::new();
    let mut bytes = MESSAGE_BYTES;
    for doc in docs {
        if bytes >= MESSAGE_BYTES {
            units.push(Vec::new());
            bytes = 0;
        }
        bytes += unit::weight(&doc);
        if let Some(unit) = units.last_mut() {
            unit.push(doc);
        }
    }
    units
}

/// What a link is owed of one changed document.
enum Owed {
    Delta,
    Nothing,
    Whole,
}

fn owed(link: &Link, subs: &[usize], changes: Option<&[Change]>, collection: &CollectionName, id: &DocId) -> Owed {
    let mut owed = Owed::Nothing;
    if !link.carries(collection) {
        return owed;
    }
    for sub in subs {
        let subscription = match &link.matchers[*sub] {
            Matcher::Denied => continue,
            Matcher::Everything => return Owed::Delta,
            Matcher::Query(subscription) => subscription,
        };
        if subscription.collection != *collection {
            continue;
        }
        // Nobody remembers whether it matched: the whole document is never wrong.
        let Some(change) = changes.and_then(|changes| change_of(changes, collection, id)) else { return Owed::Whole };
        let fields = |packed: &Packed| packed.fields(id, subscription.needed());
        if fields(&change.before).is_some_and(|object| subscription.matches(&object)) {
            return Owed::Delta;
        }
        // A document that was not live and is not now: its tombstone merges with whatever the other side has.
        if fields(&change.after).is_none_or(|object| subscription.matches(&object)) {
            owed = Owed::Whole;
        }
    }
    owed
}

/// Finds what a commit did to a document; its changes ascend.
fn change_of<'a>(changes: &'a [Change], collection: &CollectionName, id: &DocId) -> Option<&'a Change> {
    let place = changes.binary_search_by(|change| (&change.collection, &change.id).cmp(&(collection, id)));
    place.ok().map(|place| &changes[place])
}

/// Returns a scanned document if the subscription wants it. Tombstones are always wanted: the other side may have the
/// document from somebody else.
fn wanted(matcher: &Matcher, key: &Key, doc: &[u8], had_before: bool) -> Result<Option<DocState>, ReadError> {
    let (collection, id) = view::named(key)?;
    let matches = had_before || reconcile::matches(matcher, (&collection, &id), doc)?;
    Ok(matches.then(|| DocState { collection, id, delta: doc.to_vec() }))
}
