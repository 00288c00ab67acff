//! The small record that says which indexes there are and how far each is built, and the rows that a commit changes.
//!
//! Layout (version 1): version, indexes (count, each: number 8 bytes, collection, name, fields (count, each: whether it
//! descends, names (count, each)), progress: 1 built, or 0, the key through which it is built, documents), dropped indexes
//! (count, each: number 8 bytes, the key through which its rows are deleted). Counts and lengths are varints.

use dql::{Index, IndexKey, Needed};
use store::{Batch, Key, ReadError, Store};
use value::limits::{COLLECTION_NAME_BYTES_MAX, DEPTH_MAX, FIELD_NAME_BYTES_MAX, ID_BYTES_MAX};
use value::{CollectionName, DecodeError, DocId, Object, Reader, Value, Writer};

use super::count::Counts;
use super::key;
use crate::draft::Draft;
use crate::packed::Packed;

/// Name of the small record.
pub const RECORD: &str = "indexes";
/// Fields of an index.
pub const FIELDS_MAX: usize = 16;
/// Indexes of a collection.
pub const INDEXES_MAX: usize = 64;
/// Longest name of an index, bytes.
pub const NAME_BYTES_MAX: usize = 256;
const VERSION: u8 = 1;
const ENTRIES_MAX: usize = 100_000;
/// Longest key that the record holds: of a document, or of an index row.
const KEY_BYTES_MAX: usize = 64 * 1024 + 2 * COLLECTION_NAME_BYTES_MAX + ID_BYTES_MAX;

/// An index as applications see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexListing {
    /// What it is.
    pub index: Index,
    /// Whether it is complete; only then it is used.
    pub built: bool,
    /// Documents it had when it was last built further; of a built index, those of the build.
    pub documents: u64,
    /// Live documents of the collection, when they were counted.
    pub of: Option<u64>,
}

/// How far an index is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Documents up to a key have their rows; the default key is before all.
    Building(Key),
    /// All have.
    Built,
}

/// One index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub index: Index,
    pub progress: Progress,
    /// Documents that the build has found so far.
    pub documents: u64,
}

impl Entry {
    /// Says whether a document has its row.
    pub fn covers(&self, document: &Key) -> bool {
        match &self.progress {
            Progress::Building(through) => document <= through,
            Progress::Built => true,
        }
    }
}

/// An index whose rows are being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    pub number: u64,
    /// Rows through this key are gone.
    pub through: Key,
}

/// All indexes of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    pub entries: Vec<Entry>,
    pub dropped: Vec<Dropped>,
}

impl Catalogue {
    /// Reads the small record.
    pub fn load(store: &impl Store) -> Result<Catalogue, ReadError> {
        Ok(Catalogue::read(store.get(&Key::meta(RECORD))?.as_deref()))
    }

    /// Takes the small record. One that cannot be read has no indexes: they are made again, and verification tells.
    pub fn read(record: Option<&[u8]>) -> Catalogue {
        record.and_then(|bytes| Catalogue::decode(bytes).ok()).unwrap_or_default()
    }

    /// Returns the indexes that can be read.
    pub fn built(&self) -> Vec<Index> {
        let built = self.entries.iter().filter(|entry| entry.progress == Progress::Built);
        built.map(|entry| entry.index.clone()).collect()
    }

    /// Returns what applications are told.
    pub fn listed(&self, counts: &Counts) -> Vec<IndexListing> {
        let listing = |entry: &Entry| IndexListing {
            index: entry.index.clone(),
            built: entry.progress == Progress::Built,
            documents: entry.documents,
            of: counts.known(&entry.index.collection),
        };
        self.entries.iter().map(listing).collect()
    }

