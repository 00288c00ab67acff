//! A device that fails on purpose: it remembers its state after every write, and damages what it holds.
//!
//! The crash model: a process that dies leaves the device as it was after some write, so a test reopens from `crash(n)` for
//! every n. A power cut may also undo what was written since the last strict write: `power_cuts()` lists those states. Writes
//! are atomic, as the contract of `Device` demands; what platforms tear nevertheless is modelled by `damage`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use value::{Millis, Seq};

use crate::blob_device::{BlobDeviceNow, BlobListing, BlobPlace};
use crate::device::{
    Appended, BlockId, BootImage, DeviceBatch, DeviceError, DeviceNow, Durability, Records, Usage, Written,
};
use crate::memory_device::{DeviceState, MemoryDevice};

/// What befalls a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call fails and nothing is written.
    Before(DeviceError),
    /// The call fails although everything was written: the answer was lost.
    After(DeviceError),
}

/// What `damage` aims at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A block.
    Block(BlockId),
    /// A log record.
    Log(Seq),
    /// The manifest.
    Manifest,
}

/// A memory device with faults; a clone is another handle.
#[derive(Clone, Debug, Default)]
pub struct FaultyDevice {
    inner: MemoryDevice,
    plan: Arc<Mutex<FaultPlan>>,
}

#[derive(Debug, Default)]
struct FaultPlan {
    /// What befalls the coming writes, one each; `None` lets it pass.
    faults: VecDeque<Option<Fault>>,
    bytes_max: Option<u64>,
    history: Option<Vec<Snapshot>>,
}

/// The state after a write, and whether a power cut can undo it.
#[derive(Debug)]
struct Snapshot {
    state: DeviceState,
    strict: bool,
}

impl FaultyDevice {
    /// Starts empty and without faults.
    pub fn new() -> FaultyDevice {
        FaultyDevice::default()
    }

    /// Lets a fault befall a coming write: 0 is the next one.
    pub fn fail(&self, write: usize, fault: Fault) {
        let mut plan = self.plan();
        if plan.faults.len() <= write {
            plan.faults.resize(write + 1, None);
        }
        plan.faults[write] = Some(fault);
    }

    /// Limits what the device holds, in bytes; a write beyond it fails with `QuotaExceeded`.
    pub fn limit(&self, bytes_max: Option<u64>) {
        self.plan().bytes_max = bytes_max;
    }

    /// Starts remembering the state after every write; the present one is number 0.
    pub fn record(&self) {
        let state = self.inner.state().clone();
        self.plan().history = Some(vec![Snapshot { state, strict: true }]);
    }

    /// Returns how many states are remembered.
    pub fn states(&self) -> usize {
        self.plan().history.as_ref().map_or(0, Vec::len)
    }

    /// Returns the device as a process finds it that restarts after the n-th write.
    pub fn crash(&self, write: usize) -> Option<MemoryDevice> {
        let plan = self.plan();
        let snapshot = plan.history.as_ref()?.get(write)?;
        Some(MemoryDevice::from_state(snapshot.state.clone()))
    }

    /// Returns the devices that a power cut now may leave behind: after the last strict write, and after each later one.
    pub fn power_cuts(&self) -> Vec<MemoryDevice> {
        let plan = self.plan();
        let Some(history) = &plan.history else {
            return Vec::new();
        };
        let from = history.iter().rposition(|snapshot| snapshot.strict).unwrap_or(0);
        history[from..].iter().map(|snapshot| MemoryDevice::from_state(snapshot.state.clone())).collect()
    }

    /// Changes the stored bytes of a record with a function; says whether there was one.
    pub fn damage(&self, target: &Target, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut state = self.inner.state();
        let bytes = match target {
            Target::Block(block) => state.blocks.get_mut(block),
            Target::Log(seq) => state.log.get_mut(seq),
            Target::Manifest => state.manifest.as_mut(),
        };
        bytes.map(change).is_some()
    }

    /// Flips one bit of a record.
    pub fn flip(&self, target: &Target, bit: usize) -> bool {
        self.damage(target, |bytes| {
            if let Some(byte) = bytes.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        })
    }

