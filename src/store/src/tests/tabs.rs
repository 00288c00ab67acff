//! Several tabs over one device.

use super::{NOW, Tab, put, random_changes, tiny};
use crate::conformance::{Model, Random, check_rows};
use crate::{DeviceError, DeviceNow, Durability, FaultyDevice, Key, LsmConfig, Maintenance, MemoryDevice, Store};

/// Goal: tabs that commit, flush, merge and reload in any order all see what a sorted map holds.
#[test]
fn tabs_in_any_order_see_the_same() {
    for seed in 0..20 {
        println!("seed {seed}");
        let (mut random, device, mut model) = (Random::new(seed), MemoryDevice::new(), Model::new());
        let config = LsmConfig { wal_keep_bytes: 1_000_000, ..tiny() };
        let mut tabs: Vec<_> = (0..3).map(|_| Tab::open(device.clone(), config.clone())).collect();
        for _ in 0..300 {
            let tab = &mut tabs[random.below(3) as usize];
            match random.below(8) {
                0 => {
                    tab.store.maintain(NOW).unwrap();
                }
                1 => {
                    tab.store.flush(NOW).unwrap();
                }
                2 if device.manifest_now().unwrap().is_some() => tab.store.reload().unwrap(),
                3 => *tab = Tab::open(device.clone(), config.clone()),
                4 => {
                    tab.catch_up();
                    check_rows(&tab.store, &model, 17).unwrap();
                }
                _ => {
                    let changes = random_changes(&mut random, &mut model);
                    tab.commit(NOW, &changes).unwrap();
                }
            }
        }
        for tab in &mut tabs {
            tab.catch_up();
            tab.store.maintain(NOW).unwrap();
            check_rows(&tab.store, &model, 50).unwrap();
        }
    }
}

#[test]
fn two_writers_conflict_exactly_when_one_has_not_seen_the_other() {
    let device = FaultyDevice::new();
    let mut one = Tab::open(device.clone(), LsmConfig::default());
    let mut two = Tab::open(device.clone(), LsmConfig::default());
    device.record();
    one.commit(NOW, &put("a", "1")).unwrap();
    one.commit(NOW, &put("a", "2")).unwrap();
    assert_eq!(device.states(), 3, "alone there is no conflict");
    two.catch_up();
    two.commit(NOW, &put("a", "3")).unwrap();
    assert_eq!(device.states(), 4, "who has caught up has no conflict");
    assert_eq!(one.store.get(&Key::meta("a")), Ok(Some(b"2".to_vec())));
    one.commit(NOW, &put("b", "1")).unwrap();
    assert_eq!(device.states(), 6, "who has not is refused once, reads, and succeeds");
    assert_eq!(one.store.get(&Key::meta("a")), Ok(Some(b"3".to_vec())));
}

#[test]
fn a_stale_tab_reloads_by_itself_and_drops_what_is_now_in_segments() {
    let device = MemoryDevice::new();
    let config = LsmConfig { cache_bytes_max: 0, ..LsmConfig::default() };
    let mut one = Tab::open(device.clone(), config.clone());
    one.commit(NOW, &put("a", "1")).unwrap();
    one.store.flush(NOW).unwrap();
    let mut two = Tab::open(device.clone(), config);
    for n in 0..6 {
        one.commit(NOW, &put("b", &n.to_string())).unwrap();
        one.store.flush(NOW).unwrap();
    }
    two.catch_up();
    assert!(two.store.with(|lsm| lsm.stats().memtable_bytes) > 0);
    one.store.maintain(NOW).unwrap();
    assert_eq!(two.store.get(&Key::meta("a")), Ok(Some(b"1".to_vec())), "its segment is gone, the answer is not");
    assert_eq!(two.store.with(|lsm| lsm.stats().memtable_bytes), 0);
    assert_eq!(two.store.get(&Key::meta("b")), Ok(Some(b"5".to_vec())));
}

#[test]
fn of_two_flushes_one_wins_and_the_loser_goes_on_from_there() {
    let device = MemoryDevice::new();
    let mut one = Tab::open(device.clone(), LsmConfig::default());
    let mut two = Tab::open(device.clone(), LsmConfig::default());
    one.commit(NOW, &put("a", "1")).unwrap();
    two.commit(NOW, &put("b", "2")).unwrap();
    let Some(Maintenance::Write(batch)) = two.store.with(|lsm| lsm.flush(NOW)) else { panic!("a flush is due") };
    one.catch_up();
    one.commit(NOW, &put("c", "3")).unwrap();
    one.store.flush(NOW).unwrap();
    let outcome = device.write_now(batch);
    two.store.with(|lsm| lsm.maintained(outcome)).unwrap();
    assert_eq!(two.store.with(|lsm| lsm.floor()), one.head);
    assert_eq!(two.store.applied(), one.head, "readers see the winner's state");
    two.catch_up();
    let model: Model = [("a", "1"), ("b", "2"), ("c", "3")].map(|(k, v)| (Key::meta(k), v.into())).into();
    check_rows(&two.store, &model, 2).unwrap();
    assert_eq!(device.usage_now().unwrap().segments, 1, "the loser left nothing behind");
}

#[test]
fn a_tab_that_slept_through_trimming_is_told_and_boots_again() {
    let device = MemoryDevice::new();
    let config = LsmConfig { wal_keep_bytes: 0, wal_keep_ms_min: 0, wal_commits_max: 1, ..LsmConfig::default() };
    let mut sleeper = Tab::open(device.clone(), config.clone());
    let mut busy = Tab::open(device.clone(), config.clone());
    for n in 0..4 {
        busy.commit(NOW, &put("a", &n.to_string())).unwrap();
        busy.store.maintain(NOW).unwrap();
    }
    let (through, floor) = busy.store.with(|lsm| (lsm.log_start(), lsm.floor()));
    assert_eq!(through, floor, "all flushed log is gone");
    assert_eq!(sleeper.commit(NOW, &put("b", "1")), Err(DeviceError::Trimmed(through)));
    assert_eq!(device.tail_now(sleeper.head), Err(DeviceError::Trimmed(through)));
    sleeper = Tab::open(device, config);
    sleeper.commit_with(NOW, &put("b", "1"), Durability::Strict).unwrap();
    assert_eq!(sleeper.store.get(&Key::meta("a")), Ok(Some(b"3".to_vec())));
}
