//! The byte layouts: damage is always noticed, and images of this version stay readable.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use value::{DecodeError, Seq, checksum};

use super::{NOW, Tab, put};
use crate::conformance::Random;
use crate::envelope::{
    self, ITERATIONS_MAX, ITERATIONS_MIN, KeyRecord, Lock, NONCE_BYTES, Place, SALT_BYTES, TAG_BYTES,
};
use crate::filter::{Filter, filter_hash};
use crate::key::Key;
use crate::layout::ValueLayout;
use crate::manifest::{LogMark, Manifest, ManifestHead, Run};
use crate::packing::{PIECES_MAX, pack, unpack};
use crate::rows::{Found, Rows, RowsBuilder};
use crate::segment::{self, Built, SegmentBuilder};
use crate::{BlockId, DeviceError, DeviceNow, manifest_head};
use crate::{Fault, FaultyDevice, Lsm, LsmConfig, OpenError, Target, log};

/// Takes the first half of a value as what varies, and its last byte.
#[derive(Debug)]
struct Halves;

impl ValueLayout for Halves {
    fn variable_parts(&self, _key: &[u8], value: &[u8], parts: &mut Vec<Range<usize>>) {
        if value.len() > 4 {
            parts.extend([0..value.len() / 2, value.len() - 1..value.len()]);
        }
    }
}

fn sample_segment() -> Built {
    let mut builder = SegmentBuilder::new(3);
    for n in 0..40_u8 {
        let value = vec![n; usize::from(n)];
        builder.push(Key::meta(&format!("key/{n:02}")).as_bytes(), (n % 7 != 0).then_some(value.as_slice()));
    }
    builder.finish(&Halves)
}

fn sample_manifest() -> Manifest {
    let info = sample_segment().info;
    let mut other = info.clone();
    other.id = 2;
    Manifest {
        head: ManifestHead { version: 9, floor: Seq(1 << 40), log_start: Seq(1 << 30) },
        next_segment: 4,
        marks: vec![LogMark { through: Seq(1 << 40), bytes: 1000 }],
        runs: vec![Run { fence: Some(Key::meta("key/10")), segments: vec![info] }, Run::default()],
        bottom: vec![other],
        quarantined: vec![1],
    }
}

/// Asserts that no bit can flip, no end be cut off and nothing be appended without an error.
fn check_damage<T>(name: &str, bytes: &[u8], read: impl Fn(Vec<u8>) -> Result<T, DecodeError>) {
    assert!(read(bytes.to_vec()).is_ok(), "{name}");
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(read(damaged).is_err(), "{name}: bit {bit}");
    }
    for length in 0..bytes.len() {
        assert!(read(bytes[..length].to_vec()).is_err(), "{name}: cut to {length}");
    }
    let longer = [bytes, &[0]].concat();
    assert!(read(longer).is_err(), "{name}: longer");
}

#[test]
fn damage_to_any_format_is_noticed() {
    check_damage("log record", &log::frame(Seq(5), b"record"), |bytes| log::unframe(&bytes).map(|_| ()));
    check_damage("manifest", &sample_manifest().encode(), |bytes| Manifest::decode(&bytes));
    check_damage("segment", &sample_segment().bytes, |bytes| segment::open(3, &bytes));
}

/// Goal: bytes with a right checksum but any content are refused or read, never a panic.
#[test]
fn content_with_a_right_checksum_never_panics() {
    let seed = 7;
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let images = [sample_manifest().encode(), sample_segment().bytes];
    for round in 0..20_000 {
        let mut bytes = images[round % 2].clone();
        bytes.truncate(bytes.len() - 4);
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] = random.below(256) as u8;
        }
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum.to_be_bytes());
        if let Ok(manifest) = Manifest::decode(&bytes) {
            assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
        }
        if let Ok(rows) = segment::open(3, &bytes) {
            for n in 0..40 {
                rows.get(Key::meta(&format!("key/{n:02}")).as_bytes());
            }
        }
    }
}

