//! What verification asks: whether the rows of every index are those of its documents, no more and no fewer.

use std::collections::BTreeMap;

use store::{BlockId, Key, KeyRange, ReadError, Store, Visit};
use value::DocId;

use super::catalogue::{Catalogue, Entry, RECORD};
use super::key;
use crate::engine::Engine;
use crate::packed;
use crate::view;

/// Problems that are told of one index.
const TOLD_MAX: usize = 10;

impl<S: Store> Engine<S> {
    /// Returns what is wrong with the index rows of the store. `read` brings blocks that are not in memory.
    ///
    /// For tools and tests: it reads everything in one go.
    pub fn check_indexes(
        &mut self,
        mut read: impl FnMut(&[BlockId]) -> Vec<Option<Vec<u8>>>,
    ) -> Result<Vec<String>, ReadError> {
        loop {
            match check_indexes(&self.store) {
                Err(ReadError::NotResident(blocks)) => {
                    let found = read(&blocks);
                    for (block, bytes) in blocks.into_iter().zip(found) {
                        self.store.admit(block, bytes)?;
                    }
                }
                answer => return answer,
            }
        }
    }
}

/// Returns what is wrong with the index rows of a store: those that are missing, wrong, or of no index.
pub fn check_indexes(store: &impl Store) -> Result<Vec<String>, ReadError> {
    let mut problems = Vec::new();
    if let Some(record) = store.get(&Key::meta(RECORD))?
        && let Err(error) = Catalogue::decode(&record)
    {
        problems.push(format!("the catalogue of the indexes cannot be read: {error}"));
    }
    let catalogue = Catalogue::load(store)?;
    for entry in &catalogue.entries {
        check(store, entry, &mut problems)?;
    }
    let known = |number| {
        catalogue.entries.iter().any(|entry| entry.index.number == number)
            || catalogue.dropped.iter().any(|dropped| dropped.number == number)
    };
    let mut range = KeyRange::new(Key::index_row(0, &[]), Key::index_rows(u64::MAX).end);
    while let Some((first, _)) = store.range(&range, 1)?.first() {
        let Some(store::Parsed::IndexRow { index, .. }) = first.parse() else { break };
        if !known(index) {
            problems.push(format!("there are rows of an index with number {index}, which does not exist"));
        }
        let Some(end) = Key::index_rows(index).end else { break };
        range.start = end;
    }
    Ok(problems)
}

fn check(store: &impl Store, entry: &Entry, problems: &mut Vec<String>) -> Result<(), ReadError> {
    let index = &entry.index;
    let documents = Key::documents(&index.collection);
    let prefix = documents.start.as_bytes().len();
    let needed = key::needed(std::iter::once(index));
    let mut expected: BTreeMap<Key, Vec<u8>> = BTreeMap::new();
    store.visit(&documents, &mut |document, stored| {
        let id = DocId::from_stored(&document[prefix..]);
        let fields = view::split(stored).and_then(|(_, doc)| packed::fields(doc, &needed, || id.clone()));
        if let Ok(Some(object)) = fields
            && entry.covers(&Key::from_bytes(document.to_vec()))
        {
            let (key, note) = key::row(index, &object, &id);
            expected.insert(key, note);
        }
        Visit::Continue
    })?;
    let mut told = 0;
    let mut tell = |what: &str, key: &Key, note: &[u8]| {
        told += 1;
        if told <= TOLD_MAX {
            let id = key::id_of(index, key.as_bytes(), note).map(|id| DocId::from_bytes(id).map(|id| id.to_value()));
            problems.push(format!("index {} of {}: {what} of document {id:?}", index.name, index.collection));
        }
    };
    store.visit(&Key::index_rows(index.number), &mut |key, note| {
        let key = Key::from_bytes(key.to_vec());
        match expected.remove(&key) {
            None => tell("there is a row too many", &key, note),
            Some(expected) if expected != note => tell("there is a wrong note in the row", &key, note),
            Some(_) => {}
        }
        Visit::Continue
    })?;
    expected.iter().for_each(|(key, note)| tell("there is no row", key, note));
    Ok(())
}
