//! How many live documents a collection has: counted once when somebody asks, then kept by the commits.
//!
//! In memory only. Forgotten whenever the store moves by itself: another tab's manifest, a lost block, a boot.

use std::cell::RefCell;

use value::{CollectionName, SmallMap};

use crate::draft::Change;

/// Live documents by collection, of those that were counted.
#[derive(Debug, Default)]
pub struct Counts(RefCell<SmallMap<CollectionName, u64>>);

impl Counts {
    /// Returns the count when it is known.
    pub fn known(&self, collection: &CollectionName) -> Option<u64> {
        self.0.borrow().get(collection).copied()
    }

    /// Remembers what was counted.
    pub fn learn(&self, collection: &CollectionName, count: u64) {
        self.0.borrow_mut().insert(collection.clone(), count);
    }

    /// Forgets everything.
    pub fn forget(&mut self) {
        self.0.get_mut().clear();
    }

    /// Takes the changes of a commit.
    pub fn published(&mut self, changes: &[Change]) {
        let counts = self.0.get_mut();
        if counts.is_empty() {
            return;
        }
        for change in changes {
            if let Some(count) = counts.get_mut(&change.collection) {
                *count = *count + u64::from(change.after.is_live()) - u64::from(change.before.is_live());
            }
        }
    }
}
