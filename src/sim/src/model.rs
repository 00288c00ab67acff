//! What the clients know: every write they made, what became of it, and what each of them had seen before.
//!
//! The model does not repeat the merge rules. It knows one thing of causality: a write made at a peer after that peer had
//! shown a value overwrites that value wherever the two meet. From this `loss` concludes which values can never be the
//! last ones, and which must be there.
//!
//! What a peer has shown is forgotten here when the peer crashes or evicts, since it may have forgotten it too.

use std::collections::{BTreeMap, BTreeSet};

use store::Durability;
use value::{Millis, Seq, Value};

use crate::disk::Crash;
use crate::document::{self, Code};

/// What a write does to the documents it touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Deletes them.
    Delete,
    /// Removes the local copies.
    Evict,
    /// Inserts as of the beginning of time.
    Initial,
    /// Inserts, or writes fields of what is there.
    Insert,
    /// Writes fields.
    Update,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The client was told that it is kept, at this place of the peer's log.
    Acknowledged(Option<Seq>),
    /// The client was told that there was nothing to do.
    Idle,
    /// Acknowledged for less than the crash that followed; it may be anywhere or nowhere.
    Lost,
    /// The client was told that it failed or was rolled back.
    Refused,
    /// Nobody knows: there was no answer.
    Unknown,
}

/// Names a document: the collection's index and the id.
pub type DocumentId = (usize, i64);

/// One write of one client.
#[derive(Clone, Debug)]
pub struct Write {
    /// At which peer.
    pub node: usize,
    /// Into which collection.
    pub collection: usize,
    /// Which documents it may touch; `None`: any of the collection.
    pub targets: Option<BTreeSet<i64>>,
    /// What it does.
    pub effect: Effect,
    /// The fields it gives a value, as bits.
    pub sets: u8,
    /// The fields it takes away, as bits.
    pub unsets: u8,
    /// What it was asked to survive.
    pub durability: Durability,
    /// For people.
    pub text: String,
    /// When it was made.
    pub made: Millis,
    /// When its fate was known.
    pub settled: Option<Millis>,
    /// What became of it.
    pub fate: Fate,
    /// The documents it touched, once known.
    pub touched: Option<BTreeSet<i64>>,
    /// Values that its peer had shown before it was made.
    pub had_seen: BTreeSet<(i64, Code)>,
}

impl Write {
    /// Says whether it may have changed a document.
    pub fn may_touch(&self, document: DocumentId) -> bool {
        let targeted = match (&self.touched, &self.targets) {
            (Some(ids), _) | (None, Some(ids)) => ids.contains(&document.1),
            (None, None) => true,
        };
        self.collection == document.0 && targeted && !matches!(self.fate, Fate::Idle | Fate::Refused)
    }
}

/// Everything the clients know.
#[derive(Debug, Default)]
pub struct Model {
    /// In the order in which they were made.
    pub writes: Vec<Write>,
    /// What each peer has shown, and when (in the order of all sightings).
    seen: BTreeMap<(usize, usize, i64), BTreeMap<Code, u64>>,
    sightings: u64,
    /// Values that somebody has seen.
    shown: BTreeSet<Code>,
    /// Documents that a peer has evicted: what it wrote there is no longer accounted for.
    evicted: BTreeSet<(usize, DocumentId)>,
}

impl Model {
    /// Returns a mark: sightings after it are later.
    pub fn mark(&self) -> u64 {
        self.sightings
    }

    /// Notes a write that is about to be made, and what its peer had shown up to the mark. Returns its number.
    pub fn make(&mut self, mut write: Write, mark: u64) -> usize {
        let (node, collection) = (write.node, write.collection);
        for ((_, _, id), codes) in self.seen.range((node, collection, i64::MIN)..=(node, collection, i64::MAX)) {
            write.had_seen.extend(codes.iter().filter(|(_, at)| **at <= mark).map(|(code, _)| (*id, *code)));
        }
        if write.effect == Effect::Evict {
            self.evict(node, collection, write.targets.as_ref());
        }
        self.writes.push(write);
        self.writes.len() - 1
    }

    /// Notes what became of a write.
    pub fn settle(&mut self, number: usize, fate: Fate, touched: Option<BTreeSet<i64>>, now: Millis) {
        let write = &mut self.writes[number];
        write.fate = fate;
        write.touched = touched.or(write.touched.take());
        write.settled = (fate != Fate::Unknown).then_some(now);
    }

    /// Notes which documents a statement in an open transaction touched.
    pub fn touch(&mut self, number: usize, touched: BTreeSet<i64>) {
        self.writes[number].touched.get_or_insert_default().extend(touched);
    }

    /// Notes the documents that a peer has shown. Returns a value that nobody can have written.
    pub fn see(&mut self, node: usize, collection: usize, rows: &[Value]) -> Result<(), String> {
        self.sightings += 1;
        for row in rows {
            let (Some(id), Some(object)) = (document::id(row), row.as_object()) else {
                return Err(format!("a row of {} without an _id: {row:?}", document::COLLECTIONS[collection]));
            };
            for field in document::fields(document::ALL_FIELDS) {
                let Some(value) = document::read(object, field) else { continue };
                let code = Code::of(value).filter(|code| code.field == field && code.write < self.writes.len());
                let Some(code) = code else {
                    return Err(format!(
                        "document {id} shows {value:?} in {}, which nobody wrote",
                        document::FIELDS[field]
                    ));
                };
                let seen = self.seen.entry((node, collection, id)).or_default();
                seen.entry(code).or_insert(self.sightings);
                self.shown.insert(code);
            }
        }
        Ok(())
    }

    /// Notes that a peer went down and which of its commits are gone.
    pub fn crash(&mut self, node: usize, crash: Crash, lost: &[Seq]) {
        self.seen.retain(|(of, _, _), _| *of != node);
        for write in self.writes.iter_mut().filter(|write| write.node == node) {
            let gone = matches!(write.fate, Fate::Acknowledged(Some(seq)) if lost.contains(&seq));
            if gone && crash.forgives(write.durability) {
                write.fate = Fate::Lost;
            }
        }
    }

    /// Says whether a write must be in the end what it was when acknowledged.
    pub fn is_certain(&self, write: &Write, id: i64) -> bool {
        matches!(write.fate, Fate::Acknowledged(_))
            && write.touched.as_ref().is_some_and(|touched| touched.contains(&id))
            && !self.evicted.contains(&(write.node, (write.collection, id)))
    }

    /// Returns the number of a refused write whose value somebody has seen.
    pub fn refused_but_shown(&self) -> Option<usize> {
        self.shown.iter().map(|code| code.write).find(|number| self.writes[*number].fate == Fate::Refused)
    }

    fn evict(&mut self, node: usize, collection: usize, targets: Option<&BTreeSet<i64>>) {
        let ids: BTreeSet<i64> = match targets {
            Some(ids) => ids.clone(),
            None => self.writes.iter().filter_map(|write| write.targets.as_ref()).flatten().copied().collect(),
        };
        for id in ids {
            self.seen.remove(&(node, collection, id));
            self.evicted.insert((node, (collection, id)));
        }
    }
}
