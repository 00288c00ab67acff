//! Segments in memory, kept by recency under a budget.
//!
//! Nothing is dropped when a segment is admitted, only when the owner asks for it: a statement that needs many segments at
//! once must not lose the first while it waits for the last.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use crate::rows::Rows;

/// The resident segments by number.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    segments: BTreeMap<u64, Resident>,
    bytes: usize,
    clock: Cell<u64>,
}

#[derive(Debug)]
struct Resident {
    rows: Rows,
    used: Cell<u64>,
}

impl Cache {
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn len(&self) -> usize {
        self.segments.len()
    }

    pub fn holds(&self, id: u64) -> bool {
        self.segments.contains_key(&id)
    }

    /// Returns a segment and notes its use.
    pub fn get(&self, id: u64) -> Option<&Rows> {
        let resident = self.segments.get(&id)?;
        self.clock.set(self.clock.get() + 1);
        resident.used.set(self.clock.get());
        Some(&resident.rows)
    }

    pub fn insert(&mut self, id: u64, rows: Rows) {
        self.clock.set(self.clock.get() + 1);
        self.bytes += rows.len();
        let resident = Resident { rows, used: Cell::new(self.clock.get()) };
        if let Some(before) = self.segments.insert(id, resident) {
            self.bytes -= before.rows.len();
        }
    }

    /// Drops the segments that are not live.
    pub fn retain(&mut self, live: &BTreeSet<u64>) {
        self.segments.retain(|id, _| live.contains(id));
        self.bytes = self.segments.values().map(|resident| resident.rows.len()).sum();
    }

    /// Drops the least recently used until the budget holds, but none of the protected ones.
    pub fn shrink(&mut self, bytes_max: usize, protected: &BTreeSet<u64>) {
        if self.bytes <= bytes_max {
            return;
        }
        let mut order = BTreeSet::new();
        order.extend(self.segments.iter().map(|(id, resident)| (resident.used.get(), *id)));
        for (_, id) in order {
            if self.bytes <= bytes_max {
                return;
            }
            if !protected.contains(&id)
                && let Some(resident) = self.segments.remove(&id)
            {
                self.bytes -= resident.rows.len();
            }
        }
    }
}
