//! The engine against its model: flushes, merges, evictions, reopenings, trimming.

use value::{Millis, Seq};

use super::{Changes, NOW, Tab, change, delete, put, random_changes, tiny};
use crate::conformance::{Model, Random, check_rows};
use crate::{BlockId, DeviceNow, Key, KeyRange, Lsm, LsmConfig, Maintenance, MemoryDevice, ReadError, Store, Written};

/// Goal: whatever happens in between, readers see what a sorted map holds.
#[test]
fn random_operations_match_the_model() {
    for seed in 0..30 {
        println!("seed {seed}");
        let mut random = Random::new(seed);
        let config = LsmConfig {
            cache_bytes_max: random.below(3) as usize * 2000,
            merge_bytes_max: 300 + random.below(3000),
            segment_bytes: 100 + random.below(600) as usize,
            ..tiny()
        };
        let (device, mut model, mut now) = (MemoryDevice::new(), Model::new(), NOW);
        let mut tab = Tab::open(device.clone(), config.clone());
        for _ in 0..400 {
            now = now.plus(random.below(1000));
            match random.below(20) {
                0 => tab = Tab::open(device.clone(), config.clone()),
                1 => {
                    tab.store.flush(now).unwrap();
                }
                2..6 => {
                    tab.store.maintain(now).unwrap();
                }
                6 => check_rows(&tab.store, &model, 1 + random.below(30) as usize).unwrap(),
                _ => {
                    let changes = random_changes(&mut random, &mut model);
                    tab.commit(now, &changes).unwrap();
                }
            }
        }
        tab.store.maintain(now).unwrap();
        check_rows(&tab.store, &model, 10).unwrap();
        check_rows(&Tab::open(device, config).store, &model, 10).unwrap();
    }
}

#[test]
fn deleted_and_overwritten_data_gives_its_space_back() {
    let device = MemoryDevice::new();
    let mut tab = Tab::open(device.clone(), tiny());
    for round in 0..40 {
        for n in 0..10 {
            let name = format!("{n}");
            let changes = if round == 39 { delete(&name) } else { put(&name, &"x".repeat(100)) };
            tab.commit(NOW, &changes).unwrap();
        }
        tab.store.flush(NOW).unwrap();
        tab.store.maintain(NOW).unwrap();
    }
    for n in 0..5 {
        tab.commit(NOW, &put("last", &n.to_string())).unwrap();
        tab.store.flush(NOW).unwrap();
    }
    tab.store.maintain(NOW).unwrap();
    let stats = tab.store.with(|lsm| lsm.stats());
    assert_eq!((stats.runs, stats.segments, stats.rows), (0, 1, 1));
    assert_eq!(device.usage_now().unwrap().segments, 1, "superseded segments are deleted from the device");
}

#[test]
fn what_was_overwritten_again_and_again_is_gone_after_a_rest() {
    let bytes_after = |rounds: usize| {
        let device = MemoryDevice::new();
        let mut tab = Tab::open(device.clone(), LsmConfig::default());
        for round in 0..rounds {
            let changes: Changes =
                (0..1000).flat_map(|n| put(&format!("{n}"), &format!("{n} {round} ").repeat(20))).collect();
            tab.commit(NOW, &changes).unwrap();
            tab.store.maintain(NOW).unwrap();
        }
        let due = |tab: &Tab<_>| tab.store.with(|lsm| lsm.maintenance_at());
        while let Some(at) = due(&tab).filter(|at| *at < NOW.plus(60_000)) {
            tab.store.maintain(at).unwrap();
        }
        let usage = device.usage_now().unwrap();
        usage.log_bytes + usage.segment_bytes
    };
    let (fresh, old) = (bytes_after(1), bytes_after(60));
    assert!(old * 10 <= fresh * 13, "{old} bytes beside {fresh}");
}

#[test]
fn superseded_segments_leave_the_memory_without_eviction() {
    let device = MemoryDevice::new();
    let mut tab = Tab::open(device.clone(), LsmConfig { cache_bytes_max: usize::MAX, ..tiny() });
    for n in 0..200 {
        tab.commit(NOW, &put(&format!("{}", n % 10), &"x".repeat(100))).unwrap();
        tab.store.maintain(NOW).unwrap();
    }
    let stats = tab.store.with(|lsm| lsm.stats());
    assert!(stats.resident_segments <= stats.segments, "{stats:?}");
    assert_eq!(device.usage_now().unwrap().segments, stats.segments as u64);
}

