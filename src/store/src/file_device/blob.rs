//! Blobs in the folder: one file a part, `blob-<place and part>` in 24 hexadecimal digits.
//!
//! A part is written whole or not at all (as `.part`, then renamed), and what lies there is what there is: blobs are not in
//! the catalog. Parts of the log and blocks are never touched.

use super::{FileDevice, Folder};
use crate::blob_device::{BlobDeviceNow, BlobListing, BlobPlace, HEAD_PART, blob_key, blob_key_from, listings};
use crate::device::DeviceError;

const BLOB: &str = "blob-";

fn name(place: BlobPlace, part: u32) -> String {
    let digits: String = blob_key(place, part).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{BLOB}{digits}")
}

/// Reads the name of a part's file; `None` for another file.
pub(super) fn parse(name: &str) -> Option<(BlobPlace, u32)> {
    let digits = name.strip_prefix(BLOB).filter(|digits| digits.len() == 24 && digits.is_ascii())?;
    let bytes: Option<Vec<u8>> =
        digits.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    blob_key_from(&bytes?)
}

impl<F: Folder> BlobDeviceNow for FileDevice<F> {
    fn blob_list_now(&self) -> Result<Vec<BlobListing>, DeviceError> {
        let folder = &self.files.borrow().folder;
        let keys = folder.list()?;
        // A head that cannot be read leaves a place that nothing names, which is collected.
        let head = |place| folder.read(&name(place, HEAD_PART)).ok().flatten();
        Ok(listings(keys.iter().filter_map(|name| parse(name)), head))
    }

    fn blob_put_now(&self, place: BlobPlace, part: u32, bytes: Vec<u8>) -> Result<(), DeviceError> {
        self.files.borrow().folder.write(&name(place, part), &bytes)
    }

    fn blob_read_now(&self, place: BlobPlace, part: u32) -> Result<Option<Vec<u8>>, DeviceError> {
        self.files.borrow().folder.read(&name(place, part))
    }

    fn blob_delete_now(&self, place: BlobPlace, part: Option<u32>) -> Result<(), DeviceError> {
        let folder = &self.files.borrow().folder;
        if let Some(part) = part {
            return folder.remove(&name(place, part));
        }
        // The head last: until then the place is a blob of which some parts are missing.
        let mut parts: Vec<u32> = folder
            .list()?
            .iter()
            .filter_map(|name| parse(name))
            .filter(|key| key.0 == place)
            .map(|key| key.1)
            .collect();
        parts.sort_unstable();
        parts.iter().rev().try_for_each(|part| folder.remove(&name(place, *part)))
    }
}
