//! The device of files: a process that dies between any two verbs, or in the middle of one, leaves a readable folder.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use value::{DecodeError, Seq};

use super::{NOW, Tab, random_changes, tiny};
use crate::conformance::{Model, Random, check_rows};
use crate::file_device::catalog::Catalog;
use crate::file_device::entry;
use crate::manifest::{Manifest, ManifestHead};
use crate::{
    Appended, BlockId, DeviceBatch, DeviceError, DeviceNow, Durability, FileDevice, Folder, MemoryFolder, Written,
    manifest_head,
};

type Contents = Rc<RefCell<BTreeMap<String, Vec<u8>>>>;

/// A folder in memory whose process dies after some changes; the last one is half done.
#[derive(Clone, Default)]
struct TestFolder {
    files: Contents,
    changes_left: Option<Rc<Cell<usize>>>,
    room: Option<usize>,
}

impl TestFolder {
    fn dying(changes: usize) -> TestFolder {
        TestFolder { changes_left: Some(Rc::new(Cell::new(changes))), ..TestFolder::default() }
    }

    /// The same files, in a process that lives.
    fn survivor(&self) -> TestFolder {
        TestFolder { files: self.files.clone(), ..TestFolder::default() }
    }

    /// Says whether the change is still made; `half` is what is left of the one at which the process dies.
    fn change(&self, half: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) -> Result<(), DeviceError> {
        let Some(left) = &self.changes_left else { return Ok(()) };
        let dead = DeviceError::Other("the process is dead".to_owned());
        match left.get() {
            usize::MAX => Err(dead),
            0 => {
                left.set(usize::MAX);
                half(&mut self.files.borrow_mut());
                Err(dead)
            }
            more => {
                left.set(more - 1);
                Ok(())
            }
        }
    }
}

