//! Rich content: a yrs document in one leaf. Only this file and its folder name yrs.
//!
//! In: V1 updates, whole or partial, in any order. Out: the *state*, the V1 form of everything received without a gap, and
//! the *pending* updates whose predecessors are still missing, kept as they came. So the join is a union of updates, and the
//! state is a function of that union: the greatest part of it that is closed under "comes after".
//!
//! Any Yjs client reads the state: a plain Y.Doc whose root, a Y.Text, Y.Array or Y.XmlFragment, is named `default`.
//!
//! Invariants, as absences: no panic (no blocking transaction, no `encode_state_as_update`, which unwraps while something is
//! pending; offsets are computed from the text they are applied to); no random client id (it is the hash of the
//! transaction's tick); no V2 encoding, which yrs 0.28 cannot read back behind a gap; nothing but the names of types leaves this folder.
//!
//! Cost: every edit and join decodes the whole state, some µs a KB. A client id is spent on each edit of a statement, about
//! 30 bytes for ever; an editor bound through Yjs spends one a session.

mod content;
mod list;
mod union;
mod xml;

use std::collections::BTreeSet;

use value::{Hlc, Value, Writer, cbor, hash64};
use yrs::Update;
use yrs::updates::decoder::Decode;

use crate::stamp::Stamp;
use crate::yjs_format::{holds_text, is_state_vector, is_well_formed};

pub(crate) use content::{Edit, Fault};

/// The generation of all content that is created where there was none: concurrent creations are one generation, so none is
/// lost. It is greater than that of an INITIAL document, which loses to every edit, and less than any other.
const CREATION: Stamp = Stamp { hlc: Hlc::ZERO, actor: u64::MAX };

/// Which yrs type the root is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RichKind {
    /// A Y.Array.
    List,
    /// A Y.Text.
    Text,
    /// A Y.XmlFragment.
    Xml,
}

impl RichKind {
    /// Returns the name as the language says it.
    pub fn name(self) -> &'static str {
        match self {
            RichKind::List => "LIST",
            RichKind::Text => "TEXT",
            RichKind::Xml => "XML",
        }
    }
}

/// A yrs document as a join semilattice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rich {
    pub(crate) kind: RichKind,
    /// The stamp of its creation; of two creations the greater wins whole.
    pub(crate) generation: Stamp,
    /// The stamp of its newest edit.
    pub(crate) last: Stamp,
    /// What a removal observed: it shows only if `last` is greater.
    pub(crate) removed: Option<Stamp>,
    /// V1 update without a gap; empty before the first.
    pub(crate) state: Vec<u8>,
    /// V1 updates that lack predecessors.
    pub(crate) pending: BTreeSet<Vec<u8>>,
}

impl Rich {
    /// Returns the delta of an edit of what is known, which is of that kind or nothing.
    ///
    /// `tick` names the yrs client; `stamp` is the tick, moved above what is overwritten.
    pub(crate) fn edit(known: Known<'_>, edit: Edit<'_>, tick: Stamp, stamp: Stamp) -> Result<Rich, Fault> {
        let (kind, state) = (known.kind, known.rich.map_or(&[][..], |known| &known.state));
        let client = match edit {
            Edit::Set(value) if known.is_creation(stamp) => client_of_creation(kind, value),
            Edit::Clear | Edit::Set(_) | Edit::Splice { .. } => client_of(tick),
        };
        let update = content::edit(state, kind, edit, client)?;
        let mut delta = known.delta(stamp);
        delta.absorb(update.into_iter().collect());
        Ok(delta)
    }

    /// Returns the delta of an update that a Yjs client made; nothing if all of it is known, `None` if it is no update.
    pub(crate) fn receive(known: Known<'_>, update: &[u8], stamp: Stamp) -> Option<Option<Rich>> {
        if !is_update(known.kind, update) {
            return None;
        }
        // Clients send all they have whenever they come back; that is no edit.
        let shown = known.rich.filter(|rich| rich.newest_live().is_some());
        if shown.is_some_and(|rich| !rich.clone().absorb(BTreeSet::from([update.to_vec()]))) {
            return Some(None);
        }
        let mut delta = known.delta(stamp);
        if update != Update::EMPTY_V1 {
            delta.absorb(BTreeSet::from([update.to_vec()]));
        }
        Some(Some(delta))
    }

    /// Returns the delta of a removal: what is known is deleted, and a concurrent insertion will show alone.
    pub(crate) fn remove(&self) -> Rich {
        // The client id is never used: an edit to nothing inserts nothing.
        let update = content::edit(&self.state, self.kind, Edit::Clear, 0).ok().flatten();
        let mut delta = Rich { removed: Some(self.last), state: Vec::new(), pending: BTreeSet::new(), ..self.clone() };
        delta.absorb(update.into_iter().collect());
        delta
    }

