//! IndexedDB keeps the contract of a device, survives reopening and a lost connection.

use store::conformance::{blob_suite, device_suite};
use store::{Appended, BlockId, Device, DeviceBatch, DeviceError, Durability};
use value::{Millis, Seq};
use wasm_bindgen_test::wasm_bindgen_test;
use web::IndexedDb;

use crate::fresh;

const NOW: Millis = Millis(1_700_000_000_000);

async fn open(name: &str) -> IndexedDb {
    IndexedDb::open(name).await.expect("the test browser allows IndexedDB")
}

async fn append(device: &IndexedDb, expected: Seq, text: &str, durability: Durability) -> Appended {
    device.append(expected, NOW, text.as_bytes().to_vec(), durability).await.expect("the device works")
}

#[wasm_bindgen_test]
async fn indexeddb_keeps_the_contract_of_a_device() {
    device_suite(async || {
        let name = fresh("suite");
        (open(&name).await, open(&name).await)
    })
    .await;
}

#[wasm_bindgen_test]
async fn indexeddb_keeps_blobs() {
    blob_suite(async || {
        let name = fresh("blobs");
        (open(&name).await, open(&name).await)
    })
    .await;
}

#[wasm_bindgen_test]
async fn of_two_tabs_that_append_at_once_one_gets_a_conflict() {
    let name = fresh("conflict");
    let (one, two) = (open(&name).await, open(&name).await);
    let Appended::Done(first) = append(&one, Seq(0), "a", Durability::Strict).await else {
        panic!("nobody else appended")
    };
    let conflict = append(&two, Seq(0), "b", Durability::Relaxed).await;
    assert_eq!(conflict, Appended::Conflict(vec![(first, b"a".to_vec())]));
    assert!(matches!(append(&two, first, "b", Durability::Relaxed).await, Appended::Done(second) if second > first));
}

#[wasm_bindgen_test]
async fn what_was_written_is_there_after_reopening() {
    let name = fresh("reopen");
    let device = open(&name).await;
    let Appended::Done(seq) = append(&device, Seq(0), "a", Durability::Strict).await else {
        panic!("nobody else appended")
    };
    device.put_meta("identity", vec![1, 2, 3]).await.expect("the device works");
    device.close();
    assert_eq!(device.tail(Seq(0)).await, Err(DeviceError::Closed));
    let image = open(&name).await.boot().await.expect("the device works");
    assert_eq!(image.log, vec![(seq, b"a".to_vec())]);
    assert_eq!(image.meta, vec![("identity".to_owned(), vec![1, 2, 3])]);
    assert!(image.damaged.is_empty());
}

#[wasm_bindgen_test]
async fn a_lost_connection_is_opened_again() {
    let device = open(&fresh("lost")).await;
    let Appended::Done(seq) = append(&device, Seq(0), "a", Durability::Relaxed).await else {
        panic!("nobody else appended")
    };
    device.lose_connection();
    assert!(matches!(append(&device, seq, "b", Durability::Relaxed).await, Appended::Done(_)));
    assert_eq!(device.tail(seq).await.map(|records| records.len()), Ok(1));
}

#[wasm_bindgen_test]
async fn a_failed_batch_changes_nothing() {
    let device = open(&fresh("batch")).await;
    let batch =
        DeviceBatch { expected_manifest: 7, puts: vec![(BlockId::segment(1), vec![1])], ..DeviceBatch::default() };
    assert_eq!(device.write(batch).await, Err(DeviceError::Closed));
    assert_eq!(device.read(&[BlockId::segment(1)]).await, Ok(vec![None]));
}