/// Every kind of sealed record, with a ciphertext that no cipher has made: the room does not look into it.
fn sample_envelopes() -> [(&'static str, Vec<u8>); 4] {
    let (nonce, ciphertext) = ([7; NONCE_BYTES], [9; TAG_BYTES + 3]);
    let head = sample_manifest().head;
    [
        ("sealed-block-1.bin", Place::Block(BlockId::segment(3)).wrap(&nonce, &ciphertext)),
        ("sealed-log-1.bin", Place::Log(Seq(0x0123_4567_89ab_cdef)).wrap(&nonce, &ciphertext)),
        ("sealed-manifest-1.bin", Place::Manifest(head).wrap(&nonce, &ciphertext)),
        ("sealed-meta-1.bin", Place::Meta("identity").wrap(&nonce, &ciphertext)),
    ]
}

fn sample_keys() -> [(&'static str, KeyRecord); 2] {
    let record = |lock| KeyRecord { lock, nonce: [5; NONCE_BYTES], wrapped: vec![6; 48] };
    [
        ("key-by-key-1.bin", record(Lock::Key)),
        ("key-by-passphrase-1.bin", record(Lock::Passphrase { salt: [8; SALT_BYTES], iterations: ITERATIONS_MIN })),
    ]
}

#[test]
fn damage_to_an_envelope_is_noticed() {
    let [block, log, manifest, meta] = sample_envelopes().map(|(_, bytes)| bytes);
    check_damage("block", &block, |bytes| {
        envelope::unwrap_named(&Place::Block(BlockId::segment(3)), &bytes).map(|_| ())
    });
    check_damage("log", &log, |bytes| envelope::unwrap_log(&bytes).map(|_| ()));
    check_damage("manifest", &manifest, |bytes| envelope::unwrap_manifest(&bytes).map(|_| ()));
    check_damage("meta", &meta, |bytes| envelope::unwrap_named(&Place::Meta("identity"), &bytes).map(|_| ()));
    for (name, record) in sample_keys() {
        check_damage(name, &record.encode(), |bytes| KeyRecord::decode(&bytes));
    }
}

#[test]
fn an_envelope_of_another_kind_is_refused() {
    let [block, log, manifest, _] = sample_envelopes().map(|(_, bytes)| bytes);
    let wrong = Some(DecodeError::Invalid("kind of sealed record"));
    assert_eq!(envelope::unwrap_log(&block).err(), wrong);
    assert_eq!(envelope::unwrap_manifest(&log).err(), wrong);
    assert_eq!(envelope::unwrap_named(&Place::Meta("identity"), &manifest).err(), wrong);
}

/// Goal: what a ciphertext is bound to differs wherever its place differs.
#[test]
fn every_place_binds_to_other_data() {
    let head = ManifestHead { version: 1, floor: Seq(2), log_start: Seq(1) };
    let places = [
        Place::Block(BlockId::segment(1)),
        Place::Block(BlockId::segment(2)),
        Place::Log(Seq(1)),
        Place::Log(Seq(2)),
        Place::Manifest(head),
        Place::Manifest(ManifestHead { version: 2, ..head }),
        Place::Manifest(ManifestHead { floor: Seq(3), ..head }),
        Place::Manifest(ManifestHead { log_start: Seq(0), ..head }),
        Place::Meta("a"),
        Place::Meta("b"),
    ];
    let mut bound: Vec<_> = places.iter().map(Place::associated_data).collect();
    bound.sort();
    bound.dedup();
    assert_eq!(bound.len(), places.len());
}

#[test]
fn a_device_reads_the_head_of_a_sealed_manifest() {
    let [_, _, manifest, _] = sample_envelopes().map(|(_, bytes)| bytes);
    assert_eq!(manifest_head(&manifest), Ok(sample_manifest().head));
    assert_eq!(manifest_head(&sample_manifest().encode()), Ok(sample_manifest().head));
}

#[test]
fn a_key_record_with_too_few_or_too_many_rounds_is_refused() {
    for iterations in [0, ITERATIONS_MIN - 1, ITERATIONS_MAX + 1] {
        let lock = Lock::Passphrase { salt: [8; SALT_BYTES], iterations };
        let record = KeyRecord { lock, nonce: [5; NONCE_BYTES], wrapped: vec![6; 48] };
        assert_eq!(KeyRecord::decode(&record.encode()), Err(DecodeError::Limit("iterations")));
    }
}

#[test]
fn a_newer_format_is_refused_untouched() {
    let mut manifest = sample_manifest().encode();
    manifest[4] = 3;
    assert_eq!(Lsm::open(Some(&manifest), LsmConfig::default()).err(), Some(OpenError::NewerFormat(3)));
    let mut segment = sample_segment().bytes;
    segment[4] = 3;
    assert_eq!(segment::open(3, &segment), Err(DecodeError::Version(3)));
    let mut record = log::frame(Seq(1), b"");
    record[4] = 3;
    assert_eq!(log::unframe(&record), Err(DecodeError::Version(3)));
    let device = FaultyDevice::new();
    let mut tab = Tab::open(device.clone(), LsmConfig::default());
    let seq = tab.commit(NOW, &put("a", "1")).unwrap();
    device.damage(&Target::Log(seq), |bytes| bytes[4] = 2);
    assert_eq!(device.boot_now(), Err(DeviceError::NewerFormat(2)));
}

#[test]
fn a_segment_under_a_wrong_number_is_refused() {
    assert_eq!(segment::open(4, &sample_segment().bytes), Err(DecodeError::Invalid("segment number")));
}

#[test]
fn segment_finds_every_row_and_nothing_else() {
    let Built { info, bytes, rows } = sample_segment();
    let segment = segment::open(3, &bytes).unwrap();
    assert_eq!(segment, rows, "what is in memory is what the device gives back");
    assert_eq!((info.rows, info.tombstones), (40, 6));
    for n in 0..40_u8 {
        let expected = vec![n; usize::from(n)];
        let expected = if n % 7 == 0 { Found::Deleted } else { Found::Value(&expected) };
        assert_eq!(segment.get(Key::meta(&format!("key/{n:02}")).as_bytes()), expected);
        assert_eq!(segment.get(Key::meta(&format!("key/{n:02}x")).as_bytes()), Found::Absent);
    }
    assert_eq!(segment.get(&[]), Found::Absent);
    assert_eq!(segment.seek(Key::meta("key/115").as_bytes()).row().unwrap().0, Key::meta("key/12").as_bytes());
}

#[test]
fn filter_never_denies_a_key_and_seldom_claims_one() {
    let hash = |n: u32| filter_hash(&n.to_be_bytes());
    let filter = Filter::build(&(0..5000).map(hash).collect::<Vec<_>>());
    assert!((0..5000).all(|n| filter.may_hold(hash(n))));
    let claimed = (5000..15_000).filter(|n| filter.may_hold(hash(*n))).count();
    assert!(claimed < 200, "{claimed} of 10,000");
}

/// Goal: this version's images are read for ever. Rewrite with `SHOAL_BLESS=1` only when the format number changes too.
#[test]
fn golden_images_are_read_and_written_alike() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/storage");
    let mut images = BTreeMap::from([
        ("log-record-1.bin", log::frame(Seq(0x0123_4567_89ab_cdef), b"a commit")),
        ("manifest-2.bin", sample_manifest().encode()),
        ("segment-2.bin", sample_segment().bytes),
    ]);
    images.extend(sample_envelopes());
    images.extend(sample_keys().map(|(name, record)| (name, record.encode())));
    for (name, bytes) in images {
        let path = folder.join(name);
        if std::env::var_os("SHOAL_BLESS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}");
    }
    let manifest = std::fs::read(folder.join("manifest-2.bin")).unwrap();
    assert_eq!(Manifest::decode(&manifest), Ok(sample_manifest()));
    for (name, record) in sample_keys() {
        assert_eq!(KeyRecord::decode(&std::fs::read(folder.join(name)).unwrap()), Ok(record));
    }
}

/// Goal: what earlier versions wrote is read, with the same content.
#[test]
fn images_of_the_first_version_are_read() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/storage");
    let bytes = std::fs::read(folder.join("segment-1.bin")).unwrap();
    check_damage("segment of format 1", &bytes, |bytes| segment::open(3, &bytes));
    assert_eq!(segment::open(3, &bytes), Ok(sample_segment().rows));
    let mut expected = sample_manifest();
    for info in expected.runs.iter_mut().flat_map(|run| &mut run.segments).chain(&mut expected.bottom) {
        info.bytes = bytes.len() as u64;
        info.rows_bytes = info.bytes;
    }
    let manifest = std::fs::read(folder.join("manifest-1.bin")).unwrap();
    check_damage("manifest of format 1", &manifest, |bytes| Manifest::decode(&bytes));
    assert_eq!(Manifest::decode(&manifest), Ok(expected));
}

