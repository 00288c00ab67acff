//! A device in memory: the twin that tests, the simulator and the memory mode of a peer run on.
//!
//! A clone is another handle on the same device, as two tabs hold the same database. Records are kept framed, exactly as a
//! real device keeps them, so that damage to them means the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use value::{DecodeError, Millis, Seq};

use crate::blob_device::{BlobDeviceNow, BlobListing, BlobPlace, HEAD_PART, listings};
use crate::device::{
    Appended, BlockId, BootImage, DeviceBatch, DeviceError, DeviceNow, Durability, Records, Usage, Written,
};
use crate::log;
use crate::manifest::{ManifestHead, manifest_head};

/// A device that lives as long as its handles.
#[derive(Clone, Debug, Default)]
pub struct MemoryDevice {
    state: Arc<Mutex<DeviceState>>,
}

/// What a device holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeviceState {
    /// Framed records by sequence.
    pub log: BTreeMap<Seq, Vec<u8>>,
    pub blocks: BTreeMap<BlockId, Vec<u8>>,
    pub manifest: Option<Vec<u8>>,
    pub meta: BTreeMap<String, Vec<u8>>,
    pub blobs: BTreeMap<(BlobPlace, u32), Vec<u8>>,
}

impl MemoryDevice {
    /// Starts empty.
    pub fn new() -> MemoryDevice {
        MemoryDevice::default()
    }

    pub(crate) fn from_state(state: DeviceState) -> MemoryDevice {
        MemoryDevice { state: Arc::new(Mutex::new(state)) }
    }

    /// Locks the state. A holder that panicked has left it whole, because every change is made after the last check.
    pub(crate) fn state(&self) -> MutexGuard<'_, DeviceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeviceState {
    fn head(&self) -> Seq {
        self.log.last_key_value().map_or(Seq(0), |(seq, _)| *seq)
    }

    fn manifest_head(&self) -> Result<ManifestHead, DeviceError> {
        match &self.manifest {
            None => Ok(ManifestHead::default()),
            Some(bytes) => manifest_head(bytes).map_err(|error| damage("the manifest", error)),
        }
    }

    /// Returns the records after a sequence, if none of them has been trimmed.
    fn records_after(&self, after: Seq) -> Result<Records, DeviceError> {
        let start = self.manifest_head()?.log_start;
        if after < start {
            return Err(DeviceError::Trimmed(start));
        }
        let behind = self.log.range(Seq(after.0.saturating_add(1))..);
        behind.map(|(seq, framed)| Ok((*seq, record(*seq, framed)?))).collect()
    }

    pub(crate) fn usage(&self) -> Usage {
        let bytes = |sizes: &mut dyn Iterator<Item = usize>| sizes.sum::<usize>() as u64;
        Usage {
            log_bytes: bytes(&mut self.log.values().map(Vec::len)),
            log_records: self.log.len() as u64,
            segment_bytes: bytes(&mut self.blocks.values().map(Vec::len)),
            segments: self.blocks.len() as u64,
            meta_bytes: bytes(&mut self.meta.values().chain(&self.manifest).map(Vec::len)),
        }
    }
}

impl DeviceNow for MemoryDevice {
    fn boot_now(&self) -> Result<BootImage, DeviceError> {
        let state = self.state();
        let mut image = BootImage {
            manifest: state.manifest.clone(),
            meta: state.meta.iter().map(|(name, bytes)| (name.clone(), bytes.clone())).collect(),
            ..BootImage::default()
        };
        for (seq, framed) in &state.log {
            match record(*seq, framed) {
                // What is left of a trimmed head is no commit.
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => image.log.push((*seq, bytes)),
                Err(DeviceError::NewerFormat(format)) => return Err(DeviceError::NewerFormat(format)),
                Err(_) => image.damaged.push(*seq),
            }
        }
        Ok(image)
    }

