//! A sealed device keeps the contract of a device, and what lies under it opens nowhere but in its place.

use js_sys::Uint8Array;
use store::conformance::{blob_suite, device_suite};
use store::envelope::Place;
use store::{
    Appended, BlobDevice, BlobPlace, BlockId, BootImage, Device, DeviceBatch, DeviceError, Durability, MemoryDevice,
    Written, log,
};
use value::{Millis, Seq};
use wasm_bindgen_test::wasm_bindgen_test;
use web::{IndexedDb, Sealed, Secret};

use crate::fresh;

const NOW: Millis = Millis(1_700_000_000_000);
const WORKS: &str = "the device works";

fn key(byte: u8) -> Secret {
    Secret::Key(Uint8Array::from([byte; 32].as_slice()))
}

fn passphrase(text: &str) -> Secret {
    Secret::Passphrase(Uint8Array::from(text.as_bytes()))
}

async fn create<D: Device>(device: D) -> Sealed<D> {
    Sealed::create(device, &key(1)).await.expect("the test browser encrypts")
}

async fn unlock<D: Device>(device: D, secret: &Secret) -> Result<(Sealed<D>, BootImage), value::Failure> {
    let image = device.boot().await.expect(WORKS);
    Sealed::unlock(device, image, secret).await
}

async fn appended<D: Device>(device: &D, expected: Seq, text: &str) -> Seq {
    let answer = device.append(expected, NOW, text.as_bytes().to_vec(), Durability::Relaxed).await.expect(WORKS);
    let Appended::Done(seq) = answer else { panic!("nobody else appended, yet: {answer:?}") };
    seq
}

