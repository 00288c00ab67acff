//! The log on files: what was answered is there again, whatever was cut, flipped or refused in between.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use big_peer::log::{
    AppendError, DiskFile, Entry, FileLog, FileLogOptions, LogEngine, LogError, LogFile, OpenLogFile, Recovery,
};
use value::Seq;

const DB: &str = "a";

fn open(directory: &Path) -> Result<FileLog, LogError> {
    open_with(directory, FileLogOptions::default())
}

fn open_with(directory: &Path, options: FileLogOptions) -> Result<FileLog, LogError> {
    FileLog::open([(DB, directory.to_owned())], &options)
}

fn append(log: &FileLog, expected: Seq, record: &[u8]) -> Result<Seq, AppendError> {
    let (sender, receiver) = mpsc::channel();
    log.append(
        DB,
        Some(expected),
        record.to_vec(),
        Box::new(move |result| sender.send(result).expect("the test waits")),
    );
    receiver.recv().expect("the log answers")
}

fn fill(log: &FileLog, count: usize) -> Vec<Entry> {
    let mut head = log.head(DB).expect("known");
    let record = |index: usize| format!("record {index} {}", "x".repeat(index % 50)).into_bytes();
    (0..count)
        .map(|index| {
            head = append(log, head, &record(index)).expect("appended");
            (head, record(index))
        })
        .collect()
}

fn entries(log: &FileLog, after: Seq) -> Vec<Entry> {
    log.tail(DB, after).expect("readable").collect::<Result<_, _>>().expect("whole")
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    paths.sort();
    paths
}

fn small_segments() -> FileLogOptions {
    FileLogOptions { segment_bytes_max: 1000, ..FileLogOptions::default() }
}

#[test]
fn records_are_there_after_a_reopen_over_many_segments() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = open_with(directory.path(), small_segments()).expect("opens");
    let written = fill(&log, 100);
    assert!(written.is_sorted_by_key(|entry| entry.0));
    assert!(segments(directory.path()).len() > 3);
    drop(log);
    let log = open_with(directory.path(), small_segments()).expect("opens");
    assert_eq!(log.recovery(DB), Some(Recovery::default()));
    assert_eq!(log.head(DB).expect("known"), written[99].0);
    for after in [0, 10, 50, 99] {
        assert_eq!(entries(&log, written[after].0), written[after + 1..]);
    }
    assert_eq!(entries(&log, Seq(0)), written);
    let more = fill(&log, 3);
    assert_eq!(entries(&log, written[99].0), more);
}

#[test]
fn a_writer_that_missed_something_gets_it_instead() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = open(directory.path()).expect("opens");
    let written = fill(&log, 3);
    match append(&log, written[0].0, b"late") {
        Err(AppendError::Conflict(missed)) => assert_eq!(missed, written[1..]),
        other => panic!("{other:?}"),
    }
    assert_eq!(entries(&log, Seq(0)), written);
    assert!(append(&log, written[2].0, b"in time").is_ok());
}

#[test]
fn a_tail_cut_anywhere_loses_only_what_was_cut() {
    let directory = tempfile::tempdir().expect("a directory");
    let written = fill(&open(directory.path()).expect("opens"), 5);
    let path = segments(directory.path()).remove(0);
    let whole = fs::read(&path).expect("readable");
    let last_record = 20 + written[4].1.len();
    for cut in 1..last_record {
        fs::write(&path, &whole[..whole.len() - cut]).expect("writable");
        let log = open(directory.path()).expect("a torn tail is no damage");
        assert_eq!(entries(&log, Seq(0)), written[..4], "cut {cut}");
        let torn = (last_record - cut) as u64;
        assert_eq!(log.recovery(DB), Some(Recovery { torn_bytes: torn, salvaged_bytes: 0 }));
        assert!(append(&log, written[3].0, b"next").is_ok());
        assert_eq!(entries(&log, Seq(0)).len(), 5);
    }
}

#[test]
fn a_header_cut_anywhere_is_an_empty_log() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(fill(&open(directory.path()).expect("opens"), 1));
    let path = segments(directory.path()).remove(0);
    let whole = fs::read(&path).expect("readable");
    for length in 0..25 {
        fs::write(&path, &whole[..length]).expect("writable");
        let log = open(directory.path()).expect("a torn header is no damage");
        assert_eq!(entries(&log, Seq(0)), []);
        assert!(append(&log, log.head(DB).expect("known"), b"next").is_ok());
        drop(log);
        segments(directory.path()).iter().for_each(|path| fs::remove_file(path).expect("removable"));
    }
}

