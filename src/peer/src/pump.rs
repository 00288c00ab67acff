//! What links are owed: steps of the planner in `sync`, filled with documents.
//!
//! A delta goes out where the document's base went out before (a live subscription that matched it before the change);
//! otherwise the whole document does. A change does not go back over the link it came from. Empty units are not sent; the
//! position they would have carried is told a second later, when nothing else was.

use std::rc::Rc;

use store::{Key, ReadError, Store};
use sync::outgoing::MESSAGE_BYTES;
use sync::{DocState, Message, Step, Unit};
use value::{CollectionName, DocId, Seq, StoreId};

use crate::draft::Change;
use crate::engine::Engine;
use crate::io::LinkId;
use crate::log_tail::{LogEntry, Via};
use crate::network::{Link, Matcher};
use crate::packed::{self, Packed};
use crate::view;

/// How long a moved position may wait for a commit to carry it, milliseconds.
const THROUGH_MS: u64 = 1_000;
/// Rows of a scan read at a time.
const ROWS: usize = 128;

/// A message, and what the planner is told once it is sent.
struct Filled {
    messages: Vec<Message>,
    progress: Progress,
}

enum Progress {
    CaughtUp { sub: usize, through: Seq },
    Live { through: Seq },
    Scanned { sub: usize, after: Option<Vec<u8>> },
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
        while let Some(link) = self.network.links.get(&id) {
            let Some(remote) = link.remote.as_ref().map(|remote| remote.store) else { return };
            if link.parked || !link.outgoing.window_open() {
                return;
            }
            let step = link.outgoing.next(self.log.head());
            let filled = match step {
                Step::Rest => return,
                Step::GoLive { sub, at } => {
                    self.go_live(id, sub, at);
                    continue;
                }
                Step::CatchUp { sub, after, until } => self.fill_catch_up(link, remote, sub, after, until),
                Step::Live { after } => self.fill_live(link, remote, after),
                Step::Scan { sub, after, upto, since } => self.fill_scan(link, sub, after, upto, since),
            };
            match filled {
                Ok(filled) => self.send_filled(id, filled),
                Err(error) => {
                    match self.park_on(error) {
                        Ok(()) => self.network.links.get_mut(&id).into_iter().for_each(|link| link.parked = true),
                        Err(failure) => self.break_down(failure),
                    }
                    return;
                }
            }
        }
    }

    fn go_live(&mut self, id: LinkId, sub: usize, at: Seq) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        link.outgoing.gone_live(sub, at);
        let (generation, hash) = (link.outgoing.generation(), link.outgoing.request(sub).hash);
        self.send(id, &Message::SubLive { generation, hash, at });
    }

    fn send_filled(&mut self, id: LinkId, filled: Filled) {
        for message in &filled.messages {
            let size = self.send(id, message);
            if let Some(link) = self.network.links.get_mut(&id) {
                link.outgoing.sent(size);
            }
        }
        let now = self.now;
        let log = &self.log;
        let Some(link) = self.network.links.get_mut(&id) else { return };
        match filled.progress {
            Progress::CaughtUp { sub, through } => link.outgoing.caught_up(sub, through),
            Progress::Live { through } => {
                // Commits of small records alone are not worth telling; both sides would tell each other for ever.
                let after = link.outgoing.live_at().unwrap_or_default();
                let skipped = log.after(after).take_while(|entry| entry.seq <= through).any(LogEntry::has_docs);
                link.outgoing.live_through(through);
                match filled.messages.is_empty() {
                    true if skipped => _ = link.through_due.get_or_insert(now.plus(THROUGH_MS)),
                    true => {}
                    false => link.through_due = None,
                }
            }
            Progress::Scanned { sub, after } => link.outgoing.scanned(sub, after),
        }
    }

    /// Tells the position of the live stream when it moved over nothing but commits that held nothing for the link.
    pub(crate) fn tell_through(&mut self, id: LinkId) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        if link.through_due.is_none_or(|due| due > self.now) {
            return;
        }
        link.through_due = None;
        let Some(through) = link.outgoing.live_at() else { return };
        let message =
            Message::Commits { generation: link.outgoing.generation(), through, partial: false, unit: Unit::default() };
        let size = self.send(id, &message);
        if let Some(link) = self.network.links.get_mut(&id) {
            link.outgoing.sent(size);
        }
    }

    fn fill_live(&self, link: &Link, remote: StoreId, after: Seq) -> Result<Filled, ReadError> {
        let subs: Vec<usize> = (0..link.matchers.len()).filter(|sub| link.outgoing.is_live(*sub)).collect();
        let (docs, through) = self.gather(link, remote, &subs, after, self.log.head())?;
        let generation = link.outgoing.generation();
        let messages = parts(docs, |unit, partial| Message::Commits { generation, through, partial, unit });
        Ok(Filled { messages, progress: Progress::Live { through } })
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
        let (generation, hash) = (link.outgoing.generation(), link.outgoing.request(sub).hash);
        let messages = parts(docs, |unit, partial| Message::CatchUp { generation, hash, through, partial, unit });
        Ok(Filled { messages, progress: Progress::CaughtUp { sub, through } })
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
                bytes += docs[before..].iter().map(|doc: &DocState| doc.delta.len() + 16).sum::<usize>();
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
    fn whole(&self, collection: &CollectionName, id: &DocId) -> Result<Option<Vec<u8>>, ReadError> {
        match self.store.get(&Key::document(collection, id))? {
            Some(bytes) => Ok(Some(view::split(&bytes)?.1.to_vec())),
            None => Ok(None),
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
        let mut range = match matcher {
            Matcher::Denied => panic!("a denied subscription is not scanned"),
            Matcher::Everything => Key::all_documents(),
            Matcher::Query(subscription) => Key::documents(&subscription.collection),
        };
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
                if let Some(state) = wanted(matcher, key, doc, since.is_some())? {
                    bytes += state.delta.len() + 16;
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
        let (generation, hash) = (link.outgoing.generation(), link.outgoing.request(sub).hash);
        let message = Message::Docs { generation, hash, complete: complete.then_some(upto), unit: Unit { docs } };
        let after = last.filter(|_| !complete).map(|key| key.as_bytes().to_vec());
        Ok(Filled { messages: vec![message], progress: Progress::Scanned { sub, after } })
    }
}

/// Cuts a commit's documents into messages; all but the last say that more follows. No documents: no message.
fn parts(docs: Vec<DocState>, message: impl Fn(Unit, bool) -> Message) -> Vec<Message> {
    let mut messages = Vec::new();
    let (mut unit, mut bytes) = (Unit::default(), 0);
    for doc in docs {
        if bytes >= MESSAGE_BYTES {
            messages.push(message(std::mem::take(&mut unit), true));
            bytes = 0;
        }
        bytes += doc.delta.len() + 16;
        unit.docs.push(doc);
    }
    if !unit.docs.is_empty() {
        messages.push(message(unit, false));
    }
    messages
}

/// What a link is owed of one changed document.
enum Owed {
    Delta,
    Nothing,
    Whole,
}

fn owed(link: &Link, subs: &[usize], changes: Option<&[Change]>, collection: &CollectionName, id: &DocId) -> Owed {
    let mut owed = Owed::Nothing;
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
    let matches = match matcher {
        Matcher::Denied => false,
        Matcher::Everything => true,
        Matcher::Query(subscription) => {
            let found = packed::fields(doc, subscription.needed(), || id.clone())?;
            had_before || found.is_none_or(|object| subscription.matches(&object))
        }
    };
    Ok(matches.then(|| DocState { collection, id, delta: doc.to_vec() }))
}