#[wasm_bindgen_test]
async fn a_sealed_indexeddb_keeps_the_contract_of_a_device() {
    device_suite(async || {
        let name = fresh("sealed");
        let open = async || IndexedDb::open(&name).await.expect("the test browser allows IndexedDB");
        let one = create(open().await).await;
        (one, unlock(open().await, &key(1)).await.expect("the key fits").0)
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_sealed_indexeddb_keeps_blobs() {
    blob_suite(async || {
        let name = fresh("sealed-blobs");
        let open = async || IndexedDb::open(&name).await.expect("the test browser allows IndexedDB");
        let one = create(open().await).await;
        (one, unlock(open().await, &key(1)).await.expect("the key fits").0)
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_sealed_part_of_a_blob_opens_nowhere_but_in_its_place() {
    let memory = MemoryDevice::new();
    let device = create(memory.clone()).await;
    let (here, there) = (BlobPlace(1), BlobPlace(2));
    device.blob_put(here, 1, b"secret words".to_vec()).await.expect(WORKS);
    let sealed = memory.blob_read(here, 1).await.expect(WORKS).expect("it was put");
    assert!(!sealed.windows(6).any(|bytes| bytes == b"secret"));
    for (place, part) in [(here, 2), (there, 1)] {
        memory.blob_put(place, part, sealed.clone()).await.expect(WORKS);
        assert_eq!(device.blob_read(place, part).await, Ok(None), "moved to {place:?}, part {part}");
    }
    assert_eq!(device.blob_read(here, 1).await, Ok(Some(b"secret words".to_vec())));
}

/// Three log records, a block and a small record over memory, and the memory.
async fn filled() -> (MemoryDevice, [Seq; 3]) {
    let memory = MemoryDevice::new();
    let device = create(memory.clone()).await;
    let first = appended(&device, Seq(0), "a").await;
    let second = appended(&device, first, "b").await;
    let third = appended(&device, second, "c").await;
    device.put_meta("identity", b"i".to_vec()).await.expect(WORKS);
    (memory, [first, second, third])
}

/// Rewrites a log under the same sequences: what somebody with the disk, but without the key, can do.
async fn rewritten(memory: &MemoryDevice, order: [usize; 3]) -> MemoryDevice {
    let (image, other) = (memory.boot().await.expect(WORKS), MemoryDevice::new());
    for (name, bytes) in &image.meta {
        other.put_meta(name, bytes.clone()).await.expect(WORKS);
    }
    let mut head = Seq(0);
    for (place, from) in order.into_iter().enumerate() {
        // The sequences come from the clock, so the copy has those of the original.
        let now = Millis(image.log[place].0.0 >> 16);
        let answer = other.append(head, now, image.log[from].1.clone(), Durability::Relaxed).await;
        let Ok(Appended::Done(seq)) = answer else { panic!("nobody else appended, yet: {answer:?}") };
        head = seq;
    }
    other
}

#[wasm_bindgen_test]
async fn a_log_in_another_order_is_damaged() {
    let (memory, [first, second, third]) = filled().await;
    let (_, image) = unlock(rewritten(&memory, [0, 1, 2]).await, &key(1)).await.expect("the key fits");
    assert_eq!(image.log.iter().map(|(_, record)| record[0]).collect::<Vec<_>>(), *b"abc");
    assert_eq!(image.damaged, []);
    for (order, damaged) in
        [([1, 0, 2], vec![first, second]), ([0, 0, 2], vec![second]), ([0, 2, 1], vec![second, third])]
    {
        let (_, image) = unlock(rewritten(&memory, order).await, &key(1)).await.expect("the key fits");
        assert_eq!(image.damaged, damaged, "order {order:?}");
    }
}

#[wasm_bindgen_test]
async fn a_record_under_another_name_or_number_does_not_open() {
    let memory = MemoryDevice::new();
    let device = create(memory.clone()).await;
    let puts = vec![(BlockId::segment(1), vec![1; 40]), (BlockId::segment(2), vec![2; 40])];
    assert_eq!(
        device.write(DeviceBatch { manifest: manifest(1), puts, ..DeviceBatch::default() }).await,
        Ok(Written::Done)
    );
    let raw = memory.read(&[BlockId::segment(1)]).await.expect(WORKS).remove(0).expect("was written");
    let sealed_manifest = memory.manifest().await.expect(WORKS).expect("was written");
    assert_eq!(
        store::manifest_head(&sealed_manifest).map(|head| head.version),
        Ok(1),
        "the device reads the version without a key"
    );
    let planted = async |bytes: Vec<u8>| {
        let puts = vec![(BlockId::segment(2), bytes)];
        let manifest = sealed_manifest.clone();
        let batch = DeviceBatch { expected_manifest: 1, manifest, puts, ..DeviceBatch::default() };
        assert_eq!(memory.write(batch).await, Ok(Written::Done));
        device.read(&[1, 2].map(BlockId::segment)).await
    };
    let answer = Ok(vec![Some(vec![1; 40]), Some(Vec::new())]);
    assert_eq!(planted(raw).await, answer, "the store sees that it is no segment");
    assert_eq!(planted(vec![2; 40]).await, answer, "what was never sealed is not handed over");

    device.put_meta("a", b"1".to_vec()).await.expect(WORKS);
    let (_, bytes) =
        memory.boot().await.expect(WORKS).meta.into_iter().find(|(name, _)| name == "a").expect("is there");
    memory.put_meta("b", bytes).await.expect(WORKS);
    assert!(matches!(device.boot().await, Err(DeviceError::Damaged(what)) if what.contains("record b")));
}

/// The bytes of an empty manifest.
fn manifest(version: u64) -> Vec<u8> {
    let mut bytes = b"SHMF\x01".to_vec();
    bytes.extend([version, 0, 0].iter().flat_map(|number| number.to_be_bytes()));
    bytes.extend([1, 0, 0, 0, 0]);
    let sum = value::checksum(&bytes);
    bytes.extend(sum.to_be_bytes());
    bytes
}

#[wasm_bindgen_test]
async fn every_changed_byte_of_a_sealed_log_record_is_noticed() {
    let (memory, seqs) = filled().await;
    let image = memory.boot().await.expect(WORKS);
    let sealed = &image.log[0].1;
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        // A right checksum, as somebody gives it who means harm.
        let body = changed.len() - 4;
        let sum = value::checksum(&changed[..body]);
        changed[body..].copy_from_slice(&sum.to_be_bytes());
        let mut image = image.clone();
        image.log[0].1 = changed;
        let damaged = match Sealed::unlock(MemoryDevice::new(), image, &key(1)).await {
            Ok((_, image)) => image.damaged == [seqs[0]],
            Err(failure) => failure.code == value::ErrorCode::StoreNewerFormat,
        };
        assert!(damaged || at >= body, "byte {at}");
    }
}

#[wasm_bindgen_test]
async fn a_wrong_secret_is_refused_and_a_changed_one_replaces_it() {
    let memory = MemoryDevice::new();
    let device = Sealed::create(memory.clone(), &passphrase("one")).await.expect("the test browser encrypts");
    appended(&device, Seq(0), "a").await;
    let before = memory.boot().await.expect(WORKS);
    let wrong = Some(value::ErrorCode::EncryptionWrongKey);
    let refused = async |secret: &Secret| unlock(memory.clone(), secret).await.err().map(|failure| failure.code);
    for secret in [passphrase("two"), key(1)] {
        assert_eq!(refused(&secret).await, wrong);
    }
    let changed = device.change_key(&passphrase("two"), &key(2)).await;
    assert_eq!(changed.map_err(|failure| Some(failure.code)), Err(wrong));
    assert_eq!(memory.boot().await.expect(WORKS), before, "nothing was touched");
    device.change_key(&passphrase("one"), &key(2)).await.expect("the passphrase fits");
    assert_eq!(refused(&passphrase("one")).await, wrong);
    let (again, image) = unlock(memory.clone(), &key(2)).await.expect("the new key fits");
    assert_eq!(image.log[0].1, b"a");
    // Both go on: the key that encrypts is the same.
    let seq = appended(&again, image.log[0].0, "b").await;
    assert_eq!(device.tail(image.log[0].0).await, Ok(vec![(seq, b"b".to_vec())]));
}

#[wasm_bindgen_test]
async fn nothing_that_was_written_is_readable_underneath() {
    let (memory, [first, ..]) = filled().await;
    let image = memory.boot().await.expect(WORKS);
    let place = Place::Log(Seq(0)).associated_data();
    assert!(image.log[0].1.starts_with(&place), "the place is in clear");
    assert_eq!(log::unframe(&log::frame(first, &image.log[0].1)).map(|(seq, _)| seq), Ok(first));
    let device = create(MemoryDevice::new()).await;
    let text = b"a sentence that nobody else should read";
    device.append(Seq(0), NOW, text.to_vec(), Durability::Relaxed).await.expect(WORKS);
    let raw = device.inner().boot().await.expect(WORKS).log.remove(0).1;
    assert!(!raw.windows(8).any(|window| text.windows(8).any(|part| part == window)));
}