#[test]
fn zeros_behind_the_end_are_cut() {
    let directory = tempfile::tempdir().expect("a directory");
    let written = fill(&open(directory.path()).expect("opens"), 2);
    let path = segments(directory.path()).remove(0);
    let length = fs::metadata(&path).expect("there").len();
    OpenOptions::new().write(true).open(&path).expect("opens").set_len(length + 5000).expect("grows");
    assert_eq!(entries(&open(directory.path()).expect("opens"), Seq(0)), written);
}

#[test]
fn damage_in_the_middle_is_refused_with_its_offset_and_salvage_keeps_the_rest() {
    let directory = tempfile::tempdir().expect("a directory");
    let written = fill(&open(directory.path()).expect("opens"), 5);
    let path = segments(directory.path()).remove(0);
    let whole = fs::read(&path).expect("readable");
    // The header of this database has 25 bytes; a record has 20 before its content.
    let offset = 25 + 20 + written[0].1.len();
    let end = offset + 20 + written[1].1.len();
    for at in offset..end {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).expect("writable");
        match open(directory.path()).err() {
            Some(LogError::Damaged { path: named, offset: found, .. }) => {
                assert_eq!((named, found), (path.clone(), offset as u64), "flipped at {at}");
            }
            other => panic!("flipped at {at}: {other:?}"),
        }
        assert_eq!(fs::read(&path).expect("readable"), bytes, "a refusal changes nothing");
    }
    let recovery = FileLog::salvage(DB, directory.path()).expect("salvaged");
    assert_eq!(recovery.salvaged_bytes, (end - offset) as u64);
    let log = open(directory.path()).expect("opens");
    let kept: Vec<Entry> =
        written.iter().enumerate().filter(|(index, _)| *index != 1).map(|(_, e)| e.clone()).collect();
    assert_eq!(entries(&log, Seq(0)), kept);
    assert!(path.with_extension("damaged").exists());
    assert!(append(&log, written[4].0, b"next").is_ok());
}

#[test]
fn damage_in_an_earlier_segment_is_named_when_it_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let written = fill(&open_with(directory.path(), small_segments()).expect("opens"), 60);
    let path = segments(directory.path()).remove(0);
    let mut bytes = fs::read(&path).expect("readable");
    bytes[30] ^= 1;
    fs::write(&path, &bytes).expect("writable");
    let log = open_with(directory.path(), small_segments()).expect("only the last segment can be torn");
    let read: Result<Vec<Entry>, LogError> = log.tail(DB, Seq(0)).expect("opens").collect();
    assert!(matches!(read, Err(LogError::Damaged { offset: 25, .. })), "{read:?}");
    drop(log);
    FileLog::salvage(DB, directory.path()).expect("salvaged");
    let log = open_with(directory.path(), small_segments()).expect("opens");
    assert_eq!(entries(&log, Seq(0)), written[1..]);
}

#[test]
fn recent_and_trim_go_by_whole_segments_and_records() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = open_with(directory.path(), small_segments()).expect("opens");
    let written = fill(&log, 100);
    let position = log.recent(DB, 500).expect("readable");
    let bytes: usize = entries(&log, position).iter().map(|(_, record)| record.len() + 20).sum();
    assert!(bytes <= 500 && bytes > 400, "{bytes}");
    assert_eq!(log.recent(DB, u64::MAX).expect("readable"), Seq(0));
    log.trim(DB, written[50].0).expect("trimmed");
    let kept = entries(&log, Seq(0));
    assert!(kept.len() < 90 && kept.contains(&written[51]));
    assert_eq!(kept, written[100 - kept.len()..]);
    drop(log);
    assert_eq!(entries(&open(directory.path()).expect("opens"), Seq(0)), kept);
}

#[test]
fn a_log_of_another_database_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    fill(&open(directory.path()).expect("opens"), 1);
    let other = FileLog::open([("b", directory.path().to_owned())], &FileLogOptions::default()).err();
    assert!(other.expect("refused").to_string().contains("\"a\""));
}

/// Which operation fails, counted over all files of a test; 0: none. Each test has its own static.
struct Faulty {
    file: Box<dyn LogFile>,
    sync_that_fails: &'static AtomicU32,
    append_that_is_full: &'static AtomicU32,
}

