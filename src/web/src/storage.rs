//! Where a store lives, and whether it is encrypted there.
//!
//! A medium is IndexedDB, a folder where the host has given one, or memory when there is neither or the browser refuses. Only "not allowed" leads to memory. A blocked
//! database, a newer format and damage are errors: an application that was given memory instead would show an empty store over
//! data that is there. A store is encrypted from its first opening or never.

use std::rc::Rc;

use store::{
    Appended, BlobDevice, BlobListing, BlobPlace, BlockId, BootImage, Device, DeviceBatch, DeviceError, Durability,
    FileDevice, Folder, MemoryFolder, Records, Usage, Written,
};
use value::{ErrorCode, Failure, Millis, Seq};
use wasm_bindgen::JsValue;

use crate::cipher::{self, Secret};
use crate::device::IndexedDb;
use crate::folder::HostFolder;
use crate::lock::{self, Lock, Patience};
use crate::sealed::{self, Sealed};

/// What keeps the records.
pub enum Medium {
    /// Files of the host.
    Files(FileDevice<Rc<dyn Folder>>, HostFolder),
    /// The browser, under this name.
    IndexedDb(IndexedDb, String),
    /// Nothing: lost with the page; says why.
    Memory(FileDevice<Rc<dyn Folder>>, String),
}

impl Medium {
    /// Opens the store of that directory; in the host's folder, if it has given one.
    pub async fn open(directory: &str, folder: Option<HostFolder>) -> Result<Medium, DeviceError> {
        if let Some(folder) = folder {
            return Ok(Medium::Files(files(Rc::new(folder.clone()))?, folder));
        }
        let name = format!("shoal:{directory}");
        match IndexedDb::open(&name).await {
            Ok(device) => Ok(Medium::IndexedDb(device, name)),
            Err(DeviceError::PermissionDenied(reason)) => {
                Ok(Medium::Memory(files(Rc::new(MemoryFolder::new()))?, reason))
            }
            Err(error) => Err(error),
        }
    }

    /// Says whether other tabs may have it open too.
    pub fn is_shared(&self) -> bool {
        matches!(self, Medium::IndexedDb(..))
    }

    /// Waits until no other tab opens the store or changes its key; `None` where nobody else can, or the host has no locks.
    pub async fn alone(&self) -> Option<Lock> {
        match self {
            Medium::IndexedDb(_, name) if lock::available() => {
                lock::acquire(&format!("{name}:boot"), Patience::Unlimited).await
            }
            Medium::Files(..) | Medium::IndexedDb(..) | Medium::Memory(..) => None,
        }
    }

    /// Says whether a store here can be encrypted: of two tabs only one may make the key.
    fn can_encrypt(&self) -> bool {
        cipher::available() && (!self.is_shared() || lock::available())
    }

    fn close(&self) {
        match self {
            Medium::Files(_, folder) => folder.close(),
            Medium::IndexedDb(device, _) => device.close(),
            Medium::Memory(..) => {}
        }
    }
}

fn files(folder: Rc<dyn Folder>) -> Result<FileDevice<Rc<dyn Folder>>, DeviceError> {
    FileDevice::open(folder)
}

/// The device of one open store.
pub enum Storage {
    /// Records as the engine writes them.
    Plain(Medium),
    /// Records that only who knows the secret can read.
    Sealed(Sealed<Medium>),
}

impl Storage {
    /// Reads a medium and unlocks it; the caller is `alone`.
    ///
    /// A medium that is empty becomes an encrypted one when there is a secret. Errors: `encryption/…`, with nothing touched.
    pub async fn boot(medium: Medium, secret: Option<&Secret>) -> Result<(Storage, BootImage), Failure> {
        if secret.is_some() && !medium.can_encrypt() {
            let message =
                "encryption needs Web Crypto and Web Locks, which this host does not offer; serve it over https";
            return Err(Failure::new(ErrorCode::Unsupported, message));
        }
        let image = medium.boot().await.map_err(|error| error.failure())?;
        match (secret, sealed::is_sealed(&image)) {
            (None, false) => Ok((Storage::Plain(medium), image)),
            (None, true) => {
                let message = "this store is encrypted; open it with its passphrase or key";
                Err(Failure::new(ErrorCode::EncryptionPassphraseMissing, message))
            }
            (Some(secret), true) => {
                let (sealed, image) = Sealed::unlock(medium, image, secret).await?;
                Ok((Storage::Sealed(sealed), image))
            }
            (Some(secret), false) if image == BootImage::default() => {
                Ok((Storage::Sealed(Sealed::create(medium, secret).await?), image))
            }
            (Some(_), false) => Err(not_encrypted()),
        }
    }

    fn medium(&self) -> &Medium {
        match self {
            Storage::Plain(medium) => medium,
            Storage::Sealed(sealed) => sealed.inner(),
        }
    }

    /// Says whether other tabs may have it open too.
    pub fn is_shared(&self) -> bool {
        self.medium().is_shared()
    }