    /// Finds an index by name.
    pub fn find(&self, collection: &CollectionName, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.index.collection == *collection && entry.index.name == name)
    }

    /// Says whether a number is taken by an index, or by one whose rows are not gone yet.
    pub fn greatest_number(&self) -> u64 {
        let numbers = self.entries.iter().map(|entry| entry.index.number);
        numbers.chain(self.dropped.iter().map(|dropped| dropped.number)).max().unwrap_or(0)
    }

    /// Adds an index to be built.
    pub fn add(&mut self, index: Index) {
        self.entries.push(Entry { index, progress: Progress::Building(Key::default()), documents: 0 });
    }

    /// Takes an index out; its rows are deleted by steps.
    pub fn remove(&mut self, place: usize) {
        let entry = self.entries.remove(place);
        self.dropped.push(Dropped { number: entry.index.number, through: Key::default() });
    }

    /// Begins all indexes again under new numbers, since rows of the old ones may be missing.
    pub fn begin_again(&mut self, first_number: u64) {
        for (entry, number) in self.entries.iter_mut().zip(first_number..) {
            self.dropped.push(Dropped { number: entry.index.number, through: Key::default() });
            entry.index.number = number;
            entry.progress = Progress::Building(Key::default());
            entry.documents = 0;
        }
    }

    /// Adds to a batch how the index rows of a commit's documents change.
    pub fn maintain(&self, draft: &Draft, batch: &mut Batch) {
        if self.entries.is_empty() {
            return;
        }
        // Documents come by collection.
        let mut current: Option<(&CollectionName, Vec<&Entry>, Needed)> = None;
        for (key, doc) in draft.docs() {
            if current.as_ref().is_none_or(|(collection, ..)| **collection != doc.collection) {
                let entries: Vec<&Entry> =
                    self.entries.iter().filter(|entry| entry.index.collection == doc.collection).collect();
                let needed = key::needed(entries.iter().map(|entry| &entry.index));
                current = Some((&doc.collection, entries, needed));
            }
            let Some((_, entries, needed)) = &current else { continue };
            let mut covering = entries.iter().filter(|entry| entry.covers(key)).peekable();
            if covering.peek().is_none() {
                continue;
            }
            let fields = |packed: &Packed| packed.fields(&doc.id, needed);
            let before = fields(&doc.before);
            let after = doc.after.as_ref().and_then(fields);
            if identical(before.as_ref(), after.as_ref()) {
                continue;
            }
            covering.for_each(|entry| change_row(&entry.index, &doc.id, (before.as_ref(), after.as_ref()), batch));
        }
    }

    /// Returns the bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(VERSION).var(self.entries.len() as u64);
        for Entry { index, progress, documents } in &self.entries {
            out.fixed64(index.number).str(index.collection.as_str()).str(&index.name).var(index.keys.len() as u64);
            for key in &index.keys {
                out.u8(u8::from(key.descending)).var(key.path.len() as u64);
                key.path.iter().for_each(|name| _ = out.str(name));
            }
            match progress {
                Progress::Building(through) => _ = out.u8(0).bytes(through.as_bytes()),
                Progress::Built => _ = out.u8(1),
            }
            out.var(*documents);
        }
        out.var(self.dropped.len() as u64);
        for dropped in &self.dropped {
            out.fixed64(dropped.number).bytes(dropped.through.as_bytes());
        }
        out.finish()
    }

    /// Reads the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Catalogue, DecodeError> {
        let mut r = Reader::new(bytes);
        let version = r.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version(u64::from(version)));
        }
        let entries = (0..r.count(ENTRIES_MAX)?).map(|_| decode_entry(&mut r)).collect::<Result<_, _>>()?;
        let mut dropped = Vec::new();
        for _ in 0..r.count(ENTRIES_MAX)? {
            dropped.push(Dropped { number: r.fixed64()?, through: decode_key(&mut r)? });
        }
        r.finish()?;
        Ok(Catalogue { entries, dropped })
    }
}

fn decode_entry(r: &mut Reader<'_>) -> Result<Entry, DecodeError> {
    let number = r.fixed64()?;
    let collection =
        CollectionName::new(r.str(COLLECTION_NAME_BYTES_MAX)?).map_err(|_| DecodeError::Invalid("collection name"))?;
    let name = r.str(NAME_BYTES_MAX)?.to_owned();
    let keys = (0..r.count(FIELDS_MAX)?).map(|_| decode_field(r)).collect::<Result<Vec<_>, _>>()?;
    let progress = match r.u8()? {
        0 => Progress::Building(decode_key(r)?),
        1 => Progress::Built,
        _ => return Err(DecodeError::Invalid("progress of an index")),
    };
    let documents = r.var()?;
    Ok(Entry { index: Index { collection, name, number, keys }, progress, documents })
}

fn decode_field(r: &mut Reader<'_>) -> Result<IndexKey, DecodeError> {
    let descending = match r.u8()? {
        0 => false,
        1 => true,
        _ => return Err(DecodeError::Invalid("flag")),
    };
    let mut path = Vec::new();
    for _ in 0..r.count(DEPTH_MAX)? {
        path.push(r.str(FIELD_NAME_BYTES_MAX)?.to_owned());
    }
    Ok(IndexKey { path, descending })
}

fn decode_key(r: &mut Reader<'_>) -> Result<Key, DecodeError> {
    Ok(Key::from_bytes(r.bytes(KEY_BYTES_MAX)?.to_vec()))
}

/// Says whether fields are the same to the last bit, so that their rows are too.
fn identical(a: Option<&Object>, b: Option<&Object>) -> bool {
    fn same(a: &Value, b: &Value) -> bool {
        match (a, b) {
            // The two zeros are equal, and told apart by a row's note.
            (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
            (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Value::Object(a), Value::Object(b)) => all_same(a, b),
            (a, b) => a == b,
        }
    }
    fn all_same(a: &Object, b: &Object) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|((left, a), (right, b))| left == right && same(a, b))
    }
    match (a, b) {
        (Some(a), Some(b)) => all_same(a, b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// Adds to a batch how the row of one document changes.
fn change_row(index: &Index, id: &DocId, (before, after): (Option<&Object>, Option<&Object>), batch: &mut Batch) {
    let row = |object: Option<&Object>| object.map(|object| key::row(index, object, id));
    let (before, after) = (row(before), row(after));
    if before == after {
        return;
    }
    if let Some((key, _)) = before {
        batch.delete(key);
    }
    if let Some((key, note)) = after {
        batch.put(key, note);
    }
}
