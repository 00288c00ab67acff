//! A device over the files of one folder, for hosts that have files and no IndexedDB.
//!
//! | file | content |
//! |---|---|
//! | `catalog` | manifest, small records, which blocks are live, where the log begins; replaced whole |
//! | `log-<first sequence>` | entries, appended to; a new file after 1 MiB |
//! | `block-<kind and number>` | a block; never changed |
//! | `blob-<place and part>` | a part of an attachment, see `blob` |
//!
//! Names end in hexadecimal digits. The catalog is the only place that says what counts: a batch writes its blocks, then
//! swaps the catalog, then deletes; a process that dies between leaves files that no catalog names, and `open` collects them.
//! Log and catalog keep what `entry` and `catalog` describe, checksummed; blocks have their own checksum.
//!
//! The host carries out the few verbs of `Folder`, and this file does no input or output. One process at a time: whoever
//! makes the `Folder` has locked it. A clone is another handle on the same device. Calls never wait for each other, because
//! none of them waits: a host's folder is synchronous.

mod blob;
pub(crate) mod catalog;
pub(crate) mod entry;

use std::cell::RefCell;
use std::rc::Rc;

use value::{DecodeError, Millis, Seq};

use catalog::Catalog;

use crate::device::{
    Appended, BlockId, BootImage, DeviceBatch, DeviceError, DeviceNow, Durability, Records, Usage, Written,
};
use crate::log;
use crate::manifest::{ManifestHead, manifest_head};

/// One folder of a host, flat. Every call is done when it returns.
pub trait Folder {
    /// Returns the names of all files.
    fn list(&self) -> Result<Vec<String>, DeviceError>;
    /// Reads a file; `None` when there is none.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, DeviceError>;
    /// Makes or replaces a file, whole or not at all: written as `<name>.part`, flushed to the disk, renamed.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DeviceError>;
    /// Adds to the end of a file, which is made if it is not there. `Strict`: the file is on the disk afterwards.
    fn append(&self, name: &str, bytes: &[u8], durability: Durability) -> Result<(), DeviceError>;
    /// Cuts a file down to a length.
    fn cut(&self, name: &str, bytes: u64) -> Result<(), DeviceError>;
    /// Deletes a file, if it is there.
    fn remove(&self, name: &str) -> Result<(), DeviceError>;
    /// Flushes the names of files to the disk: what was made, renamed and deleted.
    fn sync(&self) -> Result<(), DeviceError>;
}

