//! Rich content: a yrs document in one leaf. The only file that names yrs.
//!
//! In: V1 updates, whole or partial, in any order. Out: the *state*, the V1 form of everything received without a gap, and
//! the *pending* updates whose predecessors are still missing, kept as they came. So the join is a union of updates, and the
//! state is a function of that union: the greatest part of it that is closed under "comes after".
//!
//! Any Yjs client reads the state: a plain Y.Doc whose root, a Y.Text, Y.Array or Y.XmlFragment, is named `default`.
//!
//! Invariants, as absences: no panic (no blocking transaction, no `encode_state_as_update`, which unwraps while something is
//! pending; offsets are computed from the text they are applied to); no random client id (it is the hash of the
//! transaction's tick); no V2 encoding, which yrs 0.28 cannot read back behind a gap; nothing but the names of types leaves this file.
//!
//! Cost: every edit and join decodes the whole state, some µs a KB. A client id is spent on each edit of a statement, about
//! 30 bytes for ever; an editor bound through Yjs spends one a session.

use std::collections::BTreeSet;

use value::{Value, Writer, hash64};
use yrs::types::ToJson;
use yrs::updates::decoder::Decode;
use yrs::{
    Any, Array, ClientID, GetString, Number, OffsetKind, Options, ReadTxn, StateVector, Text, Transact, Update,
    WriteTxn,
};

use crate::stamp::Stamp;
use crate::yjs_format::is_well_formed;

/// Name of the root type in the Y.Doc.
const ROOT: &str = "default";

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
    /// Returns the delta by which `known` (or nothing) becomes that text; `None` if the known state cannot be read.
    ///
    /// What the text has in common with the known one at its start and end stays, so concurrent edits merge. `tick` names
    /// the yrs client; `stamp` is the tick, moved above what is overwritten.
    pub(crate) fn write(known: Option<&Rich>, text: &str, tick: Stamp, stamp: Stamp) -> Option<Rich> {
        let update = splice(known.map_or(&[], |known| &known.state), text, client_of(tick))?;
        let mut delta = Rich {
            kind: RichKind::Text,
            generation: known.map_or(stamp, |known| known.generation),
            last: stamp,
            removed: None,
            state: Vec::new(),
            pending: BTreeSet::new(),
        };
        delta.absorb(update.into_iter().collect());
        Some(delta)
    }

    /// Returns the delta of a removal: the known text is deleted, and a concurrent insertion will show alone.
    pub(crate) fn remove(&self) -> Rich {
        let update = match self.kind {
            // The client id is never used: an edit to no text inserts nothing.
            RichKind::Text => splice(&self.state, "", 0).flatten(),
            RichKind::List | RichKind::Xml => None,
        };
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
        let Some((state, pending)) = settle(&self.state, &all) else {
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
        let Some(doc) = load(&self.state, 0) else { return Value::Null };
        let Ok(mut txn) = doc.try_transact_mut() else { return Value::Null };
        match self.kind {
            RichKind::List => {
                let list = txn.get_or_insert_array(ROOT);
                Value::Array(list.iter(&txn).map(|item| from_any(&item.to_json(&txn), 0)).collect())
            }
            RichKind::Text => Value::Str(txn.get_or_insert_text(ROOT).get_string(&txn)),
            RichKind::Xml => Value::Str(txn.get_or_insert_xml_fragment(ROOT).get_string(&txn)),
        }
    }

    /// Returns the state as an update that yjs takes.
    pub(crate) fn state_v1(&self) -> Vec<u8> {
        if self.state.is_empty() { Update::EMPTY_V1.to_vec() } else { self.state.clone() }
    }
}

/// Says whether bytes from outside are a V1 update, so that they may be kept and given to yrs.
pub(crate) fn is_update(bytes: &[u8]) -> bool {
    is_well_formed(bytes) && Update::decode_v1(bytes).is_ok()
}

/// Returns the client id of an edit: 53 bits, as JavaScript can hold. A tick is never used twice, not even by a writer that
/// forgot the document, so no client id ever stands for two different texts.
fn client_of(tick: Stamp) -> u64 {
    let mut writer = Writer::new();
    writer.fixed64(tick.hlc.0).fixed64(tick.actor);
    hash64(&writer.finish()) >> 11
}