    /// Returns the name that applications see.
    pub fn mode(&self) -> &'static str {
        match self.medium() {
            Medium::Files(..) => "files",
            Medium::IndexedDb(..) => "indexeddb",
            Medium::Memory(..) => "memory",
        }
    }

    /// Returns why it is not on disk.
    pub fn reason(&self) -> Option<&str> {
        match self.medium() {
            Medium::Files(..) | Medium::IndexedDb(..) => None,
            Medium::Memory(_, reason) => Some(reason),
        }
    }

    /// Says whether nobody evicts it, without having been asked.
    pub fn is_persistent(&self) -> bool {
        matches!(self.medium(), Medium::Files(..))
    }

    /// Locks an encrypted store with another secret; tabs that have it open go on.
    pub async fn change_key(&self, current: &JsValue, next: &JsValue) -> Result<(), Failure> {
        let Storage::Sealed(sealed) = self else { return Err(not_encrypted()) };
        let (current, next) = (Secret::from_js(current)?, Secret::from_js(next)?);
        let (Some(current), Some(next)) = (current, next) else { return Err(cipher::no_secret()) };
        let _alone = sealed.inner().alone().await;
        sealed.change_key(&current, &next).await
    }

    /// Names who is told, once, when another page has taken the database away.
    pub fn on_lost(&self, told: impl FnOnce(String) + 'static) {
        if let Medium::IndexedDb(device, _) = self.medium() {
            device.on_lost(told);
        }
    }

    /// Closes it; later calls answer `Closed`.
    pub fn close(&self) {
        self.medium().close();
    }
}

fn not_encrypted() -> Failure {
    let message = "this store is not encrypted; open it without a passphrase or key, or choose another directory";
    Failure::new(ErrorCode::EncryptionExtraneousPassphraseGiven, message)
}

/// Hands every call of a device on to the one inside.
macro_rules! delegate {
    ($outer:ty, $self:ident => $($pattern:pat => $device:ident),+) => {
        impl Device for $outer {
            async fn boot(&$self) -> Result<BootImage, DeviceError> {
                match $self { $($pattern => $device.boot().await,)+ }
            }

            async fn append(
                &$self,
                expected: Seq,
                now: Millis,
                record: Vec<u8>,
                durability: Durability,
            ) -> Result<Appended, DeviceError> {
                match $self { $($pattern => $device.append(expected, now, record, durability).await,)+ }
            }

            async fn tail(&$self, after: Seq) -> Result<Records, DeviceError> {
                match $self { $($pattern => $device.tail(after).await,)+ }
            }

            async fn read(&$self, blocks: &[BlockId]) -> Result<Vec<Option<Vec<u8>>>, DeviceError> {
                match $self { $($pattern => $device.read(blocks).await,)+ }
            }

            async fn manifest(&$self) -> Result<Option<Vec<u8>>, DeviceError> {
                match $self { $($pattern => $device.manifest().await,)+ }
            }

            async fn write(&$self, batch: DeviceBatch) -> Result<Written, DeviceError> {
                match $self { $($pattern => $device.write(batch).await,)+ }
            }

            async fn put_meta(&$self, name: &str, bytes: Vec<u8>) -> Result<(), DeviceError> {
                match $self { $($pattern => $device.put_meta(name, bytes).await,)+ }
            }

            async fn clear(&$self) -> Result<(), DeviceError> {
                match $self { $($pattern => $device.clear().await,)+ }
            }

            async fn usage(&$self) -> Result<Usage, DeviceError> {
                match $self { $($pattern => $device.usage().await,)+ }
            }

            async fn blocks(&$self) -> Result<Option<Vec<BlockId>>, DeviceError> {
                match $self { $($pattern => $device.blocks().await,)+ }
            }
        }

        impl BlobDevice for $outer {
            async fn blob_list(&$self) -> Result<Vec<BlobListing>, DeviceError> {
                match $self { $($pattern => $device.blob_list().await,)+ }
            }

            async fn blob_put(&$self, place: BlobPlace, part: u32, bytes: Vec<u8>) -> Result<(), DeviceError> {
                match $self { $($pattern => $device.blob_put(place, part, bytes).await,)+ }
            }

            async fn blob_read(&$self, place: BlobPlace, part: u32) -> Result<Option<Vec<u8>>, DeviceError> {
                match $self { $($pattern => $device.blob_read(place, part).await,)+ }
            }

            async fn blob_delete(&$self, place: BlobPlace, part: Option<u32>) -> Result<(), DeviceError> {
                match $self { $($pattern => $device.blob_delete(place, part).await,)+ }
            }
        }
    };
}

delegate!(Medium, self => Medium::Files(device, _) | Medium::Memory(device, _) => device, Medium::IndexedDb(device, _) => device);
delegate!(Storage, self => Storage::Plain(device) => device, Storage::Sealed(device) => device);
