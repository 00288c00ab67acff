//! A folder in memory: what a host without files, or one that may not use them, keeps a store in.
//!
//! `FileDevice` over it is a device that lives as long as the folder. It exists beside `MemoryDevice` because a module that
//! carries the device of files anyway gets its memory mode for next to nothing.

use std::cell::RefCell;

use value::SmallMap;

use crate::device::{DeviceError, Durability};
use crate::file_device::Folder;

/// Files that are gone with the folder.
#[derive(Debug, Default)]
pub struct MemoryFolder {
    files: RefCell<SmallMap<String, Vec<u8>>>,
}

impl MemoryFolder {
    /// Starts empty.
    pub fn new() -> MemoryFolder {
        MemoryFolder::default()
    }
}

impl Folder for MemoryFolder {
    fn list(&self) -> Result<Vec<String>, DeviceError> {
        Ok(self.files.borrow().keys().cloned().collect())
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, DeviceError> {
        Ok(self.files.borrow().get(&name.to_owned()).cloned())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DeviceError> {
        self.files.borrow_mut().insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn append(&self, name: &str, bytes: &[u8], _durability: Durability) -> Result<(), DeviceError> {
        self.files.borrow_mut().or_insert_with(name.to_owned(), Vec::new).extend_from_slice(bytes);
        Ok(())
    }

    fn cut(&self, name: &str, bytes: u64) -> Result<(), DeviceError> {
        if let Some(file) = self.files.borrow_mut().get_mut(&name.to_owned()) {
            file.truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), DeviceError> {
        self.files.borrow_mut().remove(&name.to_owned());
        Ok(())
    }

    fn sync(&self) -> Result<(), DeviceError> {
        Ok(())
    }
}