/// Makes a yrs document from a state; `None` if that cannot be read.
fn load(state: &[u8], client: u64) -> Option<yrs::Doc> {
    let mut options = Options::with_guid_and_client_id("".into(), ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    let doc = yrs::Doc::with_options(options);
    if !state.is_empty() {
        let update = Update::decode_v1(state).ok()?;
        doc.try_transact_mut().ok()?.apply_update(update).ok()?;
    }
    Some(doc)
}

/// Returns the update that turns the text of a state into another one: `Some(None)` if they are equal.
fn splice(state: &[u8], text: &str, client: u64) -> Option<Option<Vec<u8>>> {
    let doc = load(state, client)?;
    let mut txn = doc.try_transact_mut().ok()?;
    let root = txn.get_or_insert_text(ROOT);
    let old = root.get_string(&txn);
    let start: usize = old.chars().zip(text.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    let (old_rest, new_rest) = (&old[start..], &text[start..]);
    let common = old_rest.chars().rev().zip(new_rest.chars().rev()).take_while(|(a, b)| a == b);
    let end: usize = common.map(|(a, _)| a.len_utf8()).sum();
    let (cut, put) = (&old_rest[..old_rest.len() - end], &new_rest[..new_rest.len() - end]);
    if cut.is_empty() && put.is_empty() {
        return Some(None);
    }
    let at = utf16_len(&old[..start]);
    if at + utf16_len(cut) > root.len(&txn) {
        return None;
    }
    if !cut.is_empty() {
        root.remove_range(&mut txn, at, utf16_len(cut));
    }
    root.insert(&mut txn, at, put);
    Some(Some(txn.encode_update_v1()))
}

fn utf16_len(text: &str) -> u32 {
    text.encode_utf16().count() as u32
}

/// Applies to a state every update that then has no gap; returns the new state and the rest, `None` if the state is broken.
///
/// An update that is not whole after *all* were applied is not whole after any part of them, so dropping those and trying
/// again ends at the one greatest part, whatever the order of arrival.
fn settle(state: &[u8], all: &BTreeSet<Vec<u8>>) -> Option<(Vec<u8>, BTreeSet<Vec<u8>>)> {
    let mut whole: BTreeSet<&Vec<u8>> = all.iter().collect();
    while !whole.is_empty() {
        let doc = load(state, 0)?;
        let mut gaps: Vec<&Vec<u8>> = whole.iter().copied().filter(|update| !apply(&doc, update)).collect();
        if gaps.is_empty() {
            let reached = doc.try_transact().ok()?.state_vector();
            gaps = whole.iter().copied().filter(|update| !is_covered(update, &reached)).collect();
        }
        if gaps.is_empty() {
            let pending = all.iter().filter(|update| !whole.contains(update)).cloned().collect();
            return Some((canonical(&doc)?, pending));
        }
        gaps.iter().for_each(|gap| {
            whole.remove(*gap);
        });
    }
    Some((state.to_vec(), all.clone()))
}

fn apply(doc: &yrs::Doc, update: &[u8]) -> bool {
    let Ok(update) = Update::decode_v1(update) else { return false };
    doc.try_transact_mut().is_ok_and(|mut txn| txn.apply_update(update).is_ok())
}

/// Says whether everything an update inserts or deletes was reached: yrs holds a client's clock at its first gap.
fn is_covered(update: &[u8], reached: &StateVector) -> bool {
    let Ok(update) = Update::decode_v1(update) else { return false };
    let inserts = update.insertions(true);
    let mut ids = inserts.iter().chain(update.delete_set().iter());
    ids.all(|(client, ranges)| ranges.iter().all(|range| range.end <= reached.get(client)))
}

/// Returns the state in the one form that does not depend on the order of updates.
///
/// Blocks that arrived apart stay apart until a fresh document joins all neighbours, so the state goes through one.
fn canonical(doc: &yrs::Doc) -> Option<Vec<u8>> {
    let state = doc.try_transact().ok()?.encode_diff_v1(&StateVector::default());
    let state = load(&state, 0)?.try_transact().ok()?.encode_diff_v1(&StateVector::default());
    Some(if state == Update::EMPTY_V1 { Vec::new() } else { state })
}

fn from_any(any: &Any, depth: usize) -> Value {
    match any {
        _ if depth >= value::limits::DEPTH_MAX => Value::Null,
        Any::Null | Any::Undefined => Value::Null,
        Any::Bool(truth) => Value::Bool(*truth),
        Any::Number(Number::Int(int)) => Value::Int(*int),
        Any::Number(Number::Float(float)) if float.is_finite() => Value::Float(*float),
        Any::Number(Number::Float(_)) => Value::Null,
        Any::String(text) => Value::Str(text.to_string()),
        Any::Buffer(bytes) => Value::Bytes(bytes.to_vec()),
        Any::Array(items) => Value::Array(items.iter().map(|item| from_any(item, depth + 1)).collect()),
        Any::Map(fields) => {
            let mut object = value::Object::new();
            object.extend(fields.iter().map(|(name, field)| (name.clone(), from_any(field, depth + 1))));
            Value::Object(object)
        }
    }
}