impl Folder for TestFolder {
    fn list(&self) -> Result<Vec<String>, DeviceError> {
        Ok(self.files.borrow().keys().rev().cloned().collect())
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, DeviceError> {
        Ok(self.files.borrow().get(name).cloned())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DeviceError> {
        let part = format!("{name}.part");
        self.change(|files| drop(files.insert(part.clone(), bytes[..bytes.len() / 2].to_vec())))?;
        self.change(|files| drop(files.insert(part.clone(), bytes.to_vec())))?;
        self.files.borrow_mut().insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn append(&self, name: &str, bytes: &[u8], _durability: Durability) -> Result<(), DeviceError> {
        let add = |files: &mut BTreeMap<String, Vec<u8>>, length: usize| {
            files.entry(name.to_owned()).or_default().extend(&bytes[..length]);
        };
        if self.room.is_some_and(|room| self.files.borrow().values().map(Vec::len).sum::<usize>() + bytes.len() > room)
        {
            add(&mut self.files.borrow_mut(), bytes.len() / 2);
            return Err(DeviceError::QuotaExceeded);
        }
        self.change(|files| add(files, bytes.len() / 2))?;
        add(&mut self.files.borrow_mut(), bytes.len());
        Ok(())
    }

    fn cut(&self, name: &str, bytes: u64) -> Result<(), DeviceError> {
        self.change(|_| {})?;
        if let Some(file) = self.files.borrow_mut().get_mut(name) {
            file.truncate(bytes as usize);
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), DeviceError> {
        self.change(|_| {})?;
        self.files.borrow_mut().remove(name);
        Ok(())
    }

    fn sync(&self) -> Result<(), DeviceError> {
        self.change(|_| {})
    }
}

fn open(folder: &TestFolder) -> FileDevice<TestFolder> {
    FileDevice::open(folder.clone()).unwrap()
}

fn append(device: &impl DeviceNow, expected: Seq, bytes: &[u8]) -> Result<Seq, DeviceError> {
    match device.append_now(expected, NOW, bytes.to_vec(), Durability::Relaxed)? {
        Appended::Done(seq) => Ok(seq),
        Appended::Conflict(records) => panic!("nobody else has appended: {records:?}"),
    }
}

fn manifest(version: u64, floor: Seq, log_start: Seq) -> Vec<u8> {
    Manifest { head: ManifestHead { version, floor, log_start }, ..Manifest::default() }.encode()
}

/// What a process has been promised before it died.
#[derive(Default)]
struct Promised {
    records: Vec<(Seq, Vec<u8>)>,
    version: u64,
    trimmed: Seq,
    identity: bool,
}

/// Appends, flushes, replaces blocks, trims; ends at the first error.
fn live(folder: &TestFolder, promised: &mut Promised) -> Result<(), DeviceError> {
    let device = FileDevice::open(folder.clone())?;
    device.put_meta_now("identity", b"me".to_vec())?;
    promised.identity = true;
    let mut head = Seq(0);
    for version in 1..=4_u64 {
        for n in 0..3_u8 {
            // Three large ones fill a log file.
            let bytes = vec![n; 400_000];
            head = append(&device, head, &bytes)?;
            promised.records.push((head, bytes));
        }
        let through = promised.records[promised.records.len() - 2].0;
        let batch = DeviceBatch {
            expected_manifest: version - 1,
            manifest: manifest(version, head, through),
            puts: vec![(BlockId::segment(version), vec![version as u8; 50])],
            deletes: vec![BlockId::segment(version - 1)],
            meta: vec![("parameters".to_owned(), vec![version as u8])],
            delete_log_through: Some(through),
            ..DeviceBatch::default()
        };
        assert_eq!(device.write_now(batch)?, Written::Done);
        (promised.version, promised.trimmed) = (version, through);
    }
    Ok(())
}

/// Goal: everything promised is there and nothing is half there, wherever the process dies.
#[test]
fn a_process_may_die_at_any_change() {
    for changes in 0.. {
        let (folder, mut promised) = (TestFolder::dying(changes), Promised::default());
        let finished = live(&folder, &mut promised).is_ok();
        let device = open(&folder.survivor());
        let image = device.boot_now().unwrap();
        let head = image.manifest.as_deref().map_or(ManifestHead::default(), |bytes| manifest_head(bytes).unwrap());
        assert!(head.version == promised.version || head.version == promised.version + 1, "dies at {changes}");
        assert_eq!(image.damaged, [], "a torn end is no damage");
        let expected = promised.records.iter().filter(|(seq, _)| *seq > head.log_start);
        assert!(image.log.iter().zip(expected.clone()).all(|(found, record)| found == record), "dies at {changes}");
        assert!(image.log.len() == expected.clone().count() || image.log.len() == expected.count() + 1);
        assert!(!promised.identity || image.meta.iter().any(|(name, _)| name == "identity"));
        if head.version > 0 {
            let blocks = [head.version, head.version - 1].map(BlockId::segment);
            assert_eq!(device.read_now(&blocks), Ok(vec![Some(vec![head.version as u8; 50]), None]));
            assert_eq!(device.blocks_now(), Ok(Some(vec![blocks[0]])));
            assert!(image.meta.contains(&("parameters".to_owned(), vec![head.version as u8])));
        }
        let names = folder.survivor().list().unwrap();
        assert!(
            names.iter().filter(|name| name.starts_with("block-")).count() <= 1,
            "leftovers are collected: {names:?}"
        );
        assert!(!names.iter().any(|name| name.ends_with(".part")), "leftovers are collected: {names:?}");
        let last = image.log.last().map_or(Seq(0), |(seq, _)| *seq);
        let next = append(&device, last.max(head.floor), b"next").unwrap();
        assert_eq!(open(&folder.survivor()).boot_now().unwrap().log.last(), Some(&(next, b"next".to_vec())));
        if finished {
            assert!(changes > 50, "the script makes {changes} changes");
            return;
        }
    }
}

/// A folder with four log records in one file, their sequences, and the name of the file.
fn four() -> (TestFolder, Vec<Seq>, String) {
    let folder = TestFolder::default();
    let device = open(&folder);
    let mut seqs = vec![Seq(0)];
    for text in ["one", "two", "three", "four"] {
        seqs.push(append(&device, seqs[seqs.len() - 1], text.as_bytes()).unwrap());
    }
    let name = folder.list().unwrap().into_iter().find(|name| name.starts_with("log-")).unwrap();
    (folder, seqs.split_off(1), name)
}

/// Goal: a changed byte costs the record it lies in and no other, and is never silent.
#[test]
fn a_changed_byte_costs_one_record() {
    let (folder, seqs, name) = four();
    let file = folder.read(&name).unwrap().unwrap();
    let (mut at, mut ends) = (0, Vec::new());
    for found in entry::scan(Seq(1), &file) {
        ends.push(found.end);
    }
    while at < file.len() {
        let (folder, _, name) = four();
        folder.files.borrow_mut().get_mut(&name).unwrap()[at] ^= 0x20;
        let place = ends.iter().position(|end| at < *end).unwrap();
        match FileDevice::open(folder.clone()).and_then(|device| device.boot_now()) {
            // The format byte of the frame.
            Err(error) => assert!(matches!(error, DeviceError::NewerFormat(_)), "byte {at}: {error:?}"),
            Ok(image) => {
                let kept: Vec<Seq> = image.log.iter().map(|(seq, _)| *seq).collect();
                let expected: Vec<Seq> = seqs.iter().copied().filter(|seq| *seq != seqs[place]).collect();
                assert_eq!(kept, expected, "byte {at}");
                assert_eq!(image.damaged.len(), 1, "byte {at}");
                let between = |seq: Seq| place == 0 || seq > seqs[place - 1];
                assert!(between(image.damaged[0]) && image.damaged[0] <= seqs[place], "byte {at}");
            }
        }
        at += 1;
    }
}

#[test]
fn a_damaged_first_record_of_a_later_file_is_told() {
    let folder = TestFolder::default();
    let device = open(&folder);
    let first = append(&device, Seq(0), &vec![1; 2_000_000]).unwrap();
    let second = append(&device, first, b"second").unwrap();
    let third = append(&device, second, b"third").unwrap();
    let name = format!("log-{:016x}", second.0);
    folder.files.borrow_mut().get_mut(&name).unwrap()[3] ^= 1;
    let image = open(&folder).boot_now().unwrap();
    assert_eq!(image.damaged, [second]);
    assert_eq!(image.log.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [first, third]);
}

#[test]
fn a_log_cut_anywhere_is_read_up_to_the_cut_and_goes_on() {
    let (folder, seqs, name) = four();
    let file = folder.read(&name).unwrap().unwrap();
    let ends: Vec<usize> = entry::scan(Seq(1), &file).iter().map(|found| found.end).collect();
    for length in 0..file.len() {
        folder.files.borrow_mut().insert(name.clone(), file[..length].to_vec());
        let device = open(&folder);
        let whole = ends.iter().filter(|end| **end <= length).count();
        let image = device.boot_now().unwrap();
        assert_eq!(image.log.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), seqs[..whole], "cut to {length}");
        assert_eq!(image.damaged, [], "cut to {length}");
        let next = append(&device, image.log.last().map_or(Seq(0), |(seq, _)| *seq), b"next").unwrap();
        assert_eq!(open(&folder).boot_now().unwrap().log.last(), Some(&(next, b"next".to_vec())), "cut to {length}");
    }
}

#[test]
fn a_damaged_last_record_stays_the_head() {
    for place in [1, 30] {
        let (folder, seqs, name) = four();
        let at = folder.files.borrow()[&name].len() - place;
        folder.files.borrow_mut().get_mut(&name).unwrap()[at] ^= 1;
        let device = open(&folder);
        let damaged = device.boot_now().unwrap().damaged;
        assert!(damaged.len() == 1 && damaged[0] > seqs[2] && damaged[0] <= seqs[3], "{damaged:?}");
        let unread = device.append_now(seqs[2], NOW, vec![1], Durability::Relaxed);
        assert!(matches!(unread, Err(DeviceError::Damaged(_))), "nobody writes over it unknowing: {unread:?}");
        let next = append(&device, damaged[0], b"next").unwrap();
        let image = open(&folder).boot_now().unwrap();
        assert_eq!(image.log.last(), Some(&(next, b"next".to_vec())));
        assert_eq!(image.damaged, damaged, "it is told until it is trimmed");
    }
}

#[test]
fn a_full_disk_takes_back_what_was_half_written() {
    let folder = TestFolder { room: Some(2000), ..TestFolder::default() };
    let device = open(&folder);
    let first = append(&device, Seq(0), b"first").unwrap();
    assert_eq!(append(&device, first, &[7; 3000]), Err(DeviceError::QuotaExceeded));
    let second = append(&device, first, b"second").unwrap();
    let log = open(&folder).boot_now().unwrap().log;
    assert_eq!(log, [(first, b"first".to_vec()), (second, b"second".to_vec())]);
}

#[test]
fn a_damaged_or_newer_catalog_is_refused_untouched() {
    let folder = TestFolder::default();
    open(&folder).put_meta_now("a", vec![1]).unwrap();
    let catalog = folder.files.borrow()["catalog"].clone();
    for at in 0..catalog.len() {
        folder.files.borrow_mut().get_mut("catalog").unwrap()[at] ^= 0x10;
        let before = folder.files.borrow().clone();
        let error = FileDevice::open(folder.clone()).err().unwrap();
        let refused = matches!(error, DeviceError::Damaged(_) | DeviceError::NewerFormat(_));
        assert!(refused, "byte {at}: {error:?}");
        assert_eq!(*folder.files.borrow(), before);
        folder.files.borrow_mut().insert("catalog".to_owned(), catalog.clone());
    }
    for length in 0..catalog.len() {
        assert!(Catalog::decode(&catalog[..length]).is_err(), "cut to {length}");
    }
}

/// Goal: an engine over files that dies anywhere reopens with exactly what it had acknowledged, or with one commit more.
#[test]
fn an_engine_dies_anywhere_and_loses_nothing() {
    for changes in (2..).step_by(23) {
        let (folder, mut random, mut model) = (TestFolder::dying(changes), Random::new(5), Model::new());
        let mut tab = Tab::open(open(&folder), tiny());
        let mut finished = true;
        for _ in 0..120 {
            let mut next = model.clone();
            let wanted = random_changes(&mut random, &mut next);
            let committed = tab.commit(NOW, &wanted).is_ok();
            let reopened = if committed { None } else { Some(Tab::open(open(&folder.survivor()), tiny())) };
            if committed || reopened.is_some_and(|after| after.head > tab.head) {
                model = next;
            }
            if !committed || tab.store.maintain(NOW).is_err() {
                finished = false;
                break;
            }
        }
        check_rows(&Tab::open(open(&folder.survivor()), tiny()).store, &model, 20).unwrap();
        if finished {
            assert!(changes > 500, "the script makes {changes} changes");
            return;
        }
    }
}

/// Goal: this version's files are read for ever. Rewrite with `SHOAL_BLESS=1` only when the format number changes too.
#[test]
fn golden_files_are_read_and_written_alike() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/storage");
    let mut catalog = Catalog {
        log_after: Seq(1 << 30),
        manifest: Some(manifest(9, Seq(1 << 40), Seq(1 << 30))),
        ..Catalog::default()
    };
    catalog.blocks.extend([(BlockId::segment(3), 65_536), (BlockId::segment(4), 100)]);
    catalog.meta.extend([("identity".to_owned(), vec![1, 2, 3])]);
    let log = [entry::encode(Seq(5), b"a commit"), entry::encode(Seq(6), b"")].concat();
    for (name, bytes) in [("catalog-1.bin", catalog.encode()), ("log-file-1.bin", log.clone())] {
        if std::env::var_os("SHOAL_BLESS").is_some() {
            std::fs::write(folder.join(name), &bytes).unwrap();
        }
        assert_eq!(std::fs::read(folder.join(name)).unwrap(), bytes, "{name}");
    }
    assert_eq!(Catalog::decode(&std::fs::read(folder.join("catalog-1.bin")).unwrap()), Ok(catalog));
    let records: Vec<Result<&[u8], DecodeError>> =
        entry::scan(Seq(1), &log).iter().map(|found| found.record(&log)).collect();
    assert_eq!(records, [Ok(b"a commit".as_slice()), Ok(b"".as_slice())]);
}

/// Returns a device over a fresh folder, for the suite.
pub(super) fn device() -> impl DeviceNow + crate::BlobDeviceNow + Clone {
    let folder: Rc<dyn Folder> = Rc::new(MemoryFolder::new());
    FileDevice::open(folder).unwrap()
}
