//! The Big Peer's disk of blobs: a folder a place, a file a part, and a thread that carries the engine's tasks out.
//!
//! `blobs/<place>/<part>`, 16 and 8 hexadecimal digits. A part is written under another name, flushed (fdatasync) and renamed,
//! so what has its name is whole. An upload over HTTP writes chunks here too, and then has the engine name them.
//!
//! Invariants, as absences: the engine's thread never waits for this disk; nothing here knows an id or a hash.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc;

use peer::io::{BlobAnswer, BlobTask};
use store::blob_device::{HEAD_PART, listings};
use store::{BlobDeviceNow, BlobListing, BlobPlace, DeviceError};

/// Where a database's blobs are; a copy is another handle.
#[derive(Clone, Debug)]
pub struct BlobFolder {
    path: PathBuf,
}

impl BlobFolder {
    /// Names the folder, which is made when something is written.
    pub fn new(path: PathBuf) -> BlobFolder {
        BlobFolder { path }
    }

    fn place(&self, place: BlobPlace) -> PathBuf {
        self.path.join(format!("{:016x}", place.0))
    }

    fn part(&self, place: BlobPlace, part: u32) -> PathBuf {
        self.place(place).join(format!("{part:08x}"))
    }

    fn write(&self, place: BlobPlace, part: u32, bytes: &[u8]) -> io::Result<()> {
        let folder = self.place(place);
        fs::create_dir_all(&folder)?;
        let path = self.part(place, part);
        let unfinished = path.with_extension("part");
        let mut file = File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&unfinished, &path)?;
        // A head vouches for its place, and its place for nothing but itself.
        if part == HEAD_PART {
            File::open(&folder)?.sync_all()?;
            File::open(&self.path)?.sync_all()?;
        }
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<(BlobPlace, u32)>> {
        let mut found = Vec::new();
        for place in if_there(fs::read_dir(&self.path))?.into_iter().flatten() {
            let place = place?;
            let Some(number) = hexadecimal(&place.file_name(), 16) else { continue };
            for part in if_there(fs::read_dir(place.path()))?.into_iter().flatten() {
                if let Some(part) = hexadecimal(&part?.file_name(), 8).and_then(|part| u32::try_from(part).ok()) {
                    found.push((BlobPlace(number), part));
                }
            }
        }
        Ok(found)
    }
}

fn hexadecimal(name: &std::ffi::OsStr, digits: usize) -> Option<u64> {
    let name = name.to_str().filter(|name| name.len() == digits)?;
    u64::from_str_radix(name, 16).ok()
}

/// What is not there is no error.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn failed(error: io::Error) -> DeviceError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DeviceError::QuotaExceeded,
        io::ErrorKind::PermissionDenied => DeviceError::PermissionDenied(error.to_string()),
        _ => DeviceError::Other(error.to_string()),
    }
}

impl BlobDeviceNow for BlobFolder {
    fn blob_list_now(&self) -> Result<Vec<BlobListing>, DeviceError> {
        let keys = self.list().map_err(failed)?;
        // A head that cannot be read leaves a place that nothing names, which is collected.
        Ok(listings(keys, |place| fs::read(self.part(place, HEAD_PART)).ok()))
    }

    fn blob_put_now(&self, place: BlobPlace, part: u32, bytes: Vec<u8>) -> Result<(), DeviceError> {
        self.write(place, part, &bytes).map_err(failed)
    }

    fn blob_read_now(&self, place: BlobPlace, part: u32) -> Result<Option<Vec<u8>>, DeviceError> {
        if_there(fs::read(self.part(place, part))).map_err(failed)
    }

    fn blob_delete_now(&self, place: BlobPlace, part: Option<u32>) -> Result<(), DeviceError> {
        let deleted = match part {
            Some(part) => fs::remove_file(self.part(place, part)),
            None => fs::remove_dir_all(self.place(place)),
        };
        if_there(deleted).map(drop).map_err(failed)
    }
}

/// Starts the thread that carries tasks out in order; it ends with the returned sender.
pub fn start(folder: BlobFolder, answer: impl Fn(BlobAnswer) + Send + 'static) -> io::Result<mpsc::Sender<BlobTask>> {
    let (tasks, queue) = mpsc::channel::<BlobTask>();
    std::thread::Builder::new().name("blobs".to_owned()).spawn(move || {
        for task in queue {
            task.carry_out(&folder).into_iter().for_each(&answer);
        }
    })?;
    Ok(tasks)
}
