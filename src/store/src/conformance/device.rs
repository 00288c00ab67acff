//! What every device does.

use value::{Millis, Seq};

use crate::device::{Appended, BlockId, BootImage, Device, DeviceBatch, DeviceError, Durability, Written};
use crate::log::next_seq;
use crate::manifest::{Manifest, ManifestHead};

const WORKS: &str = "a device of this suite has no faults";
const NOW: Millis = Millis(1_700_000_000_000);

/// Runs the suite; `make` returns two handles on one fresh, empty device, as two tabs have them.
pub async fn device_suite<D: Device>(mut make: impl AsyncFnMut() -> (D, D)) {
    let (one, _) = make().await;
    a_fresh_device_is_empty(&one).await;
    let (one, two) = make().await;
    appends_are_read_back_in_order(&one, &two).await;
    let (one, two) = make().await;
    the_slower_of_two_writers_gets_a_conflict(&one, &two).await;
    let (one, two) = make().await;
    sequences_follow_the_clock_and_never_go_back(&one, &two).await;
    let (one, two) = make().await;
    a_batch_swaps_everything_at_once(&one, &two).await;
    let (one, two) = make().await;
    of_two_compactors_one_wins(&one, &two).await;
    let (one, two) = make().await;
    trimming_keeps_the_head_and_is_noticed(&one, &two).await;
    let (one, two) = make().await;
    large_and_empty_records_are_kept(&one, &two).await;
    let (one, two) = make().await;
    clearing_deletes_everything(&one, &two).await;
}

async fn append<D: Device>(device: &D, expected: Seq, text: &str) -> Appended {
    device.append(expected, NOW, text.as_bytes().to_vec(), Durability::Relaxed).await.expect(WORKS)
}

/// Appends where no conflict is possible.
async fn appended<D: Device>(device: &D, expected: Seq, text: &str) -> Seq {
    match append(device, expected, text).await {
        Appended::Done(seq) => seq,
        Appended::Conflict(records) => panic!("nobody else has appended, yet there is a conflict: {records:?}"),
    }
}

fn manifest(version: u64, floor: Seq, log_start: Seq) -> Vec<u8> {
    Manifest { head: ManifestHead { version, floor, log_start }, ..Manifest::default() }.encode()
}

async fn a_fresh_device_is_empty<D: Device>(device: &D) {
    assert_eq!(device.boot().await, Ok(BootImage::default()));
    assert_eq!(device.tail(Seq(0)).await, Ok(Vec::new()));
    assert_eq!(device.manifest().await, Ok(None));
    assert_eq!(device.read(&[BlockId::segment(1)]).await, Ok(vec![None]));
    assert_eq!(device.usage().await.expect(WORKS).log_records, 0);
}

async fn appends_are_read_back_in_order<D: Device>(one: &D, two: &D) {
    let mut records = Vec::new();
    let mut head = Seq(0);
    for (text, durability) in
        [("a", Durability::Relaxed), ("b", Durability::Strict), ("c", Durability::Memory), ("d", Durability::Relaxed)]
    {
        let answer = one.append(head, NOW, text.as_bytes().to_vec(), durability).await.expect(WORKS);
        let Appended::Done(seq) = answer else { panic!("nobody else has appended, yet: {answer:?}") };
        assert!(seq > head, "sequences grow");
        records.push((seq, text.as_bytes().to_vec()));
        head = seq;
    }
    assert_eq!(two.boot().await.expect(WORKS).log, records);
    assert_eq!(two.tail(Seq(0)).await, Ok(records.clone()));
    assert_eq!(two.tail(records[1].0).await, Ok(records[2..].to_vec()), "a tail starts after its sequence");
    assert_eq!(two.tail(head).await, Ok(Vec::new()));
    let usage = two.usage().await.expect(WORKS);
    assert_eq!(usage.log_records, 4);
    assert!(usage.log_bytes >= 4 * 17, "usage counts the frames");
}

async fn the_slower_of_two_writers_gets_a_conflict<D: Device>(one: &D, two: &D) {
    let first = appended(one, Seq(0), "a").await;
    let second = appended(one, first, "b").await;
    let conflict = Appended::Conflict(vec![(first, b"a".to_vec()), (second, b"b".to_vec())]);
    assert_eq!(append(two, Seq(0), "x").await, conflict);
    assert_eq!(append(two, first, "x").await, Appended::Conflict(vec![(second, b"b".to_vec())]));
    assert_eq!(one.tail(second).await, Ok(Vec::new()), "a conflict writes nothing");
    let third = appended(two, second, "c").await;
    assert_eq!(append(one, second, "d").await, Appended::Conflict(vec![(third, b"c".to_vec())]));
}

async fn sequences_follow_the_clock_and_never_go_back<D: Device>(one: &D, two: &D) {
    let first = appended(one, Seq(0), "a").await;
    assert_eq!(first, next_seq(Seq(0), NOW));
    assert_eq!(first.0 >> 16, NOW.0);
    let answer = two.append(first, Millis(5), b"b".to_vec(), Durability::Relaxed).await;
    assert_eq!(answer, Ok(Appended::Done(Seq(first.0 + 1))), "a clock that goes back does not take the sequence along");
    let later = NOW.plus(1000);
    let answer = one.append(Seq(first.0 + 1), later, b"c".to_vec(), Durability::Relaxed).await;
    assert_eq!(answer, Ok(Appended::Done(Seq(later.0 << 16))));
}

