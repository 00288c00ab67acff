//! The suites that every implementation of `Store`, `Device` and `BlobDevice` has to pass, as plain functions.
//!
//! A skin calls them from its own tests: natively, or in a browser over IndexedDB. They panic with the broken sentence.
//! They know only the contracts written at the traits, and nothing about how an implementation keeps them.

mod blob;
mod device;
mod store;

pub use blob::blob_suite;
pub use device::device_suite;
pub use store::store_suite;

use std::collections::BTreeMap;

use crate::key::{Key, KeyRange};
use crate::store::{ReadError, Row, Store};

/// A small generator of repeatable randomness (SplitMix64); the seed is all there is to print.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// Returns a number below the bound, which is at least 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// The model of a store: what the rows have to be.
pub type Model = BTreeMap<Key, Vec<u8>>;

/// Compares a store with its model: every row by `get`, everything by `range`, whole and in pages.
pub fn check_rows(store: &impl Store, model: &Model, page: usize) -> Result<(), ReadError> {
    for (key, bytes) in model {
        assert_eq!(store.get(key)?.as_ref(), Some(bytes), "get({key:?}) returns what was put");
    }
    let expected: Vec<Row> = model.iter().map(|(key, bytes)| (key.clone(), bytes.clone())).collect();
    assert_eq!(
        store.range(&KeyRange::all(), usize::MAX)?,
        expected,
        "the whole range returns every row once, in order"
    );
    let (mut range, mut rows) = (KeyRange::all(), Vec::new());
    loop {
        let part = store.range(&range, page)?;
        assert!(part.len() <= page, "a page holds at most its limit");
        let end = part.len() < page;
        rows.extend(part);
        match rows.last() {
            Some((last, _)) if !end => range = range.after(last),
            _ => break,
        }
    }
    assert_eq!(rows, expected, "pages of {page} add up to the whole range");
    let (mut range, mut rows) = (KeyRange::all(), Vec::new());
    while !range.is_empty() && range.end.as_ref() != Some(&range.start) {
        let tail = store.tail(&range, page)?;
        assert!(range.contains(&tail), "a tail starts in its range");
        let mut part = store.range(&KeyRange::new(tail.clone(), range.end.clone()), usize::MAX)?;
        part.append(&mut rows);
        rows = part;
        range.end = Some(tail);
    }
    assert_eq!(rows, expected, "tails of {page} add up to the whole range");
    Ok(())
}
