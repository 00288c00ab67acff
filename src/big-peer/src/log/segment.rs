//! One file of the log: how it is written to, and how its records are read back.
//!
//! A segment is named by the first position it may hold, in twenty digits, so that names sort as positions do. Only the last
//! one grows. Reading checks every record and stops at the length that is known to be durable.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use value::Seq;

use super::record::{self, HeaderError, RECORD_HEADER_BYTES, RecordHeader};
use super::{Entry, LogError};

/// What the writer asks of the file it appends to; tests put a failing one in its place.
pub trait LogFile: Send {
    /// Writes all bytes at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once everything appended is on the device.
    fn sync(&mut self) -> io::Result<()>;
    /// Drops everything behind a length.
    fn cut(&mut self, bytes: u64) -> io::Result<()>;
}

/// Opens a file for appending, and creates it when it is missing.
pub type OpenLogFile = Box<dyn Fn(&Path) -> io::Result<Box<dyn LogFile>> + Send>;

/// A file of the operating system.
pub struct DiskFile(File);

impl DiskFile {
    /// Opens for appending, and creates when missing.
    pub fn open(path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(DiskFile(OpenOptions::new().append(true).create(true).open(path)?)))
    }
}

impl LogFile for DiskFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }
}

/// A segment as the open log knows it.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    /// No record here has a lower position.
    pub(crate) first: Seq,
    /// Durable bytes; what lies behind is not read.
    pub(crate) bytes: u64,
}

/// Returns the name of the segment that starts at a position.
pub(crate) fn file_name(first: Seq) -> String {
    format!("{:020}.log", first.0)
}

/// Lists the segments of a directory by position, with the sizes of their files.
pub(crate) fn list(directory: &Path) -> Result<Vec<Segment>, LogError> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(LogError::io(directory))? {
        let entry = entry.map_err(LogError::io(directory))?;
        let name = entry.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".log")).filter(|digits| digits.len() == 20);
        if let Some(first) = digits.and_then(|digits| digits.parse().ok()) {
            let bytes = entry.metadata().map_err(LogError::io(entry.path()))?.len();
            segments.push(Segment { path: entry.path(), first: Seq(first), bytes });
        }
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

/// Makes a directory's entries durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), LogError> {
    File::open(directory).and_then(|file| file.sync_all()).map_err(LogError::io(directory))
}

/// Checks that a segment's header is whole and of this database, and returns where its records start.
pub(crate) fn check_header(path: &Path, bytes: &[u8], database: &str) -> Result<usize, LogError> {
    let header = record::decode_header(bytes).map_err(|error| match error {
        HeaderError::Invalid => damaged(path, 0, "the header is not valid"),
        HeaderError::Newer(version) => LogError::NewerFormat { path: path.to_owned(), version },
    })?;
    if header.database != database {
        return Err(damaged(path, 0, &format!("the segment belongs to database \"{}\"", header.database)));
    }
    Ok(header.bytes)
}

/// Names a place where bytes are not what was written.
pub(crate) fn damaged(path: &Path, offset: u64, detail: &str) -> LogError {
    LogError::Damaged { path: path.to_owned(), offset, detail: detail.to_owned() }
}

/// Reads the records of one segment in order, checking each.
pub(crate) struct SegmentReader {
    segment: Segment,
    file: BufReader<File>,
    offset: u64,
    last: Seq,
}

impl SegmentReader {
    /// Opens a segment and checks its header.
    pub(crate) fn open(segment: Segment, database: &str) -> Result<SegmentReader, LogError> {
        let mut file = File::open(&segment.path).map_err(LogError::io(&segment.path))?;
        let mut start = Vec::new();
        Read::by_ref(&mut file).take(4096).read_to_end(&mut start).map_err(LogError::io(&segment.path))?;
        let offset = check_header(&segment.path, &start, database)? as u64;
        file.seek(SeekFrom::Start(offset)).map_err(LogError::io(&segment.path))?;
        let last = Seq(segment.first.0.saturating_sub(1));
        Ok(SegmentReader { segment, file: BufReader::with_capacity(256 * 1024, file), offset, last })
    }

    /// Returns the offset behind the last record that was read.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    fn read(&mut self) -> Result<Option<Entry>, LogError> {
        let left = self.segment.bytes.saturating_sub(self.offset);
        if left == 0 {
            return Ok(None);
        }
        let damage = |detail| damaged(&self.segment.path, self.offset, detail);
        let mut bytes = [0; RECORD_HEADER_BYTES];
        self.file.read_exact(&mut bytes).map_err(|_| damage("the segment ends inside a record's header"))?;
        let header = RecordHeader::decode(&bytes).ok_or_else(|| damage("no record starts here"))?;
        if (RECORD_HEADER_BYTES + header.bytes) as u64 > left {
            return Err(damage("the segment ends inside a record"));
        }
        let mut content = vec![0; header.bytes];
        self.file.read_exact(&mut content).map_err(|_| damage("the segment ends inside a record"))?;
        if header.seq <= self.last || !header.matches(&content) {
            return Err(damage("a record's checksum or position is wrong"));
        }
        self.offset += (RECORD_HEADER_BYTES + header.bytes) as u64;
        self.last = header.seq;
        Ok(Some((header.seq, content)))
    }
}

impl Iterator for SegmentReader {
    type Item = Result<Entry, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.read().transpose();
        if matches!(entry, Some(Err(_))) {
            // Nothing behind damage can be placed.
            self.offset = self.segment.bytes;
        }
        entry
    }
}
