//! The seam for blobs: the bytes of attachments, in parts that are written and read one at a time.
//!
//! A blob lies in a *place*, named by a random number, since its id is known only when its last byte is. Part 0 of a place is
//! its head (`BlobHead`: the length and the chunk list), part n its n-th chunk. A place without a head is one that is still
//! being filled, or was given up. Which parts there are is the only record of how much of a blob is here: nothing is counted
//! twice, so nothing can disagree after a crash.
//!
//! Every call is atomic for its part. This seam is apart from `Device`, because blobs never take part in a batch.

use value::blob::BLOB_CHUNK_BYTES;
use value::{ChunkList, DecodeError, Writer};

use crate::device::DeviceError;
use crate::log::{open, seal};

/// Part 0 of a place.
pub const HEAD_PART: u32 = 0;

/// Where a blob lies on one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobPlace(pub u64);

/// Returns the device's key of a part: the place (8 bytes, big-endian) and the part (4 bytes, big-endian).
pub fn blob_key(place: BlobPlace, part: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&place.0.to_be_bytes());
    key[8..].copy_from_slice(&part.to_be_bytes());
    key
}

/// Reads the key of a part.
pub fn blob_key_from(bytes: &[u8]) -> Option<(BlobPlace, u32)> {
    let (place, part) = bytes.split_at_checked(8)?;
    Some((BlobPlace(u64::from_be_bytes(place.try_into().ok()?)), u32::from_be_bytes(part.try_into().ok()?)))
}

/// What a place holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobListing {
    /// Which.
    pub place: BlobPlace,
    /// Part 0; `None`: there is none, or it cannot be read.
    pub head: Option<Vec<u8>>,
    /// The other parts, ascending.
    pub parts: Vec<u32>,
}

/// A device that keeps blobs.
#[allow(async_fn_in_trait, reason = "browser futures are not Send, and no caller needs them to be")]
pub trait BlobDevice {
    /// Returns all places, ascending, with their heads.
    async fn blob_list(&self) -> Result<Vec<BlobListing>, DeviceError>;
    /// Writes a part; it is there when this returns, and survives the end of the process.
    async fn blob_put(&self, place: BlobPlace, part: u32, bytes: Vec<u8>) -> Result<(), DeviceError>;
    /// Returns a part; `None` for one that is not there or cannot be read.
    async fn blob_read(&self, place: BlobPlace, part: u32) -> Result<Option<Vec<u8>>, DeviceError>;
    /// Deletes one part, or with `None` a place with all its parts; nothing, if it is not there.
    async fn blob_delete(&self, place: BlobPlace, part: Option<u32>) -> Result<(), DeviceError>;
}

/// The same without waiting; every such device is a `BlobDevice` too. Contracts as there.
pub trait BlobDeviceNow {
    /// As `BlobDevice::blob_list`.
    fn blob_list_now(&self) -> Result<Vec<BlobListing>, DeviceError>;
    /// As `BlobDevice::blob_put`.
    fn blob_put_now(&self, place: BlobPlace, part: u32, bytes: Vec<u8>) -> Result<(), DeviceError>;
    /// As `BlobDevice::blob_read`.
    fn blob_read_now(&self, place: BlobPlace, part: u32) -> Result<Option<Vec<u8>>, DeviceError>;
    /// As `BlobDevice::blob_delete`.
    fn blob_delete_now(&self, place: BlobPlace, part: Option<u32>) -> Result<(), DeviceError>;
}

impl<D: BlobDeviceNow> BlobDevice for D {
    async fn blob_list(&self) -> Result<Vec<BlobListing>, DeviceError> {
        self.blob_list_now()
    }

    async fn blob_put(&self, place: BlobPlace, part: u32, bytes: Vec<u8>) -> Result<(), DeviceError> {
        self.blob_put_now(place, part, bytes)
    }

    async fn blob_read(&self, place: BlobPlace, part: u32) -> Result<Option<Vec<u8>>, DeviceError> {
        self.blob_read_now(place, part)
    }

    async fn blob_delete(&self, place: BlobPlace, part: Option<u32>) -> Result<(), DeviceError> {
        self.blob_delete_now(place, part)
    }
}

/// Groups the keys of a device by place. `head` reads part 0 of a place that has one.
pub fn listings(
    keys: impl IntoIterator<Item = (BlobPlace, u32)>,
    mut head: impl FnMut(BlobPlace) -> Option<Vec<u8>>,
) -> Vec<BlobListing> {
    let mut keys: Vec<(BlobPlace, u32)> = keys.into_iter().collect();
    keys.sort_unstable();
    let mut found: Vec<BlobListing> = Vec::new();
    for (place, part) in keys {
        if found.last().is_none_or(|last| last.place != place) {
            found.push(BlobListing { place, head: None, parts: Vec::new() });
        }
        let last = found.last_mut().expect("one was just pushed if there was none");
        match part {
            HEAD_PART => last.head = head(place),
            part => last.parts.push(part),
        }
    }
    found
}

const MAGIC: &[u8; 4] = b"SHBL";
const FORMAT: u8 = 1;

/// Returns the head of a place: magic `SHBL`, format (1 byte, 1), length of the blob (8 bytes, big-endian), the chunk list,
/// checksum (4 bytes, big-endian) of everything before it.
pub fn encode_head(list: &ChunkList) -> Vec<u8> {
    let mut writer = Writer::with_capacity(17 + list.hashes().len());
    writer.raw(MAGIC).u8(FORMAT).fixed64(list.blob_bytes()).raw(list.hashes());
    seal(writer)
}

/// Reads a head.
pub fn decode_head(bytes: &[u8]) -> Result<ChunkList, DecodeError> {
    let mut reader = open(bytes, MAGIC, FORMAT)?;
    let len = reader.fixed64()?;
    ChunkList::new(len, reader.rest().to_vec()).ok_or(DecodeError::Invalid("chunk list"))
}

/// Largest part, bytes: the head of the largest blob.
pub const PART_BYTES_MAX: usize = 2 * 1024 * 1024 + 32;
const _: () = assert!(BLOB_CHUNK_BYTES <= PART_BYTES_MAX);