/// Goal: packing loses nothing, whatever the layout says. Method: random rows and random parts.
#[test]
fn packed_rows_are_the_rows() {
    #[derive(Debug)]
    struct Hashed;
    impl ValueLayout for Hashed {
        fn variable_parts(&self, key: &[u8], value: &[u8], parts: &mut Vec<Range<usize>>) {
            let mut random = Random::new(filter_hash(key) | 1);
            let mut at = 0;
            while at < value.len() && random.below(8) > 0 {
                let start = at + random.below((value.len() - at) as u64) as usize;
                at = start + random.below((value.len() - start + 1) as u64) as usize;
                parts.push(start..at);
            }
        }
    }
    for seed in 1..=300 {
        let mut random = Random::new(seed);
        let mut keys: Vec<Vec<u8>> =
            (0..random.below(120)).map(|_| (0..random.below(12)).map(|_| random.below(3) as u8).collect()).collect();
        keys.sort();
        keys.dedup();
        let mut builder = RowsBuilder::default();
        for key in &keys {
            let value: Vec<u8> = (0..random.below(40)).map(|_| random.below(4) as u8).collect();
            builder.push(key, (random.below(5) > 0).then_some(&value));
        }
        let rows: Rows = builder.finish();
        check_lookups(&rows, &mut random);
        for layout in [&Hashed as &dyn ValueLayout, &Halves, &crate::Opaque] {
            assert_eq!(
                unpack(&pack(&rows, layout), rows.len(), PIECES_MAX),
                Ok(unpacked(&rows)),
                "seed {seed} {layout:?}"
            );
        }
    }
}

