//! Which documents name which blobs: counted once over all documents, then kept by every commit.
//!
//! A token is stored with the 64 digits of its id as text, whatever declared or undeclared form the field has, and the bytes
//! of a document hold text as it is. So a document is searched for such text without being decoded; what looks like an id
//! and is none keeps nothing alive that anybody could have. Only documents that hold an id are decoded, and only when their
//! blobs are to be fetched.
//!
//! The count is wanted while there are blobs or fetches; a store without any is never scanned.

use std::collections::BTreeMap;

use crdt::{Fields, project};
use store::{Key, Store};
use value::{BlobId, Millis, Value};

use crate::draft::Change;
use crate::engine::Engine;
use crate::view;

/// Documents of one step of the scan.
const ROWS: usize = 128;
/// Between two steps, milliseconds.
const STEP_MS: u64 = 1;
/// What stands before the digits: text of 64 bytes, in CBOR.
const HEAD: [u8; 2] = [0x78, 0x40];
const DIGITS: usize = 64;

/// The count.
#[derive(Debug, Default)]
pub struct Names {
    documents: BTreeMap<BlobId, u32>,
    scan: Scan,
    step_at: Option<Millis>,
}

#[derive(Debug, Default)]
enum Scan {
    /// Every commit is followed.
    Complete,
    /// Nothing is known.
    #[default]
    Idle,
    /// Documents through this key are counted.
    Running(Option<Key>),
}

impl Names {
    /// Says whether a document names a blob; right only when complete.
    pub fn is_named(&self, id: &BlobId) -> bool {
        self.documents.contains_key(id)
    }

    /// Says whether all documents are counted.
    pub fn is_complete(&self) -> bool {
        matches!(self.scan, Scan::Complete)
    }

    /// Returns when the next step is due.
    pub fn step_at(&self) -> Option<Millis> {
        self.step_at
    }

    /// Says whether the scan waits for blocks.
    pub fn is_parked(&self) -> bool {
        matches!(self.scan, Scan::Running(_)) && self.step_at.is_none()
    }

    pub(super) fn unpark(&mut self, now: Millis) {
        if self.is_parked() {
            self.step_at = Some(now);
        }
    }

    /// Forgets the count, since commits were missed.
    pub(super) fn forget(&mut self) {
        *self = Names::default();
    }

    fn add(&mut self, id: BlobId) {
        *self.documents.entry(id).or_insert(0) += 1;
    }

    /// Returns whether that was the last.
    fn remove(&mut self, id: BlobId) -> bool {
        let Some(count) = self.documents.get_mut(&id) else { return false };
        *count -= 1;
        let last = *count == 0;
        if last {
            self.documents.remove(&id);
        }
        last
    }

    /// Says whether a document was counted.
    fn covers(&self, change: &Change) -> bool {
        match &self.scan {
            Scan::Complete => true,
            Scan::Idle | Scan::Running(None) => false,
            Scan::Running(Some(after)) => Key::document(&change.collection, &change.id) <= *after,
        }
    }
}

impl<S: Store> Engine<S> {
    /// Says whether this engine fetches whatever documents name.
    pub(super) fn fetches_by_itself(&self) -> bool {
        self.blobs.auto_fetch && self.network.may_link
    }

    /// Starts to count, if that is wanted.
    pub(super) fn start_naming(&mut self) {
        let blobs = &mut self.blobs;
        let fetching =
            !blobs.fetches.is_empty() || !blobs.broken.is_empty() || (blobs.auto_fetch && self.network.may_link);
        let keeping = self.may_compact && !blobs.held.is_empty();
        if matches!(blobs.names.scan, Scan::Idle) && (fetching || keeping) {
            blobs.names.scan = Scan::Running(None);
            blobs.names.step_at = Some(self.now);
            // A small store is counted in one step.
            self.name_some();
        }
    }

