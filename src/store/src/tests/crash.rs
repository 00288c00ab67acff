//! Crashes, power cuts, failing writes and damaged blocks.

use super::{Changes, NOW, Tab, change, put, random_changes, tiny};
use crate::conformance::{Model, Random, check_rows};
use crate::{
    BlockId, DeviceError, DeviceNow, Durability, Fault, FaultyDevice, Key, KeyRange, LsmConfig, Maintenance, ReadError,
    Store, Target,
};

/// Goal: everything appended is there and nothing half there. Method: reopen from the state after every single write.
#[test]
fn reopening_after_any_write_shows_exactly_what_was_appended() {
    for seed in 0..6 {
        println!("seed {seed}");
        let (mut random, device) = (Random::new(seed), FaultyDevice::new());
        device.record();
        let mut tab = Tab::open(device.clone(), tiny());
        let mut model = Model::new();
        let mut expected = vec![model.clone()];
        for _ in 0..120 {
            let changes = random_changes(&mut random, &mut model);
            tab.commit(NOW, &changes).unwrap();
            expected.push(model.clone());
            tab.store.maintain(NOW).unwrap();
            while expected.len() < device.states() {
                expected.push(model.clone());
            }
        }
        assert!(device.states() > 200, "flushes and merges are among the {} writes", device.states());
        for (write, model) in expected.iter().enumerate() {
            let reopened = Tab::open(device.crash(write).unwrap(), tiny());
            check_rows(&reopened.store, model, 20).unwrap();
        }
    }
}

#[test]
fn a_power_cut_undoes_nothing_that_was_strict() {
    let device = FaultyDevice::new();
    device.record();
    let mut tab = Tab::open(device.clone(), LsmConfig::default());
    tab.commit_with(NOW, &put("a", "1"), Durability::Strict).unwrap();
    tab.commit_with(NOW, &put("b", "1"), Durability::Relaxed).unwrap();
    tab.store.flush(NOW).unwrap();
    let cuts = device.power_cuts();
    assert_eq!(cuts.len(), 3);
    for (at, cut) in cuts.into_iter().enumerate() {
        let reopened = Tab::open(cut, LsmConfig::default());
        assert_eq!(reopened.store.get(&Key::meta("a")), Ok(Some(b"1".to_vec())));
        assert_eq!(reopened.store.get(&Key::meta("b")).unwrap().is_some(), at > 0);
    }
}

#[test]
fn a_full_device_keeps_reading_and_goes_on_when_there_is_room() {
    let device = FaultyDevice::new();
    let (mut tab, mut model) = (Tab::open(device.clone(), tiny()), Model::new());
    let mut random = Random::new(3);
    for _ in 0..60 {
        let changes = random_changes(&mut random, &mut model);
        tab.commit(NOW, &changes).unwrap();
        tab.store.maintain(NOW).unwrap();
    }
    let changes = random_changes(&mut random, &mut model);
    tab.commit(NOW, &changes).unwrap();
    device.limit(Some(1));
    assert_eq!(tab.commit(NOW, &put("x", "y")), Err(DeviceError::QuotaExceeded));
    assert_eq!(tab.store.flush(NOW), Err(DeviceError::QuotaExceeded));
    check_rows(&tab.store, &model, 20).unwrap();
    device.limit(None);
    assert_eq!(tab.store.flush(NOW), Ok(1));
    check_rows(&Tab::open(device, tiny()).store, &model, 20).unwrap();
}

/// Goal: a call that fails after it was carried out is met again as a conflict, and does no harm.
#[test]
fn a_lost_answer_does_no_harm() {
    let device = FaultyDevice::new();
    let (mut tab, mut model) = (Tab::open(device.clone(), LsmConfig::default()), Model::new());
    device.fail(0, Fault::After(DeviceError::Closed));
    let changes = put("a", "1");
    assert_eq!(tab.commit(NOW, &changes), Err(DeviceError::Closed));
    assert_eq!(tab.store.get(&Key::meta("a")), Ok(None), "not seen before it is known to be in the log");
    change(&mut model, &changes);
    let changes = put("b", "1");
    tab.commit(NOW, &changes).unwrap();
    change(&mut model, &changes);
    check_rows(&tab.store, &model, 5).unwrap();
    device.fail(0, Fault::After(DeviceError::Closed));
    assert_eq!(tab.store.flush(NOW), Err(DeviceError::Closed));
    check_rows(&tab.store, &model, 5).unwrap();
    tab.store.flush(NOW).unwrap();
    assert_eq!(tab.store.with(|lsm| lsm.stats().memtable_bytes), 0, "the conflict showed that the flush had succeeded");
    check_rows(&tab.store, &model, 5).unwrap();
    check_rows(&Tab::open(device, LsmConfig::default()).store, &model, 5).unwrap();
}