/// A host may have several kinds of folders; the device is compiled for all of them at once.
impl Folder for Rc<dyn Folder> {
    fn list(&self) -> Result<Vec<String>, DeviceError> {
        (**self).list()
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, DeviceError> {
        (**self).read(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DeviceError> {
        (**self).write(name, bytes)
    }

    fn append(&self, name: &str, bytes: &[u8], durability: Durability) -> Result<(), DeviceError> {
        (**self).append(name, bytes, durability)
    }

    fn cut(&self, name: &str, bytes: u64) -> Result<(), DeviceError> {
        (**self).cut(name, bytes)
    }

    fn remove(&self, name: &str) -> Result<(), DeviceError> {
        (**self).remove(name)
    }

    fn sync(&self) -> Result<(), DeviceError> {
        (**self).sync()
    }
}

const CATALOG: &str = "catalog";
const LOG: &str = "log-";
const BLOCK: &str = "block-";
const PART: &str = ".part";
const LOG_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A device of files.
pub struct FileDevice<F> {
    files: Rc<RefCell<Files<F>>>,
}

impl<F> Clone for FileDevice<F> {
    fn clone(&self) -> FileDevice<F> {
        FileDevice { files: self.files.clone() }
    }
}

struct Files<F> {
    folder: F,
    catalog: Catalog,
    /// Oldest first.
    logs: Vec<LogFile>,
    /// The floor of the manifest.
    floor: Seq,
    /// The last sequence that was ever used here, also by what has been cleared.
    used: Seq,
    /// Whether a failed write could not be taken back: nothing may be written behind it.
    broken: bool,
}

/// A record of the log, or what is wrong with it.
type Found = (Seq, Result<Vec<u8>, DecodeError>);

struct LogFile {
    first: Seq,
    name: String,
    bytes: u64,
    /// Up to the end of the last entry that is not cut short.
    whole_bytes: u64,
    /// Sequence and framed bytes of each.
    entries: Vec<(Seq, u64)>,
}

impl LogFile {
    fn last(&self) -> Seq {
        self.entries.last().map_or(Seq(0), |(seq, _)| *seq)
    }
}

impl<F: Folder> FileDevice<F> {
    /// Opens a folder, empty or not: cuts a torn end off the log and collects files that a dead process left.
    pub fn open(folder: F) -> Result<FileDevice<F>, DeviceError> {
        let catalog = match folder.read(CATALOG)? {
            None => Catalog::default(),
            Some(bytes) => Catalog::decode(&bytes).map_err(|error| damaged("the catalog", error))?,
        };
        let mut files = Files { folder, catalog, logs: Vec::new(), floor: Seq(0), used: Seq(0), broken: false };
        files.recover()?;
        Ok(FileDevice { files: Rc::new(RefCell::new(files)) })
    }
}

impl<F: Folder> Files<F> {
    fn recover(&mut self) -> Result<(), DeviceError> {
        let live: Vec<String> = self.catalog.blocks.keys().map(|block| block_name(*block)).collect();
        for name in &self.folder.list()? {
            if let Some(first) = first_sequence(name) {
                self.recover_log(first, name)?;
            } else if name.ends_with(PART) || (name.starts_with(BLOCK) && !live.contains(name)) {
                self.folder.remove(name)?;
            }
        }
        self.floor = self.manifest_head().unwrap_or_default().floor;
        self.used = self.head().max(self.catalog.log_after);
        self.cut_tail()
    }

    fn recover_log(&mut self, first: Seq, name: &str) -> Result<(), DeviceError> {
        let bytes = self.folder.read(name)?.unwrap_or_default();
        let found = entry::scan(first, &bytes);
        let log = LogFile {
            first,
            name: name.to_owned(),
            bytes: bytes.len() as u64,
            whole_bytes: found.last().map_or(0, |last| last.end as u64),
            entries: found.iter().map(|entry| (entry.seq, entry.frame_bytes())).collect(),
        };
        if !log.entries.is_empty() && log.last() <= self.catalog.log_after {
            return self.folder.remove(name);
        }
        let at = self.logs.partition_point(|before| before.first < first);
        self.logs.insert(at, log);
        Ok(())
    }

    /// Cuts off what a dying process began to write, so that the next entry follows something whole.
    fn cut_tail(&mut self) -> Result<(), DeviceError> {
        let Some(log) = self.logs.last_mut() else { return Ok(()) };
        if log.whole_bytes < log.bytes {
            self.folder.cut(&log.name, log.whole_bytes)?;
            log.bytes = log.whole_bytes;
        }
        Ok(())
    }

    /// The newest live record, readable or not, or the floor when there is none: it is what the engine knows as well.
    fn head(&self) -> Seq {
        let newest = self.logs.iter().rev().map(LogFile::last).find(|seq| *seq > self.catalog.log_after);
        newest.unwrap_or_default().max(self.floor)
    }

    fn manifest_head(&self) -> Result<ManifestHead, DeviceError> {
        match &self.catalog.manifest {
            None => Ok(ManifestHead::default()),
            Some(bytes) => manifest_head(bytes).map_err(|error| damaged("the manifest", error)),
        }
    }

    /// Reads the live log behind a sequence.
    fn read_log(&self, after: Seq) -> Result<Vec<Found>, DeviceError> {
        let after = after.max(self.catalog.log_after);
        let mut records = Vec::new();
        for log in self.logs.iter().filter(|log| log.last() > after) {
            let bytes = self.folder.read(&log.name)?.unwrap_or_default();
            let live = entry::scan(log.first, &bytes).into_iter().filter(|found| found.seq > after);
            records.extend(live.map(|found| (found.seq, found.record(&bytes).map(<[u8]>::to_vec))));
        }
        Ok(records)
    }

    fn records_after(&self, after: Seq) -> Result<Records, DeviceError> {
        let start = self.manifest_head()?.log_start;
        if after < start {
            return Err(DeviceError::Trimmed(start));
        }
        let whole = |(seq, record): Found| match record {
            Ok(record) => Ok((seq, record)),
            Err(error) => Err(damaged(&format!("log record {}", seq.0), error)),
        };
        self.read_log(after)?.into_iter().map(whole).collect()
    }

    fn append(&mut self, now: Millis, record: &[u8], durability: Durability) -> Result<Seq, DeviceError> {
        let seq = log::next_seq(self.used, now);
        let entry = entry::encode(seq, record);
        let frame_bytes = (entry.len() - entry::HEADER_BYTES) as u64;
        if self.logs.last().is_none_or(|log| log.bytes >= LOG_FILE_BYTES_MAX) {
            return self.begin_log(seq, &entry, durability);
        }
        let Some(log) = self.logs.last_mut() else { return Err(DeviceError::Closed) };
        if let Err(error) = self.folder.append(&log.name, &entry, durability) {
            // What may have been half written is taken back; behind a torn entry nothing could be read.
            self.broken = self.folder.cut(&log.name, log.bytes).is_err();
            return Err(error);
        }
        log.bytes += entry.len() as u64;
        log.whole_bytes = log.bytes;
        log.entries.push((seq, frame_bytes));
        self.used = seq;
        Ok(seq)
    }

    /// Starts a file with an entry; the one before goes to the disk, since a strict entry in this one vouches for all.
    fn begin_log(&mut self, seq: Seq, entry: &[u8], durability: Durability) -> Result<Seq, DeviceError> {
        if let Some(full) = self.logs.last() {
            self.folder.append(&full.name, &[], Durability::Strict)?;
        }
        let name = format!("{LOG}{:016x}", seq.0);
        let begun = self.folder.append(&name, entry, durability).and_then(|()| self.folder.sync());
        if let Err(error) = begun {
            self.broken = self.folder.remove(&name).is_err();
            return Err(error);
        }
        let (bytes, frame_bytes) = (entry.len() as u64, (entry.len() - entry::HEADER_BYTES) as u64);
        self.logs.push(LogFile { first: seq, name, bytes, whole_bytes: bytes, entries: vec![(seq, frame_bytes)] });
        self.used = seq;
        Ok(seq)
    }

    /// Makes a catalog the one that counts.
    fn swap(&mut self, catalog: Catalog) -> Result<(), DeviceError> {
        self.folder.write(CATALOG, &catalog.encode())?;
        self.folder.sync()?;
        self.catalog = catalog;
        self.floor = self.manifest_head()?.floor;
        Ok(())
    }

    fn write_batch(&mut self, batch: DeviceBatch) -> Result<(), DeviceError> {
        for (block, bytes) in &batch.puts {
            self.folder.write(&block_name(*block), bytes)?;
        }
        if !batch.puts.is_empty() {
            self.folder.sync()?;
        }
        let mut next = self.catalog.clone();
        next.manifest = Some(batch.manifest);
        next.blocks.extend(batch.puts.iter().map(|(block, bytes)| (*block, bytes.len() as u64)));
        for block in &batch.deletes {
            next.blocks.remove(block);
        }
        next.meta.extend(batch.meta);
        if let Some(through) = batch.delete_log_through {
            // When nothing of the log is left, the manifest's floor is the head.
            next.log_after = next.log_after.max(through);
        }
        self.swap(next)?;
        for block in &batch.deletes {
            self.folder.remove(&block_name(*block))?;
        }
        self.remove_dead_logs()
    }

    fn remove_dead_logs(&mut self) -> Result<(), DeviceError> {
        let after = self.catalog.log_after;
        for log in self.logs.iter().filter(|log| log.last() <= after) {
            self.folder.remove(&log.name)?;
        }
        self.logs.retain(|log| log.last() > after);
        Ok(())
    }

    fn clear(&mut self) -> Result<(), DeviceError> {
        let blocks: Vec<BlockId> = self.catalog.blocks.keys().copied().collect();
        self.swap(Catalog { log_after: self.used, ..Catalog::default() })?;
        for block in blocks {
            self.folder.remove(&block_name(block))?;
        }
        for name in self.folder.list()?.iter().filter(|name| blob::parse(name).is_some()) {
            self.folder.remove(name)?;
        }
        self.remove_dead_logs()
    }

    fn usage(&self) -> Usage {
        let live = self.logs.iter().flat_map(|log| &log.entries).filter(|(seq, _)| *seq > self.catalog.log_after);
        let small = self.catalog.meta.values().chain(&self.catalog.manifest);
        Usage {
            log_bytes: live.clone().map(|(_, bytes)| bytes).sum(),
            log_records: live.count() as u64,
            segment_bytes: self.catalog.blocks.values().sum(),
            segments: self.catalog.blocks.len() as u64,
            meta_bytes: small.map(|bytes| bytes.len() as u64).sum(),
        }
    }
}

impl<F: Folder> DeviceNow for FileDevice<F> {
    fn boot_now(&self) -> Result<BootImage, DeviceError> {
        let files = self.files.borrow();
        let mut image = BootImage {
            manifest: files.catalog.manifest.clone(),
            meta: files.catalog.meta.iter().map(|(name, bytes)| (name.clone(), bytes.clone())).collect(),
            ..BootImage::default()
        };
        for (seq, record) in files.read_log(Seq(0))? {
            match record {
                Ok(record) => image.log.push((seq, record)),
                Err(DecodeError::Version(format)) => return Err(DeviceError::NewerFormat(format)),
                Err(_) => image.damaged.push(seq),
            }
        }
        Ok(image)
    }

    fn append_now(
        &self,
        expected: Seq,
        now: Millis,
        record: Vec<u8>,
        durability: Durability,
    ) -> Result<Appended, DeviceError> {
        let mut files = self.files.borrow_mut();
        let head = files.head();
        if files.broken || head < expected {
            return Err(DeviceError::Closed);
        }
        if head > expected {
            return files.records_after(expected).map(Appended::Conflict);
        }
        files.append(now, &record, durability).map(Appended::Done)
    }

    fn tail_now(&self, after: Seq) -> Result<Records, DeviceError> {
        self.files.borrow().records_after(after)
    }

    fn read_now(&self, blocks: &[BlockId]) -> Result<Vec<Option<Vec<u8>>>, DeviceError> {
        let files = self.files.borrow();
        let read = |block: &BlockId| match files.catalog.blocks.contains_key(block) {
            true => files.folder.read(&block_name(*block)),
            false => Ok(None),
        };
        blocks.iter().map(read).collect()
    }

    fn manifest_now(&self) -> Result<Option<Vec<u8>>, DeviceError> {
        Ok(self.files.borrow().catalog.manifest.clone())
    }

    fn write_now(&self, batch: DeviceBatch) -> Result<Written, DeviceError> {
        let mut files = self.files.borrow_mut();
        if files.manifest_head()?.version != batch.expected_manifest {
            return files.catalog.manifest.clone().map(Written::Conflict).ok_or(DeviceError::Closed);
        }
        files.write_batch(batch).map(|()| Written::Done)
    }

    fn put_meta_now(&self, name: &str, bytes: Vec<u8>) -> Result<(), DeviceError> {
        let mut files = self.files.borrow_mut();
        let mut next = files.catalog.clone();
        next.meta.insert(name.to_owned(), bytes);
        files.swap(next)
    }

    fn clear_now(&self) -> Result<(), DeviceError> {
        self.files.borrow_mut().clear()
    }

    fn usage_now(&self) -> Result<Usage, DeviceError> {
        Ok(self.files.borrow().usage())
    }

    fn blocks_now(&self) -> Result<Option<Vec<BlockId>>, DeviceError> {
        Ok(Some(self.files.borrow().catalog.blocks.keys().copied().collect()))
    }
}

fn first_sequence(name: &str) -> Option<Seq> {
    u64::from_str_radix(name.strip_prefix(LOG)?, 16).ok().map(Seq)
}

fn block_name(block: BlockId) -> String {
    let digits = block.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{BLOCK}{digits}")
}

fn damaged(what: &str, error: DecodeError) -> DeviceError {
    match error {
        DecodeError::Version(format) => DeviceError::NewerFormat(format),
        other => DeviceError::Damaged(format!("{what} ({other})")),
    }
}
