//! A planted bug of the store: now and then a row of an index is not written.

use store::{Batch, BlockId, DeviceError, Key, KeyRange, Lsm, Maintenance, OpenError, Parsed, ReadError, Row, Store};
use store::{StoreError, Visitor, Written};
use value::{Millis, Seq};

/// A store that loses index rows.
pub struct Lossy {
    lsm: Lsm,
    rows: u64,
}

impl Lossy {
    /// Spoils a store.
    pub fn new(lsm: Lsm) -> Lossy {
        Lossy { lsm, rows: 0 }
    }
}

impl Store for Lossy {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, ReadError> {
        self.lsm.get(key)
    }

    fn range(&self, range: &KeyRange, limit: usize) -> Result<Vec<Row>, ReadError> {
        self.lsm.range(range, limit)
    }

    fn visit(&self, range: &KeyRange, visit: Visitor<'_>) -> Result<(), ReadError> {
        self.lsm.visit(range, visit)
    }

    fn resident(&self, range: &KeyRange) -> Result<(), ReadError> {
        self.lsm.resident(range)
    }

    fn apply(&mut self, mut batch: Batch) -> Result<(), StoreError> {
        batch.changes.retain(|key, _| {
            let is_row = matches!(key.parse(), Some(Parsed::IndexRow { .. }));
            self.rows += u64::from(is_row);
            !(is_row && self.rows.is_multiple_of(7))
        });
        self.lsm.apply(batch)
    }

    fn applied(&self) -> Seq {
        self.lsm.applied()
    }

    fn admit(&mut self, block: BlockId, bytes: Option<Vec<u8>>) -> Result<(), ReadError> {
        self.lsm.admit(block, bytes)
    }

    fn maintenance(&mut self, now: Millis) -> Option<Maintenance> {
        self.lsm.maintenance(now)
    }

    fn keep_log_for_others(&mut self, keep: bool) {
        self.lsm.keep_log_for_others(keep);
    }

    fn maintenance_at(&self) -> Option<Millis> {
        self.lsm.maintenance_at()
    }

    fn maintained(&mut self, outcome: Result<Written, DeviceError>) -> Result<(), OpenError> {
        self.lsm.maintained(outcome)
    }

    fn give_up(&mut self, block: BlockId) -> bool {
        self.lsm.give_up(block)
    }

    fn adopt(&mut self, manifest: &[u8]) -> Result<(), OpenError> {
        self.lsm.adopt(manifest)
    }
}