/// Goal: what is written is read under the limit of pieces. Method: values in which every byte is a part, of 45,000 pieces each.
#[test]
fn rows_of_more_pieces_than_a_parcel_may_have_are_kept_whole() {
    #[derive(Debug)]
    struct EveryByte;
    impl ValueLayout for EveryByte {
        fn variable_parts(&self, _key: &[u8], value: &[u8], parts: &mut Vec<Range<usize>>) {
            parts.extend((0..value.len()).map(|at| at..at + 1));
        }
    }
    let mut builder = RowsBuilder::default();
    (0..3_u8).for_each(|number| builder.push(&[number], Some(&vec![number; 45_000 - usize::from(number)])));
    let rows = builder.finish();
    assert_eq!(unpack(&pack(&rows, &EveryByte), rows.len(), PIECES_MAX), Ok(unpacked(&rows)));
}

/// Looks up every key, and others that are close to them.
fn check_lookups(rows: &Rows, random: &mut Random) {
    let mut known = BTreeMap::new();
    let mut cursor = rows.cursor();
    while let Some((key, value)) = cursor.row() {
        known.insert(key.to_vec(), value);
        cursor.advance();
    }
    let others = (0..100).map(|_| (0..random.below(12)).map(|_| random.below(3) as u8).collect::<Vec<u8>>());
    let others: Vec<Vec<u8>> = others.collect();
    for key in known.keys().chain(&others) {
        let expected = known.get(key).map_or(Found::Absent, |value| value.map_or(Found::Deleted, Found::Value));
        assert_eq!(rows.get(key), expected, "{key:?}");
    }
}

/// Copies rows by reading them.
fn unpacked(rows: &Rows) -> Rows {
    let mut builder = RowsBuilder::default();
    let mut cursor = rows.cursor();
    while let Some((key, value)) = cursor.row() {
        builder.push(key, value);
        cursor.advance();
    }
    builder.finish()
}

#[test]
fn damaged_log_records_are_listed_and_the_others_are_read() {
    let device = FaultyDevice::new();
    let mut tab = Tab::open(device.clone(), LsmConfig::default());
    let seqs: Vec<Seq> = ["a", "b", "c"].map(|name| tab.commit(NOW, &put(name, "1")).unwrap()).to_vec();
    device.flip(&Target::Log(seqs[0]), 130);
    assert_eq!(device.tear_last_record(), Some(seqs[2]));
    let image = device.boot_now().unwrap();
    assert_eq!(image.damaged, [seqs[0], seqs[2]]);
    assert_eq!(image.log.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [seqs[1]]);
    device.fail(0, Fault::Before(DeviceError::Blocked));
    assert_eq!(device.put_meta_now("a", vec![]), Err(DeviceError::Blocked));
}