fn strikes(counter: &AtomicU32) -> bool {
    let strikes = |left: u32| left.checked_sub(1);
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, strikes) == Ok(1)
}

impl LogFile for Faulty {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if strikes(self.append_that_is_full) {
            self.file.append(&bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        if strikes(self.sync_that_fails) {
            return Err(io::Error::other("the device is gone"));
        }
        self.file.sync()
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.file.cut(bytes)
    }
}

#[test]
fn after_a_failed_flush_nothing_is_written_until_a_restart() {
    static SYNC: AtomicU32 = AtomicU32::new(0);
    static NEVER: AtomicU32 = AtomicU32::new(0);
    let open_file: fn() -> OpenLogFile = || {
        Box::new(|path| {
            let file = DiskFile::open(path)?;
            Ok(Box::new(Faulty { file, sync_that_fails: &SYNC, append_that_is_full: &NEVER }))
        })
    };
    let directory = tempfile::tempdir().expect("a directory");
    let log = open_with(directory.path(), FileLogOptions { open: open_file, ..Default::default() }).expect("opens");
    let written = fill(&log, 2);
    SYNC.store(1, Ordering::SeqCst);
    assert!(matches!(append(&log, written[1].0, b"lost"), Err(AppendError::Failed(LogError::Io { .. }))));
    assert!(!log.is_writable());
    assert!(matches!(append(&log, written[1].0, b"late"), Err(AppendError::Failed(LogError::Stopped))));
    assert_eq!(entries(&log, Seq(0)), written, "readers go on");
    drop(log);
    let log = open(directory.path()).expect("opens");
    assert_eq!(entries(&log, Seq(0))[..2], written, "what was answered is there");
    assert!(log.is_writable());
}

#[test]
fn a_full_disk_refuses_the_write_and_recovers_when_there_is_room() {
    static NEVER: AtomicU32 = AtomicU32::new(0);
    static FULL: AtomicU32 = AtomicU32::new(0);
    let open_file: fn() -> OpenLogFile = || {
        Box::new(|path| {
            let file = DiskFile::open(path)?;
            Ok(Box::new(Faulty { file, sync_that_fails: &NEVER, append_that_is_full: &FULL }))
        })
    };
    let directory = tempfile::tempdir().expect("a directory");
    let log = open_with(directory.path(), FileLogOptions { open: open_file, ..Default::default() }).expect("opens");
    let mut written = fill(&log, 2);
    FULL.store(1, Ordering::SeqCst);
    assert!(matches!(append(&log, written[1].0, b"too much"), Err(AppendError::Failed(LogError::Full { .. }))));
    assert!(log.is_writable());
    written.push((append(&log, written[1].0, b"fits").expect("there is room again"), b"fits".to_vec()));
    assert_eq!(entries(&log, Seq(0)), written);
    drop(log);
    assert_eq!(entries(&open(directory.path()).expect("opens"), Seq(0)), written);
}

#[test]
fn records_that_wait_share_a_flush() {
    // Method: a counter of the flushes of 500 appends that were queued without waiting.
    static FLUSHES_LEFT: AtomicU32 = AtomicU32::new(1_000_000);
    static NEVER: AtomicU32 = AtomicU32::new(0);
    let open_file: fn() -> OpenLogFile = || {
        Box::new(|path| {
            let file = DiskFile::open(path)?;
            Ok(Box::new(Faulty { file, sync_that_fails: &FLUSHES_LEFT, append_that_is_full: &NEVER }))
        })
    };
    let directory = tempfile::tempdir().expect("a directory");
    let log = open_with(directory.path(), FileLogOptions { open: open_file, ..Default::default() }).expect("opens");
    let (sender, receiver) = mpsc::channel();
    for index in 0..500_u32 {
        let sender = sender.clone();
        let answer = move |result| sender.send((index, result)).expect("the test waits");
        log.append(DB, None, index.to_be_bytes().to_vec(), Box::new(answer));
    }
    drop(sender);
    let answered: Vec<u32> = receiver.iter().map(|(index, result)| result.map(|_| index).expect("appended")).collect();
    assert!(answered.is_sorted() && answered.len() == 500);
    assert_eq!(entries(&log, Seq(0)).len(), 500);
    let flushes = 1_000_000 - FLUSHES_LEFT.load(Ordering::SeqCst);
    assert!(flushes < 400, "{flushes} flushes for 500 records");
}
