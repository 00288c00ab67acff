//! What the tests of this room share: a tab, which is a peer reduced to what storage needs.

mod crash;
mod engine;
mod files;
mod format;
mod key;
mod suite;
mod tabs;
mod verify;

use std::collections::BTreeMap;

use value::{Millis, Reader, Seq, Writer};

use crate::conformance::{Model, Random};
use crate::{Appended, Batch, BootImage, DeviceError, DeviceNow, Durability, Hosted, Key, LsmConfig, Store};

pub(crate) const NOW: Millis = Millis(1_700_000_000_000);

pub(crate) type Changes = BTreeMap<Key, Option<Vec<u8>>>;

/// Sizes so small that every commit or two has to be flushed and merged.
pub(crate) fn tiny() -> LsmConfig {
    LsmConfig {
        memtable_bytes_max: 2000,
        wal_commits_max: 8,
        wal_keep_bytes: 2000,
        wal_keep_ms_min: 0,
        segment_bytes: 300,
        cache_bytes_max: 0,
        merge_bytes_max: 900,
        ..LsmConfig::default()
    }
}

/// An engine with its log: it commits, and catches up with what other tabs commit.
pub(crate) struct Tab<D> {
    pub store: Hosted<D>,
    pub head: Seq,
}

impl<D: DeviceNow> Tab<D> {
    pub fn open(device: D, config: LsmConfig) -> Tab<D> {
        let image = device.boot_now().unwrap();
        assert_eq!(image.damaged, []);
        Tab::open_image(device, &image, config)
    }

    pub fn open_image(device: D, image: &BootImage, config: LsmConfig) -> Tab<D> {
        let store = Hosted::open(device, image, config).unwrap();
        let floor = store.with(|lsm| lsm.floor());
        let mut tab = Tab { store, head: floor };
        tab.replay(image.log.iter().filter(|(seq, _)| *seq > floor));
        tab
    }

    pub fn replay<'a>(&mut self, records: impl IntoIterator<Item = &'a (Seq, Vec<u8>)>) {
        for (seq, record) in records {
            self.apply(*seq, record.len(), read_changes(record));
        }
    }

    /// Commits whatever others have done, and reads what they have done.
    pub fn commit(&mut self, now: Millis, changes: &Changes) -> Result<Seq, DeviceError> {
        self.commit_with(now, changes, Durability::Relaxed)
    }

    pub fn commit_with(&mut self, now: Millis, changes: &Changes, durability: Durability) -> Result<Seq, DeviceError> {
        let record = write_changes(changes);
        loop {
            let answer = self.store.device().append_now(self.head, now, record.clone(), durability)?;
            match answer {
                Appended::Conflict(records) => self.replay(&records),
                Appended::Done(seq) => {
                    self.apply(seq, record.len(), changes.clone());
                    return Ok(seq);
                }
            }
        }
    }

    /// Reads what other tabs have committed.
    pub fn catch_up(&mut self) {
        let records = self.store.device().tail_now(self.head).unwrap();
        self.replay(&records);
    }

    fn apply(&mut self, seq: Seq, record_bytes: usize, changes: Changes) {
        let batch = Batch { seq, record_bytes: record_bytes as u64, changes };
        self.store.with(|lsm| lsm.apply(batch)).unwrap();
        self.head = seq;
    }
}

pub(crate) fn put(name: &str, text: &str) -> Changes {
    BTreeMap::from([(Key::meta(name), Some(text.as_bytes().to_vec()))])
}

pub(crate) fn delete(name: &str) -> Changes {
    BTreeMap::from([(Key::meta(name), None)])
}

/// Returns a few random changes of a small key space, and makes them in the model.
pub(crate) fn random_changes(random: &mut Random, model: &mut Model) -> Changes {
    let mut changes = Changes::new();
    for _ in 0..=random.below(4) {
        let key = Key::meta(&format!("key/{:03}", random.below(150)));
        let bytes = (random.below(3) > 0).then(|| vec![random.below(256) as u8; random.below(120) as usize]);
        changes.insert(key, bytes);
    }
    change(model, &changes);
    changes
}

pub(crate) fn change(model: &mut Model, changes: &Changes) {
    for (key, bytes) in changes {
        match bytes {
            Some(bytes) => model.insert(key.clone(), bytes.clone()),
            None => model.remove(key),
        };
    }
}

fn write_changes(changes: &Changes) -> Vec<u8> {
    let mut writer = Writer::new();
    for (key, bytes) in changes {
        writer.bytes(key.as_bytes()).u8(u8::from(bytes.is_some())).bytes(bytes.as_deref().unwrap_or_default());
    }
    writer.finish()
}

fn read_changes(record: &[u8]) -> Changes {
    let (mut reader, mut changes) = (Reader::new(record), Changes::new());
    while !reader.is_empty() {
        let key = Key::from_bytes(reader.bytes(9999).unwrap().to_vec());
        let present = reader.u8().unwrap() == 1;
        let bytes = reader.bytes(9999).unwrap().to_vec();
        changes.insert(key, present.then_some(bytes));
    }
    changes
}