    /// Counts some more documents.
    pub(super) fn name_some(&mut self) {
        if self.blobs.names.step_at.is_none_or(|at| at > self.now) || !self.booted {
            return;
        }
        self.blobs.names.step_at = None;
        let Scan::Running(after) = &self.blobs.names.scan else { return };
        let range = match after {
            Some(after) => Key::all_documents().after(after),
            None => Key::all_documents(),
        };
        let rows = match self.store.range(&range, ROWS) {
            Ok(rows) => rows,
            Err(error) => return self.park_on(error).err().into_iter().for_each(|failure| self.break_down(failure)),
        };
        for (_, stored) in &rows {
            // A document that cannot be read names nothing; whoever reads it is told.
            let Ok((_, doc)) = view::split(stored) else { continue };
            self.count(doc);
        }
        match rows.last() {
            Some((key, _)) if rows.len() == ROWS => {
                self.blobs.names.scan = Scan::Running(Some(key.clone()));
                self.blobs.names.step_at = Some(self.now.plus(STEP_MS));
            }
            _ => self.blobs.names.scan = Scan::Complete,
        }
        self.blobs.due = true;
    }

    fn count(&mut self, doc: &[u8]) {
        let ids = named(doc);
        if ids.is_empty() {
            return;
        }
        ids.iter().for_each(|id| self.blobs.names.add(*id));
        if self.fetches_by_itself() {
            tokens_of(doc).into_iter().for_each(|(id, len)| self.auto_fetch(id, len));
        }
    }

    /// Commits were missed: everything is counted again.
    pub(crate) fn blob_names_lost(&mut self) {
        self.blobs.names.forget();
        self.blobs.due = true;
    }

    /// A commit changed documents; `None`: nobody knows which.
    pub(crate) fn names_changed(&mut self, changes: Option<&[Change]>) {
        let Some(changes) = changes else {
            return self.blob_names_lost();
        };
        if matches!(self.blobs.names.scan, Scan::Idle) {
            return;
        }
        let mut unnamed = Vec::new();
        for change in changes {
            let before = named(change.before.bytes());
            let after = named(change.after.bytes());
            if before == after || !self.blobs.names.covers(change) {
                continue;
            }
            self.count(change.after.bytes());
            unnamed.extend(before.into_iter().filter(|id| self.blobs.names.remove(*id)));
        }
        for id in unnamed {
            if self.blobs.names.is_complete() && !self.blobs.names.is_named(&id) {
                self.blob_is_unnamed(id);
            }
        }
    }
}

/// Returns the ids in a document's bytes, ascending, each once.
fn named(doc: &[u8]) -> Vec<BlobId> {
    let mut ids = Vec::new();
    let mut rest = doc;
    while rest.len() >= HEAD.len() + DIGITS {
        let last = rest.len() - HEAD.len() - DIGITS;
        let Some(at) = rest[..=last].iter().position(|byte| *byte == HEAD[0]) else { break };
        rest = &rest[at..];
        match rest[..2] == HEAD {
            true => match BlobId::parse(&rest[2..2 + DIGITS]) {
                Some(id) => {
                    ids.push(id);
                    rest = &rest[2 + DIGITS..];
                }
                None => rest = &rest[2..],
            },
            false => rest = &rest[1..],
        }
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Returns the tokens of a document.
fn tokens_of(doc: &[u8]) -> Vec<(BlobId, u64)> {
    let mut found = Vec::new();
    if let Ok(Some(fields)) = project(doc, Fields::All) {
        fields.values().for_each(|value| collect_tokens(value, &mut found));
    }
    found
}

fn collect_tokens(value: &Value, found: &mut Vec<(BlobId, u64)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_tokens(item, found)),
        Value::Object(fields) => {
            let id = fields.get("id").and_then(Value::as_str).and_then(|id| BlobId::parse(id.as_bytes()));
            let len = fields.get("len").and_then(Value::as_int).and_then(|len| u64::try_from(len).ok());
            match (id, len) {
                (Some(id), Some(len)) => found.push((id, len)),
                _ => fields.values().for_each(|field| collect_tokens(field, found)),
            }
        }
        _ => {}
    }
}