    fn append_now(
        &self,
        expected: Seq,
        now: Millis,
        record: Vec<u8>,
        _durability: Durability,
    ) -> Result<Appended, DeviceError> {
        let mut state = self.state();
        let head = state.head();
        if head > expected {
            return Ok(Appended::Conflict(state.records_after(expected)?));
        }
        if head < expected {
            return Err(DeviceError::Closed);
        }
        let seq = log::next_seq(head, now);
        state.log.insert(seq, log::frame(seq, &record));
        Ok(Appended::Done(seq))
    }

    fn tail_now(&self, after: Seq) -> Result<Records, DeviceError> {
        self.state().records_after(after)
    }

    fn read_now(&self, blocks: &[BlockId]) -> Result<Vec<Option<Vec<u8>>>, DeviceError> {
        let state = self.state();
        Ok(blocks.iter().map(|block| state.blocks.get(block).cloned()).collect())
    }

    fn manifest_now(&self) -> Result<Option<Vec<u8>>, DeviceError> {
        Ok(self.state().manifest.clone())
    }

    fn write_now(&self, batch: DeviceBatch) -> Result<Written, DeviceError> {
        let mut state = self.state();
        if state.manifest_head()?.version != batch.expected_manifest {
            return state.manifest.clone().map(Written::Conflict).ok_or(DeviceError::Closed);
        }
        state.manifest = Some(batch.manifest);
        state.blocks.extend(batch.puts);
        for block in &batch.deletes {
            state.blocks.remove(block);
        }
        state.meta.extend(batch.meta);
        if let Some(through) = batch.delete_log_through {
            let head = state.head();
            state.log.retain(|seq, _| *seq > through || *seq == head);
            if head.0 > 0 && head <= through {
                state.log.insert(head, log::frame(head, &[]));
            }
        }
        Ok(Written::Done)
    }

    fn put_meta_now(&self, name: &str, bytes: Vec<u8>) -> Result<(), DeviceError> {
        self.state().meta.insert(name.to_owned(), bytes);
        Ok(())
    }

    fn clear_now(&self) -> Result<(), DeviceError> {
        *self.state() = DeviceState::default();
        Ok(())
    }

    fn usage_now(&self) -> Result<Usage, DeviceError> {
        Ok(self.state().usage())
    }

    fn blocks_now(&self) -> Result<Option<Vec<BlockId>>, DeviceError> {
        Ok(Some(self.state().blocks.keys().copied().collect()))
    }
}

impl BlobDeviceNow for MemoryDevice {
    fn blob_list_now(&self) -> Result<Vec<BlobListing>, DeviceError> {
        let state = self.state();
        Ok(listings(state.blobs.keys().copied(), |place| state.blobs.get(&(place, HEAD_PART)).cloned()))
    }

    fn blob_put_now(&self, place: BlobPlace, part: u32, bytes: Vec<u8>) -> Result<(), DeviceError> {
        self.state().blobs.insert((place, part), bytes);
        Ok(())
    }

    fn blob_read_now(&self, place: BlobPlace, part: u32) -> Result<Option<Vec<u8>>, DeviceError> {
        Ok(self.state().blobs.get(&(place, part)).cloned())
    }

    fn blob_delete_now(&self, place: BlobPlace, part: Option<u32>) -> Result<(), DeviceError> {
        self.state().blobs.retain(|key, _| key.0 != place || part.is_some_and(|part| key.1 != part));
        Ok(())
    }
}

/// Unframes a record and checks that it lies under its own sequence.
fn record(seq: Seq, framed: &[u8]) -> Result<Vec<u8>, DeviceError> {
    let what = || format!("log record {}", seq.0);
    let (found, bytes) = log::unframe(framed).map_err(|error| damage(&what(), error))?;
    if found != seq {
        return Err(DeviceError::Damaged(what()));
    }
    Ok(bytes.to_vec())
}

fn damage(what: &str, error: DecodeError) -> DeviceError {
    match error {
        DecodeError::Version(format) => DeviceError::NewerFormat(format),
        other => DeviceError::Damaged(format!("{what} ({other})")),
    }
}
