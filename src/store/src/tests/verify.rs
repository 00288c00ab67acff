//! Verification: sound stores are sound, and damage to anything is found and named.

use value::Reader;

use super::{NOW, Tab, put, random_changes, tiny};
use crate::conformance::{Model, Random};
use crate::{
    BlockId, Content, DeviceBatch, DeviceNow, FaultyDevice, FindingKind, Key, LsmConfig, MemoryDevice, Target,
    Verification, VerifyReport, manifest_head, verify_now,
};

/// The records that the tests' own tabs write; a value that says so is bad.
struct Expected;

impl Content for Expected {
    fn record(&self, record: &[u8]) -> Result<(), String> {
        let mut reader = Reader::new(record);
        while !reader.is_empty() {
            let row = reader.bytes(9999).and_then(|_| reader.u8()).and_then(|_| reader.bytes(9999));
            row.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn row(&self, _key: &Key, value: &[u8]) -> Result<(), String> {
        if value == b"bad" { Err("it says that it is bad".to_owned()) } else { Ok(()) }
    }
}

/// A device with log, runs, a merged level and a trimmed log.
fn busy(seed: u64) -> FaultyDevice {
    println!("seed {seed}");
    let (mut random, device, mut model) = (Random::new(seed), FaultyDevice::new(), Model::new());
    let mut tab = Tab::open(device.clone(), tiny());
    for _ in 0..120 {
        tab.commit(NOW, &random_changes(&mut random, &mut model)).unwrap();
        tab.store.maintain(NOW).unwrap();
    }
    device
}

fn walk(device: &FaultyDevice) -> VerifyReport {
    verify_now(device, Expected).unwrap()
}

/// Returns the kinds of the findings, each once.
fn kinds(report: &VerifyReport) -> Vec<FindingKind> {
    let mut kinds: Vec<FindingKind> = report.findings.iter().map(|finding| finding.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[test]
fn a_sound_store_has_no_findings_and_every_row_is_walked() {
    let report = verify_now(&MemoryDevice::new(), Expected).unwrap();
    assert!(report.is_ok() && report.counts == crate::VerifyCounts::default());
    for seed in 0..20 {
        let device = busy(seed);
        let report = walk(&device);
        assert_eq!(report.findings, []);
        let usage = device.usage_now().unwrap();
        assert_eq!((report.counts.segments, report.counts.segment_bytes), (usage.segments, usage.segment_bytes));
        assert_eq!(report.counts.log_records, usage.log_records);
        assert!(report.counts.rows > 50, "{:?}", report.counts);
    }
}

/// Goal: no flipped bit goes unseen. Method: every 13th bit of every record of a device with all kinds of them.
#[test]
fn a_flipped_bit_in_any_record_is_found_where_it_is() {
    let device = busy(5);
    let log = device.boot_now().unwrap().log.into_iter().map(|(seq, _)| (Target::Log(seq), FindingKind::Log));
    let blocks = device.blocks().into_iter().map(|block| (Target::Block(block), FindingKind::Block));
    let targets: Vec<_> = log.chain(blocks).chain([(Target::Manifest, FindingKind::Manifest)]).collect();
    let mut flips = 0;
    for (target, kind) in targets {
        let mut bits = 0;
        assert!(device.damage(&target, |bytes| bits = bytes.len() * 8));
        for bit in (0..bits).step_by(13).chain(32..40) {
            device.flip(&target, bit);
            let report = walk(&device);
            assert!(!report.is_ok() && kinds(&report).contains(&kind), "{target:?} bit {bit}: {report:?}");
            device.flip(&target, bit);
            flips += 1;
        }
    }
    assert!(flips > 1000 && walk(&device).is_ok());
}

#[test]
fn a_block_that_is_lost_is_named() {
    let device = busy(6);
    let block = device.blocks()[0];
    let batch = DeviceBatch { deletes: vec![block], ..same_manifest(&device) };
    device.write_now(batch).unwrap();
    let report = walk(&device);
    assert_eq!(kinds(&report), [FindingKind::Block]);
    assert_eq!(report.findings[0].name, block.to_string());
}

#[test]
fn a_block_that_nobody_names_is_listed_and_harms_nothing() {
    let device = busy(7);
    let batch = DeviceBatch { puts: vec![(BlockId::segment(99_999), vec![1])], ..same_manifest(&device) };
    device.write_now(batch).unwrap();
    let report = walk(&device);
    assert_eq!(kinds(&report), [FindingKind::Orphan]);
    assert!(report.is_ok() && report.counts.orphans == 1);
}

#[test]
fn a_block_under_the_name_of_another_is_found() {
    let device = busy(8);
    let [one, two, ..] = device.blocks()[..] else { panic!("two blocks") };
    let bytes = device.read_now(&[two]).unwrap().remove(0).unwrap();
    device.damage(&Target::Block(one), |old| *old = bytes);
    assert_eq!(kinds(&walk(&device)), [FindingKind::Block]);
}

/// Goal: a sound segment that is not the one of the manifest is found. Method: the right number, other rows.
#[test]
fn rows_that_the_manifest_does_not_tell_are_found() {
    let device = busy(9);
    let block = device.blocks()[0];
    let mut builder = crate::segment::SegmentBuilder::new(block.id);
    builder.push(Key::meta("zz").as_bytes(), Some(b"1"));
    let bytes = builder.finish(&crate::Opaque).bytes;
    device.damage(&Target::Block(block), |old| *old = bytes);
    let problems: Vec<String> = walk(&device).findings.into_iter().map(|finding| finding.problem).collect();
    assert!(problems.iter().any(|problem| problem.contains("rows are not those")), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.contains("filter denies")), "{problems:?}");
}

#[test]
fn a_row_that_its_writer_does_not_know_is_found() {
    let device = FaultyDevice::new();
    let mut tab = Tab::open(device.clone(), LsmConfig::default());
    tab.commit(NOW, &put("a", "good")).unwrap();
    tab.commit(NOW, &put("b", "bad")).unwrap();
    tab.store.flush(NOW).unwrap();
    let report = walk(&device);
    assert_eq!(kinds(&report), [FindingKind::Row]);
    assert_eq!(report.findings[0].name, "row 2 of segment 0");
}

#[test]
fn a_log_that_ends_before_the_segments_is_found() {
    let device = busy(10);
    let image = device.boot_now().unwrap();
    let truncated = crate::BootImage { log: Vec::new(), ..image };
    let mut walk = Verification::new(Expected, &truncated, None);
    assert!(walk.settle(truncated.manifest.as_deref(), None) || !walk.wanted().is_empty());
    assert_eq!(kinds(&walk.finish()), [FindingKind::Log]);
}

/// Goal: a walk beside a tab that merges finds nothing wrong. Method: twenty commits between any two pages.
#[test]
fn a_walk_beside_a_busy_tab_finds_nothing() {
    let (mut random, mut model) = (Random::new(11), Model::new());
    let device = busy(11);
    let mut tab = Tab::open(device.clone(), tiny());
    let image = device.boot_now().unwrap();
    let listed = device.blocks();
    let (mut walk, mut rounds, mut changes) = (Verification::new(Expected, &image, Some(&listed)), 0, 200);
    loop {
        for _ in 0..changes.min(20) {
            tab.commit(NOW, &random_changes(&mut random, &mut model)).unwrap();
            tab.store.maintain(NOW).unwrap();
            changes -= 1;
        }
        let wanted = walk.wanted();
        if !wanted.is_empty() {
            let read = device.read_now(&wanted).unwrap();
            walk.take(wanted.into_iter().zip(read).collect());
            continue;
        }
        rounds += 1;
        if !walk.settle(device.manifest_now().unwrap().as_deref(), Some(&device.blocks())) {
            break;
        }
    }
    assert!(rounds > 3, "the manifest moved under the walk");
    assert_eq!(walk.finish().findings, []);
}

/// A batch that changes nothing but what is added to it.
fn same_manifest(device: &FaultyDevice) -> DeviceBatch {
    let manifest = device.manifest_now().unwrap().unwrap();
    DeviceBatch { expected_manifest: manifest_head(&manifest).unwrap().version, manifest, ..DeviceBatch::default() }
}
