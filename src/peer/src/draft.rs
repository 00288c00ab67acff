//! Changes that are evaluated but not committed: the overlay that later statements of the same commit read through.

use std::collections::BTreeMap;

use crate::record::DocState;
use store::{Batch, Key};
use value::{CollectionName, DocId, Hlc, Seq, SmallMap, StoreId, Writer};

use crate::index::RowChange;
use crate::packed::Packed;
use crate::record::{Part, Record};

/// A document that a draft changes.
#[derive(Clone, Debug)]
pub struct DraftDoc {
    /// Where it lives.
    pub collection: CollectionName,
    /// Which.
    pub id: DocId,
    /// As the store has it; the absent document when it has none.
    pub before: Packed,
    /// As it will be; `None` when it is evicted.
    pub after: Option<Packed>,
}

/// One document's change, as a statement or a remote unit makes it.
#[derive(Clone, Debug)]
pub struct Write {
    /// Where it lives.
    pub collection: CollectionName,
    /// Which.
    pub id: DocId,
    /// As it was when the change was computed, the drafts below included.
    pub before: Packed,
    /// What changes.
    pub effect: Effect,
}

/// What a change makes of a document.
#[derive(Clone, Debug)]
pub enum Effect {
    /// It is dropped here only.
    Evicted,
    /// It is merged with a delta.
    Joined {
        /// The delta.
        delta: Packed,
        /// Both together.
        after: Packed,
        /// The delta's newest stamp.
        newest: Hlc,
    },
}

impl Write {
    /// Returns the newest stamp that it writes.
    pub fn newest(&self) -> Hlc {
        match self.effect {
            Effect::Evicted => Hlc::ZERO,
            Effect::Joined { newest, .. } => newest,
        }
    }
}

/// What a change did to a document.
#[derive(Clone, Debug)]
pub struct Change {
    /// Where it lives.
    pub collection: CollectionName,
    /// Which.
    pub id: DocId,
    /// As it was.
    pub before: Packed,
    /// As it is now.
    pub after: Packed,
}

/// Uncommitted changes by key, and the record they will be.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    docs: BTreeMap<Key, DraftDoc>,
    parts: Vec<Part>,
    metas: SmallMap<String, Option<Vec<u8>>>,
    /// Rows that a step of an index's build puts or deletes; not in the record.
    rows: Vec<RowChange>,
    bytes: usize,
}

impl Draft {
    /// Says whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.metas.is_empty()
    }

    /// Returns roughly how large the record will be, bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns a document of the overlay.
    pub fn doc(&self, key: &Key) -> Option<&DraftDoc> {
        self.docs.get(key)
    }

    /// Returns the overlay's documents in the order of their keys.
    pub fn docs(&self) -> &BTreeMap<Key, DraftDoc> {
        &self.docs
    }

    /// Sets or removes a small record.
    pub fn put_meta(&mut self, name: &str, bytes: Option<Vec<u8>>) {
        self.bytes += name.len() + bytes.as_ref().map_or(0, Vec::len);
        self.metas.insert(name.to_owned(), bytes);
    }

    /// Takes rows that go with a new catalogue of indexes.
    pub fn put_rows(&mut self, rows: Vec<RowChange>) {
        self.rows = rows;
    }

    /// Takes a change in.
    pub fn add(&mut self, origin: StoreId, write: Write) {
        let key = Key::document(&write.collection, &write.id);
        let slot = self.docs.entry(key).or_insert_with(|| DraftDoc {
            collection: write.collection.clone(),
            id: write.id.clone(),
            after: None,
            before: write.before,
        });
        // A part's evictions come after its documents, so what is evicted and written again begins another part.
        let evicted = |part: &Part| part.evicted.iter().any(|(name, id)| *name == write.collection && *id == write.id);
        let joins = matches!(write.effect, Effect::Joined { .. });
        if self.parts.last().is_none_or(|part| part.origin != origin || (joins && evicted(part))) {
            self.parts.push(Part { origin, docs: Vec::new(), evicted: Vec::new() });
        }
        let part = self.parts.last_mut().expect("a part was just pushed if there was none");
        match write.effect {
            Effect::Evicted => {
                slot.after = None;
                part.evicted.push((write.collection, write.id));
            }
            Effect::Joined { delta, after, .. } => {
                slot.after = Some(after);
                let delta = delta.bytes().to_vec();
                self.bytes += delta.len() + write.id.as_bytes().len() + 8;
                part.docs.push(DocState { collection: write.collection, id: write.id, delta });
            }
        }
    }

    /// Returns the collections of evicted documents.
    pub fn evicted_collections(&self) -> Vec<CollectionName> {
        let mut collections: Vec<CollectionName> = Vec::new();
        for (collection, _) in self.parts.iter().flat_map(|part| &part.evicted) {
            if !collections.contains(collection) {
                collections.push(collection.clone());
            }
        }
        collections
    }

    /// Returns the record to append.
    pub fn record(&self, hlc: value::Hlc) -> Record {
        let metas = self.metas.iter().map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
        Record { hlc, parts: self.parts.clone(), metas }
    }

    /// Returns what the store is told once the record is at its place in the log.
    pub fn batch(&self, seq: Seq, record_bytes: u64) -> Batch {
        let mut batch = Batch::new(seq);
        batch.record_bytes = record_bytes;
        for (key, doc) in &self.docs {
            match &doc.after {
                Some(after) => _ = batch.put(key.clone(), stored(seq, after)),
                None => _ = batch.delete(key.clone()),
            }
        }
        batch.changes.extend(self.rows.iter().cloned());
        for (name, bytes) in self.metas.iter() {
            match bytes {
                Some(bytes) => _ = batch.put(Key::meta(name), bytes.clone()),
                None => _ = batch.delete(Key::meta(name)),
            }
        }
        batch
    }

    /// Returns the changes, ascending by collection and `_id`, as keys are.
    pub fn changes(&self) -> Vec<Change> {
        let change = |doc: &DraftDoc| Change {
            collection: doc.collection.clone(),
            id: doc.id.clone(),
            before: doc.before.clone(),
            after: doc.after.clone().unwrap_or_default(),
        };
        self.docs.values().map(change).collect()
    }

    /// Gives the parts and small records away.
    pub fn into_parts(self) -> (Vec<Part>, SmallMap<String, Option<Vec<u8>>>) {
        (self.parts, self.metas)
    }
}

/// Returns a document as the store holds it: the position of its last change, then its bytes.
pub fn stored(seq: Seq, doc: &Packed) -> Vec<u8> {
    let mut out = Writer::with_capacity(8 + doc.bytes().len());
    out.fixed64(seq.0).raw(doc.bytes());
    out.finish()
}
