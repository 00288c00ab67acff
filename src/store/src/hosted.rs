//! The engine with its device attached: a `Store` that never answers "not resident".
//!
//! For tests, tools and native programs without an executor. It does by itself what a skin does: load what a read misses,
//! reload when the manifest is stale, write what maintenance offers.

use std::cell::RefCell;

use value::{Millis, Seq};

use crate::device::{BootImage, DeviceError, DeviceNow};
use crate::key::{Key, KeyRange};
use crate::lsm::{Lsm, LsmConfig, OpenError};
use crate::store::{Batch, Maintenance, ReadError, Row, Store, StoreError};

/// An engine over a device that never waits.
#[derive(Debug)]
pub struct Hosted<D> {
    lsm: RefCell<Lsm>,
    device: D,
}

impl<D: DeviceNow> Hosted<D> {
    /// Opens the engine over a device; the caller re-applies the log of the image above `floor()`.
    pub fn open(device: D, image: &BootImage, config: LsmConfig) -> Result<Hosted<D>, OpenError> {
        let lsm = Lsm::open(image.manifest.as_deref(), config)?;
        Ok(Hosted { lsm: RefCell::new(lsm), device })
    }

    /// Returns the device.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// Calls a function with the engine.
    pub fn with<T>(&self, call: impl FnOnce(&mut Lsm) -> T) -> T {
        call(&mut self.lsm.borrow_mut())
    }

    /// Carries out all maintenance that is due; returns how many batches were written.
    pub fn maintain(&mut self, now: Millis) -> Result<usize, DeviceError> {
        let mut written = 0;
        while let Some(step) = self.lsm.get_mut().maintenance(now) {
            written += self.carry_out(step)?;
        }
        Ok(written)
    }

    /// Writes the memtable to segments whatever its size.
    pub fn flush(&mut self, now: Millis) -> Result<usize, DeviceError> {
        let step = self.lsm.get_mut().flush(now);
        step.map_or(Ok(0), |step| self.carry_out(step))
    }

    /// Takes over the manifest that is on the device now.
    pub fn reload(&self) -> Result<(), ReadError> {
        let manifest = self.device.manifest_now().map_err(backend)?.unwrap_or_default();
        self.lsm.borrow_mut().reload(&manifest).map_err(|error| ReadError::Backend(error.to_string()))
    }

    fn carry_out(&mut self, step: Maintenance) -> Result<usize, DeviceError> {
        match step {
            Maintenance::Load(blocks) => {
                let read = self.device.read_now(&blocks)?;
                for (block, bytes) in blocks.into_iter().zip(read) {
                    // A damaged or vanished input stops the merge, and the engine remembers why.
                    if self.lsm.get_mut().admit(block, bytes) == Err(ReadError::Stale) {
                        self.reload().map_err(|error| DeviceError::Other(error.to_string()))?;
                    }
                }
                Ok(0)
            }
            Maintenance::Write(batch) => {
                let outcome = self.device.write_now(batch);
                let told = self.lsm.get_mut().maintained(outcome.clone());
                told.map_err(|error| DeviceError::Damaged(error.to_string()))?;
                outcome.map(|_| 1)
            }
        }
    }

    /// Asks again until nothing is missing.
    fn resident<T>(&self, ask: impl Fn(&Lsm) -> Result<T, ReadError>) -> Result<T, ReadError> {
        loop {
            let answer = ask(&self.lsm.borrow());
            match answer {
                Err(ReadError::NotResident(blocks)) => {
                    let read = self.device.read_now(&blocks).map_err(backend)?;
                    for (block, bytes) in blocks.into_iter().zip(read) {
                        match self.lsm.borrow_mut().admit(block, bytes) {
                            Ok(()) | Err(ReadError::Stale) => {}
                            Err(error) => return Err(error),
                        }
                    }
                }
                Err(ReadError::Stale) => self.reload()?,
                other => return other,
            }
        }
    }
}

fn backend(error: DeviceError) -> ReadError {
    ReadError::Backend(error.to_string())
}

impl<D: DeviceNow> Store for Hosted<D> {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, ReadError> {
        self.resident(|lsm| lsm.get(key))
    }

    fn range(&self, range: &KeyRange, limit: usize) -> Result<Vec<Row>, ReadError> {
        self.resident(|lsm| lsm.range(range, limit))
    }

    fn tail(&self, range: &KeyRange, rows: usize) -> Result<Key, ReadError> {
        self.resident(|lsm| lsm.tail(range, rows))
    }

    /// Also carries out the maintenance that is due, at the time that the sequence names.
    fn apply(&mut self, batch: Batch) -> Result<(), StoreError> {
        let now = value::Hlc(batch.seq.0).millis();
        self.lsm.get_mut().apply(batch)?;
        match self.maintain(now) {
            Ok(_) => Ok(()),
            Err(DeviceError::QuotaExceeded) => Err(StoreError::QuotaExceeded),
            Err(error) => Err(StoreError::Backend(error.to_string())),
        }
    }

    fn applied(&self) -> Seq {
        self.lsm.borrow().applied()
    }
}
