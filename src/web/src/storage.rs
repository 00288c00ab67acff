//! Where a store lives: IndexedDB, or memory when the host has none or refuses it.
//!
//! Only "not allowed" leads to memory. A blocked database, a newer format and damage are errors: an application that was
//! given memory instead would show an empty store over data that is there.

use store::{
    Appended, BlockId, BootImage, Device, DeviceBatch, DeviceError, Durability, MemoryDevice, Records, Usage, Written,
};
use value::{Millis, Seq};

use crate::device::IndexedDb;

/// The device of one open store.
pub enum Storage {
    /// In the browser.
    IndexedDb(IndexedDb),
    /// Lost with the page; says why.
    Memory(MemoryDevice, String),
}

impl Storage {
    /// Opens the store of that directory.
    pub async fn open(directory: &str) -> Result<Storage, DeviceError> {
        match IndexedDb::open(&format!("shoal:{directory}")).await {
            Ok(device) => Ok(Storage::IndexedDb(device)),
            Err(DeviceError::PermissionDenied(reason)) => Ok(Storage::Memory(MemoryDevice::new(), reason)),
            Err(error) => Err(error),
        }
    }

    /// Says whether other tabs may have it open too.
    pub fn is_shared(&self) -> bool {
        matches!(self, Storage::IndexedDb(_))
    }

    /// Returns the name that applications see.
    pub fn mode(&self) -> &'static str {
        match self {
            Storage::IndexedDb(_) => "indexeddb",
            Storage::Memory(..) => "memory",
        }
    }

    /// Returns why it is not on disk.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Storage::IndexedDb(_) => None,
            Storage::Memory(_, reason) => Some(reason),
        }
    }

    /// Names who is told, once, when another page has taken the database away.
    pub fn on_lost(&self, told: impl FnOnce(String) + 'static) {
        if let Storage::IndexedDb(device) = self {
            device.on_lost(told);
        }
    }

    /// Closes it; later calls answer `Closed`.
    pub fn close(&self) {
        if let Storage::IndexedDb(device) = self {
            device.close();
        }
    }
}

macro_rules! delegate {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match $self {
            Storage::IndexedDb(device) => device.$method($($argument),*).await,
            Storage::Memory(device, _) => device.$method($($argument),*).await,
        }
    };
}

impl Device for Storage {
    async fn boot(&self) -> Result<BootImage, DeviceError> {
        delegate!(self.boot())
    }

    async fn append(
        &self,
        expected: Seq,
        now: Millis,
        record: Vec<u8>,
        durability: Durability,
    ) -> Result<Appended, DeviceError> {
        delegate!(self.append(expected, now, record, durability))
    }

    async fn tail(&self, after: Seq) -> Result<Records, DeviceError> {
        delegate!(self.tail(after))
    }

    async fn read(&self, blocks: &[BlockId]) -> Result<Vec<Option<Vec<u8>>>, DeviceError> {
        delegate!(self.read(blocks))
    }

    async fn manifest(&self) -> Result<Option<Vec<u8>>, DeviceError> {
        delegate!(self.manifest())
    }

    async fn write(&self, batch: DeviceBatch) -> Result<Written, DeviceError> {
        delegate!(self.write(batch))
    }

    async fn put_meta(&self, name: &str, bytes: Vec<u8>) -> Result<(), DeviceError> {
        delegate!(self.put_meta(name, bytes))
    }

    async fn clear(&self) -> Result<(), DeviceError> {
        delegate!(self.clear())
    }

    async fn usage(&self) -> Result<Usage, DeviceError> {
        delegate!(self.usage())
    }

    async fn blocks(&self) -> Result<Option<Vec<BlockId>>, DeviceError> {
        delegate!(self.blocks())
    }
}