/// Goal: a merge of many slices is interrupted by commits, flushes and a reopening after each slice.
#[test]
fn commits_between_the_slices_of_a_merge_are_kept() {
    let (device, mut model) = (MemoryDevice::new(), Model::new());
    let mut tab = Tab::open(device.clone(), tiny());
    let mut random = Random::new(1);
    let (mut slices, mut turn) = (0, 0);
    while slices < 60 {
        turn += 1;
        let changes = random_changes(&mut random, &mut model);
        tab.commit(NOW, &changes).unwrap();
        if turn % 3 == 0 {
            tab.store.flush(NOW).unwrap();
        }
        let step = tab.store.with(|lsm| next_write(lsm, &device));
        if let Some(Maintenance::Write(batch)) = step {
            slices += usize::from(!batch.deletes.is_empty());
            let outcome = device.write_now(batch);
            tab.store.with(|lsm| lsm.maintained(outcome)).unwrap();
            check_rows(&tab.store, &model, 9).unwrap();
            if slices % 2 == 0 {
                tab = Tab::open(device.clone(), tiny());
                check_rows(&tab.store, &model, 9).unwrap();
            }
        }
    }
}

/// Loads what maintenance asks for, up to its next write.
fn next_write(lsm: &mut Lsm, device: &MemoryDevice) -> Option<Maintenance> {
    loop {
        match lsm.maintenance(NOW)? {
            Maintenance::Load(blocks) => {
                for (block, bytes) in blocks.iter().zip(device.read_now(&blocks).unwrap()) {
                    lsm.admit(*block, bytes).unwrap();
                }
            }
            write @ Maintenance::Write(_) => return Some(write),
        }
    }
}

/// Goal: reads and commits go on while a flush is being written, and a failure loses nothing.
#[test]
fn a_flush_under_way_disturbs_nobody() {
    let (device, mut model) = (MemoryDevice::new(), Model::new());
    let mut tab = Tab::open(device.clone(), LsmConfig::default());
    let mut commit = |tab: &mut Tab<MemoryDevice>, changes: &Changes| {
        tab.commit(NOW, changes).unwrap();
        change(&mut model, changes);
        check_rows(&tab.store, &model, 3).unwrap();
    };
    commit(&mut tab, &put("a", "1"));
    commit(&mut tab, &put("b", "1"));
    let Some(Maintenance::Write(batch)) = tab.store.with(|lsm| lsm.flush(NOW)) else { panic!("a flush is due") };
    assert_eq!(tab.store.with(|lsm| lsm.flush(NOW)), None, "one write at a time");
    commit(&mut tab, &put("a", "2"));
    commit(&mut tab, &delete("b"));
    let outcome = device.write_now(batch);
    tab.store.with(|lsm| lsm.maintained(outcome)).unwrap();
    commit(&mut tab, &put("c", "3"));
    assert!(tab.store.with(|lsm| lsm.flush(NOW)).is_some());
    tab.store.with(|lsm| lsm.maintained(Err(crate::DeviceError::QuotaExceeded))).unwrap();
    commit(&mut tab, &put("d", "4"));
    assert_eq!(tab.store.flush(NOW), Ok(1));
    commit(&mut tab, &put("e", "5"));
}

#[test]
fn the_log_is_kept_within_its_limits_and_never_deleted_above_the_floor() {
    let device = MemoryDevice::new();
    let config = LsmConfig {
        wal_keep_bytes: 1000,
        wal_keep_ms: 10_000,
        wal_keep_ms_min: 0,
        wal_commits_max: 5,
        ..LsmConfig::default()
    };
    let mut tab = Tab::open(device.clone(), config.clone());
    let mut now = NOW;
    for _ in 0..100 {
        tab.commit(now, &put("a", &"x".repeat(80))).unwrap();
        tab.store.maintain(now).unwrap();
        let usage = device.usage_now().unwrap();
        assert!(usage.log_bytes < 1000 + 5 * 110, "kept by size: {usage:?}");
        let (floor, start) = tab.store.with(|lsm| (lsm.floor(), lsm.log_start()));
        assert!(start <= floor);
        assert!(device.boot_now().unwrap().log.iter().all(|(seq, _)| *seq > start));
    }
    now = now.plus(60_000);
    tab.commit(now, &put("a", "1")).unwrap();
    tab.store.maintain(now).unwrap();
    let log = device.boot_now().unwrap().log;
    assert_eq!(log.len(), 1, "older ones are gone by age, what is not flushed stays");
    let mut tab = Tab::open(device, config);
    assert!(tab.commit(Millis(0), &put("b", "1")).unwrap() > tab.store.with(|lsm| lsm.floor()));
}