    /// Joins: the greater generation wins, equal ones merge; says whether this changed.
    pub(crate) fn join(&mut self, other: &Rich) -> bool {
        if (other.generation, other.kind) != (self.generation, self.kind) {
            let greater = (other.generation, other.kind) > (self.generation, self.kind);
            if greater {
                self.clone_from(other);
            }
            return greater;
        }
        if self == other {
            return false;
        }
        let before = (self.last, self.removed);
        self.last = self.last.max(other.last);
        self.removed = self.removed.max(other.removed);
        let mut changed = before != (self.last, self.removed);
        let mut news: BTreeSet<Vec<u8>> = other.pending.difference(&self.pending).cloned().collect();
        if other.state != self.state && !other.state.is_empty() {
            if self.state.is_empty() {
                // What was pending may now be whole.
                self.state.clone_from(&other.state);
                changed = true;
                if !self.pending.is_empty() {
                    news.extend(std::mem::take(&mut self.pending));
                }
            } else {
                news.insert(other.state.clone());
            }
        }
        changed | self.absorb(news)
    }

    /// Adds updates and moves what has no gap any more into the state; says whether this changed.
    fn absorb(&mut self, news: BTreeSet<Vec<u8>>) -> bool {
        if news.is_empty() {
            return false;
        }
        let mut all = news;
        all.extend(self.pending.iter().cloned());
        let Some((state, pending)) = union::settle(&self.state, &all) else {
            let changed = all != self.pending;
            self.pending = all;
            return changed;
        };
        let changed = state != self.state || pending != self.pending;
        self.state = state;
        self.pending = pending;
        changed
    }

    /// Returns the newest edit unless it was removed.
    pub(crate) fn newest_live(&self) -> Option<Stamp> {
        Some(self.last).filter(|last| Some(*last) > self.removed)
    }

    pub(crate) fn newest(&self) -> Stamp {
        self.last.max(self.generation).max(self.removed.unwrap_or_default())
    }

    /// Returns what a reader sees: the text, the items of the list, or the XML as text.
    pub(crate) fn value(&self) -> Value {
        content::value(&self.state, self.kind)
    }

    /// Returns the state as an update that yjs takes.
    pub(crate) fn state_v1(&self) -> Vec<u8> {
        if self.state.is_empty() { Update::EMPTY_V1.to_vec() } else { self.state.clone() }
    }

    /// Returns what a Yjs client lacks that has come as far as a state vector says, and how far it has come then; `None` if that is none.
    pub(crate) fn lacking(&self, known: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        if is_state_vector(known) { union::lacking(&self.state, known) } else { None }
    }
}

/// What is at a path before an edit.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    /// Content of that kind.
    pub(crate) rich: Option<&'a Rich>,
    /// The kind of the edit.
    pub(crate) kind: RichKind,
    /// There is content of another kind.
    pub(crate) is_other: bool,
}

impl Known<'_> {
    /// Says whether an edit is the first of all; that of an INITIAL document keeps to itself, so that two seeds are not added up.
    fn is_creation(&self, stamp: Stamp) -> bool {
        self.rich.is_none() && !self.is_other && stamp.hlc != Hlc::ZERO
    }

    /// Returns a delta without content.
    fn delta(&self, stamp: Stamp) -> Rich {
        let creation = if self.is_creation(stamp) { CREATION } else { stamp };
        let generation = self.rich.map_or(creation, |known| known.generation);
        let (state, pending) = (Vec::new(), BTreeSet::new());
        Rich { kind: self.kind, generation, last: stamp, removed: None, state, pending }
    }
}

/// Says whether bytes from outside are a V1 update of a field, so that they may be kept and given to yrs.
///
/// A LIST holds no block of text: yrs never comes to the end of a list with one that has a character outside of the basic plane.
pub(crate) fn is_update(kind: RichKind, bytes: &[u8]) -> bool {
    let misplaced = kind == RichKind::List && holds_text(bytes);
    is_well_formed(bytes) && !misplaced && Update::decode_v1(bytes).is_ok()
}

/// Returns the client id of a creation: of what is written, so that the same content written on two peers is one and not
/// two. It stands for that content alone, since nothing else is ever written under it.
fn client_of_creation(kind: RichKind, value: &Value) -> u64 {
    let mut writer = Writer::new();
    writer.u8(kind as u8).bytes(&cbor::encode(value));
    hash64(&writer.finish()) >> 11
}

/// Returns the client id of an edit: 53 bits, as JavaScript can hold. A tick is never used twice, not even by a writer that
/// forgot the document, so no client id ever stands for two different texts.
fn client_of(tick: Stamp) -> u64 {
    let mut writer = Writer::new();
    writer.fixed64(tick.hlc.0).fixed64(tick.actor);
    hash64(&writer.finish()) >> 11
}