async fn a_batch_swaps_everything_at_once<D: Device>(one: &D, two: &D) {
    let first = DeviceBatch {
        manifest: manifest(1, Seq(0), Seq(0)),
        puts: vec![(BlockId::segment(1), vec![1]), (BlockId::segment(2), vec![2; 100_000])],
        meta: vec![("b".to_owned(), vec![7])],
        ..DeviceBatch::default()
    };
    assert_eq!(one.write(first).await, Ok(Written::Done));
    one.put_meta("a", vec![6]).await.expect(WORKS);
    let second = DeviceBatch {
        expected_manifest: 1,
        manifest: manifest(2, Seq(0), Seq(0)),
        puts: vec![(BlockId::segment(3), vec![3])],
        deletes: vec![BlockId::segment(1), BlockId::segment(99)],
        ..DeviceBatch::default()
    };
    assert_eq!(two.write(second).await, Ok(Written::Done));
    let blocks = [3, 1, 2].map(BlockId::segment);
    assert_eq!(one.read(&blocks).await, Ok(vec![Some(vec![3]), None, Some(vec![2; 100_000])]));
    let image = one.boot().await.expect(WORKS);
    assert_eq!(image.manifest, Some(manifest(2, Seq(0), Seq(0))));
    assert_eq!(image.meta, [("a".to_owned(), vec![6]), ("b".to_owned(), vec![7])], "meta records are sorted by name");
    assert_eq!(one.manifest().await, Ok(image.manifest));
    assert_eq!(one.usage().await.expect(WORKS).segments, 2);
}

async fn of_two_compactors_one_wins<D: Device>(one: &D, two: &D) {
    let batch = |id: u64| DeviceBatch {
        expected_manifest: 0,
        manifest: manifest(1, Seq(id), Seq(0)),
        puts: vec![(BlockId::segment(id), vec![id as u8])],
        meta: vec![("winner".to_owned(), vec![id as u8])],
        ..DeviceBatch::default()
    };
    assert_eq!(one.write(batch(1)).await, Ok(Written::Done));
    assert_eq!(two.write(batch(2)).await, Ok(Written::Conflict(manifest(1, Seq(1), Seq(0)))));
    assert_eq!(
        two.read(&[1, 2].map(BlockId::segment)).await,
        Ok(vec![Some(vec![1]), None]),
        "the loser writes nothing"
    );
    assert_eq!(two.boot().await.expect(WORKS).meta, [("winner".to_owned(), vec![1])]);
}

async fn trimming_keeps_the_head_and_is_noticed<D: Device>(one: &D, two: &D) {
    let first = appended(one, Seq(0), "a").await;
    let second = appended(one, first, "b").await;
    let third = appended(one, second, "c").await;
    let trim = |version: u64, through: Seq| DeviceBatch {
        expected_manifest: version - 1,
        manifest: manifest(version, third, through),
        delete_log_through: Some(through),
        ..DeviceBatch::default()
    };
    assert_eq!(one.write(trim(1, second)).await, Ok(Written::Done));
    assert_eq!(two.boot().await.expect(WORKS).log, [(third, b"c".to_vec())]);
    assert_eq!(two.tail(second).await, Ok(vec![(third, b"c".to_vec())]));
    assert_eq!(two.tail(first).await, Err(DeviceError::Trimmed(second)), "a gap is never silent");
    let append = two.append(first, NOW, b"d".to_vec(), Durability::Relaxed).await;
    assert_eq!(append, Err(DeviceError::Trimmed(second)));
    assert_eq!(one.write(trim(2, third)).await, Ok(Written::Done));
    assert_eq!(two.boot().await.expect(WORKS).log, [], "what is left of the newest record is no commit");
    assert_eq!(two.tail(third).await, Ok(Vec::new()));
    assert_eq!(two.tail(second).await, Err(DeviceError::Trimmed(third)));
    let fourth = appended(two, third, "d").await;
    assert!(fourth > third, "a sequence is not reused after trimming");
}

async fn large_and_empty_records_are_kept<D: Device>(one: &D, two: &D) {
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| ((n * 31) >> 3) as u8).collect();
    let answer = one.append(Seq(0), NOW, large.clone(), Durability::Strict).await.expect(WORKS);
    let Appended::Done(seq) = answer else { panic!("nobody else has appended") };
    assert_eq!(two.tail(Seq(0)).await, Ok(vec![(seq, large)]));
    one.put_meta("empty", Vec::new()).await.expect(WORKS);
    one.put_meta("é\0", vec![0, 255]).await.expect(WORKS);
    let meta = two.boot().await.expect(WORKS).meta;
    assert_eq!(meta, [("empty".to_owned(), Vec::new()), ("é\0".to_owned(), vec![0, 255])]);
    one.put_meta("empty", vec![1]).await.expect(WORKS);
    assert_eq!(two.boot().await.expect(WORKS).meta[0].1, [1], "a meta record is replaced");
}

async fn clearing_deletes_everything<D: Device>(one: &D, two: &D) {
    let seq = appended(one, Seq(0), "a").await;
    one.put_meta("a", vec![1]).await.expect(WORKS);
    let batch = DeviceBatch {
        manifest: manifest(1, seq, Seq(0)),
        puts: vec![(BlockId::segment(1), vec![1])],
        ..DeviceBatch::default()
    };
    one.write(batch).await.expect(WORKS);
    one.clear().await.expect(WORKS);
    assert_eq!(two.boot().await, Ok(BootImage::default()));
    assert_eq!(two.read(&[BlockId::segment(1)]).await, Ok(vec![None]));
    let lost = two.append(seq, NOW, b"b".to_vec(), Durability::Relaxed).await;
    assert_eq!(lost, Err(DeviceError::Closed), "who still writes to the cleared store is told so");
    let next = DeviceBatch { expected_manifest: 1, manifest: manifest(2, seq, Seq(0)), ..DeviceBatch::default() };
    assert_eq!(two.write(next).await, Err(DeviceError::Closed));
}