#[test]
fn flushed_log_waits_for_the_other_tabs_and_then_goes_without_a_commit() {
    let device = MemoryDevice::new();
    let config = LsmConfig { wal_keep_bytes: 0, wal_keep_ms_min: 10_000, ..LsmConfig::default() };
    let mut tab = Tab::open(device.clone(), config);
    let seq = tab.commit(NOW, &put("a", "1")).unwrap();
    tab.store.flush(NOW).unwrap();
    assert_eq!(device.boot_now().unwrap().log.len(), 1, "another tab may not have read it yet");
    let due = tab.store.with(|lsm| lsm.maintenance_at()).expect("the log can go later");
    assert_eq!(due, NOW.plus(10_000));
    assert_eq!(tab.store.maintain(due), Ok(1));
    assert_eq!(device.boot_now().unwrap().log, []);
    assert_eq!(tab.store.with(|lsm| lsm.maintenance_at()), None);
    tab.store.with(|lsm| lsm.keep_log_for_others(false));
    tab.commit(NOW.plus(20_000), &put("c", "1")).unwrap();
    tab.store.flush(NOW.plus(20_000)).unwrap();
    assert_eq!(device.boot_now().unwrap().log, [], "nobody else has to read it");
    assert!(tab.commit(NOW, &put("b", "1")).unwrap() > seq, "the device remembers its head");
}

#[test]
fn looking_for_a_new_key_reads_nothing() {
    let device = MemoryDevice::new();
    let mut tab = Tab::open(device.clone(), LsmConfig::default());
    let many: Changes =
        (0..2000).map(|n| (Key::index_row(1, &[n as u8, (n >> 8) as u8]), Some(vec![0; 100]))).collect();
    tab.commit(NOW, &many).unwrap();
    tab.store.flush(NOW).unwrap();
    let lsm = Lsm::open(device.manifest_now().unwrap().as_deref(), LsmConfig::default()).unwrap();
    let misses = (0..1000_u32).filter(|n| lsm.get(&Key::index_row(1, &n.to_be_bytes())) != Ok(None)).count();
    assert!(misses < 30, "{misses} of 1,000 absent keys had to be looked for on the device");
    assert_eq!(lsm.stats().resident_segments, 0);
}

#[test]
fn a_read_names_the_blocks_it_needs_and_some_ahead() {
    let device = MemoryDevice::new();
    let mut tab = Tab::open(device.clone(), tiny());
    let many: Changes = (0..200).map(|n| (Key::meta(&format!("{n:03}")), Some(vec![0; 50]))).collect();
    tab.commit(NOW, &many).unwrap();
    tab.store.flush(NOW).unwrap();
    let mut lsm = Lsm::open(device.manifest_now().unwrap().as_deref(), tiny()).unwrap();
    let few = lsm.range(&KeyRange::all(), 1);
    assert_eq!(few, Err(ReadError::NotResident(vec![BlockId::segment(0)])));
    let Err(ReadError::NotResident(blocks)) = lsm.range(&KeyRange::all(), 60) else { panic!("nothing is resident") };
    assert!(blocks.len() > 5, "{blocks:?}");
    for (block, bytes) in blocks.iter().zip(device.read_now(&blocks).unwrap()) {
        lsm.admit(*block, bytes).unwrap();
    }
    assert_eq!(lsm.range(&KeyRange::all(), 60).unwrap().len(), 60);
    assert_eq!(lsm.maintenance(NOW), None);
    assert_eq!(lsm.stats().resident_bytes, 0, "maintenance brings the cache under its budget");
}

#[test]
fn opening_reads_no_segment_and_knows_its_floor() {
    let device = MemoryDevice::new();
    let mut tab = Tab::open(device.clone(), LsmConfig::default());
    let first = tab.commit(NOW, &put("a", "1")).unwrap();
    tab.store.flush(NOW).unwrap();
    let second = tab.commit(NOW, &put("b", "2")).unwrap();
    let lsm = Lsm::open(device.manifest_now().unwrap().as_deref(), LsmConfig::default()).unwrap();
    assert_eq!((lsm.floor(), lsm.applied(), lsm.log_start()), (first, first, Seq(0)));
    assert_eq!(lsm.get(&Key::meta("a")), Err(ReadError::NotResident(vec![BlockId::segment(0)])));
    let again = Tab::open(device, LsmConfig::default());
    assert_eq!((again.store.applied(), again.head), (second, second));
}

#[test]
fn an_outcome_nobody_waits_for_is_ignored() {
    let mut lsm = Lsm::open(None, LsmConfig::default()).unwrap();
    assert_eq!(lsm.maintained(Ok(Written::Done)), Ok(()));
    assert_eq!(lsm.admit(BlockId::segment(9), None), Ok(()), "a block that nothing names is not missed");
}