fn two_segments(device: &FaultyDevice) -> Tab<FaultyDevice> {
    let mut tab =
        Tab::open(device.clone(), LsmConfig { cache_bytes_max: 0, segment_bytes: 10, ..LsmConfig::default() });
    tab.commit(NOW, &[put("a", "1"), put("b", "2")].into_iter().flatten().collect::<Changes>()).unwrap();
    tab.store.flush(NOW).unwrap();
    tab.store.maintain(NOW).unwrap();
    tab
}

#[test]
fn a_damaged_block_is_named_and_after_quarantine_reads_go_on() {
    let device = FaultyDevice::new();
    let mut tab = two_segments(&device);
    let block = BlockId::segment(0);
    device.flip(&Target::Block(block), 200);
    for _ in 0..2 {
        assert!(matches!(tab.store.get(&Key::meta("a")), Err(ReadError::Damaged { block: BlockId { id: 0, .. }, .. })));
        assert!(matches!(tab.store.range(&KeyRange::all(), 9), Err(ReadError::Damaged { .. })));
    }
    assert_eq!(tab.store.get(&Key::meta("b")), Ok(Some(b"2".to_vec())), "other blocks are read");
    let lost = tab.store.with(|lsm| lsm.quarantine(block)).unwrap();
    assert!(lost.contains(&Key::meta("a")) && !lost.contains(&Key::meta("b")));
    assert_eq!(tab.store.get(&Key::meta("a")), Ok(None));
    assert_eq!(tab.store.maintain(NOW), Ok(1), "the quarantine is written down");
    assert_eq!(tab.store.maintain(NOW), Ok(0));
    let reopened = Tab::open(device.clone(), LsmConfig::default());
    assert_eq!(reopened.store.range(&KeyRange::all(), 9).unwrap().len(), 1);
    assert_eq!(device.blocks().len(), 2, "the damaged block stays for tools");
}

#[test]
fn a_quarantine_outlives_a_write_that_was_under_way() {
    let device = FaultyDevice::new();
    let mut tab = two_segments(&device);
    tab.commit(NOW, &put("c", "3")).unwrap();
    let Some(Maintenance::Write(batch)) = tab.store.with(|lsm| lsm.flush(NOW)) else { panic!("a flush is due") };
    tab.store.with(|lsm| lsm.quarantine(BlockId::segment(0))).unwrap();
    let outcome = device.write_now(batch);
    tab.store.with(|lsm| lsm.maintained(outcome)).unwrap();
    assert_eq!(tab.store.get(&Key::meta("a")), Ok(None));
    assert_eq!(tab.store.maintain(NOW), Ok(1));
    assert_eq!(Tab::open(device, LsmConfig::default()).store.get(&Key::meta("a")), Ok(None));
}

#[test]
fn a_lost_block_is_damage_and_not_an_endless_reload() {
    let device = FaultyDevice::new();
    let tab = two_segments(&device);
    let manifest = device.manifest_now().unwrap().unwrap();
    let version = crate::manifest_head(&manifest).unwrap().version;
    let delete = crate::DeviceBatch {
        expected_manifest: version,
        manifest,
        deletes: vec![BlockId::segment(1)],
        ..crate::DeviceBatch::default()
    };
    device.write_now(delete).unwrap();
    assert!(matches!(tab.store.get(&Key::meta("b")), Err(ReadError::Damaged { block: BlockId { id: 1, .. }, .. })));
    assert_eq!(tab.store.get(&Key::meta("a")), Ok(Some(b"1".to_vec())));
}
