//! The twin of every store: a sorted map in memory, with no device behind it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;

use value::Seq;

use crate::key::{Key, KeyRange};
use crate::store::{Batch, ReadError, Row, Store, StoreError};

/// A store that forgets everything at its end.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    rows: BTreeMap<Key, Vec<u8>>,
    applied: Seq,
}

impl MemoryStore {
    /// Starts empty.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.rows.get(key).cloned())
    }

    fn lend(&self, key: &Key) -> Result<Option<Cow<'_, [u8]>>, ReadError> {
        Ok(self.rows.get(key).map(|bytes| Cow::Borrowed(bytes.as_slice())))
    }

    fn range(&self, range: &KeyRange, limit: usize) -> Result<Vec<Row>, ReadError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let end = range.end.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.rows.range((Bound::Included(&range.start), end));
        Ok(rows.take(limit).map(|(key, bytes)| (key.clone(), bytes.clone())).collect())
    }

    fn tail(&self, range: &KeyRange, rows: usize) -> Result<Key, ReadError> {
        if range.is_empty() {
            return Ok(range.start.clone());
        }
        let end = range.end.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut inside = self.rows.range((Bound::Included(&range.start), end)).rev();
        Ok(inside.nth(rows).map_or_else(|| range.start.clone(), |(key, _)| key.clone()))
    }

    fn apply(&mut self, batch: Batch) -> Result<(), StoreError> {
        if batch.seq <= self.applied {
            return Ok(());
        }
        for (key, change) in batch.changes {
            match change {
                Some(bytes) => self.rows.insert(key, bytes),
                None => self.rows.remove(&key),
            };
        }
        self.applied = batch.seq;
        Ok(())
    }

    fn applied(&self) -> Seq {
        self.applied
    }
}