    /// Takes a block away; says whether there was one.
    pub fn lose(&self, block: BlockId) -> bool {
        self.inner.state().blocks.remove(&block).is_some()
    }

    /// Cuts the newest log record to half its length, as a torn write does; returns its sequence.
    pub fn tear_last_record(&self) -> Option<Seq> {
        let seq = *self.inner.state().log.last_key_value()?.0;
        self.damage(&Target::Log(seq), |bytes| bytes.truncate(bytes.len() / 2));
        Some(seq)
    }

    /// Returns the names of all blocks.
    pub fn blocks(&self) -> Vec<BlockId> {
        self.inner.state().blocks.keys().copied().collect()
    }

    fn plan(&self) -> MutexGuard<'_, FaultPlan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out a write under the plan of faults.
    fn write_with<T>(
        &self,
        durability: Durability,
        write: impl FnOnce(&MemoryDevice) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        let mut plan = self.plan();
        let fault = plan.faults.pop_front().flatten();
        if let Some(Fault::Before(error)) = fault {
            return Err(error);
        }
        let before = self.inner.state().clone();
        let answer = write(&self.inner)?;
        let usage = self.inner.state().usage();
        if plan.bytes_max.is_some_and(|max| usage.log_bytes + usage.segment_bytes + usage.meta_bytes > max) {
            *self.inner.state() = before;
            return Err(DeviceError::QuotaExceeded);
        }
        if let Some(history) = &mut plan.history {
            let state = self.inner.state().clone();
            history.push(Snapshot { state, strict: durability == Durability::Strict });
        }
        match fault {
            Some(Fault::After(error)) => Err(error),
            Some(Fault::Before(_)) | None => Ok(answer),
        }
    }
}

impl DeviceNow for FaultyDevice {
    fn boot_now(&self) -> Result<BootImage, DeviceError> {
        self.inner.boot_now()
    }

    fn append_now(
        &self,
        expected: Seq,
        now: Millis,
        record: Vec<u8>,
        durability: Durability,
    ) -> Result<Appended, DeviceError> {
        self.write_with(durability, |inner| inner.append_now(expected, now, record, durability))
    }

    fn tail_now(&self, after: Seq) -> Result<Records, DeviceError> {
        self.inner.tail_now(after)
    }

    fn read_now(&self, blocks: &[BlockId]) -> Result<Vec<Option<Vec<u8>>>, DeviceError> {
        self.inner.read_now(blocks)
    }

    fn manifest_now(&self) -> Result<Option<Vec<u8>>, DeviceError> {
        self.inner.manifest_now()
    }

    fn write_now(&self, batch: DeviceBatch) -> Result<Written, DeviceError> {
        self.write_with(Durability::Relaxed, |inner| inner.write_now(batch))
    }

    fn put_meta_now(&self, name: &str, bytes: Vec<u8>) -> Result<(), DeviceError> {
        self.write_with(Durability::Relaxed, |inner| inner.put_meta_now(name, bytes))
    }

    fn clear_now(&self) -> Result<(), DeviceError> {
        self.write_with(Durability::Relaxed, MemoryDevice::clear_now)
    }

    fn usage_now(&self) -> Result<Usage, DeviceError> {
        self.inner.usage_now()
    }

    fn blocks_now(&self) -> Result<Option<Vec<BlockId>>, DeviceError> {
        self.inner.blocks_now()
    }
}

/// Blobs meet no faults: what writes them twice is tested where they are written.
impl BlobDeviceNow for FaultyDevice {
    fn blob_list_now(&self) -> Result<Vec<BlobListing>, DeviceError> {
        self.inner.blob_list_now()
    }

    fn blob_put_now(&self, place: BlobPlace, part: u32, bytes: Vec<u8>) -> Result<(), DeviceError> {
        self.inner.blob_put_now(place, part, bytes)
    }

    fn blob_read_now(&self, place: BlobPlace, part: u32) -> Result<Option<Vec<u8>>, DeviceError> {
        self.inner.blob_read_now(place, part)
    }

    fn blob_delete_now(&self, place: BlobPlace, part: Option<u32>) -> Result<(), DeviceError> {
        self.inner.blob_delete_now(place, part)
    }
}
