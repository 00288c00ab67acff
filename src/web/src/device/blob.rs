//! Blobs in the store `blob`: one record a part, under place and part (12 bytes, big-endian), so that a place is a range.

use rexie::{KeyRange, TransactionMode};
use store::blob_device::{HEAD_PART, blob_key, blob_key_from, listings};
use store::{BlobDevice, BlobListing, BlobPlace, DeviceError};
use value::SmallMap;
use wasm_bindgen::JsValue;

use super::body::BLOB;
use super::error::{self, from_rexie};
use super::{IndexedDb, finish};
use crate::js;

fn key(place: BlobPlace, part: u32) -> JsValue {
    js::bytes_to(&blob_key(place, part))
}

impl IndexedDb {
    /// Runs a body over the store of blobs, in a transaction.
    async fn with_blobs<T>(
        &self,
        mode: TransactionMode,
        body: impl AsyncFn(&rexie::Store) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        let body = &body;
        self.retried(async |connection| {
            let transaction = connection.begin(&[BLOB], mode)?;
            finish(transaction, async |transaction| body(&transaction.store(BLOB).map_err(from_rexie)?).await).await
        })
        .await
    }
}

impl BlobDevice for IndexedDb {
    async fn blob_list(&self) -> Result<Vec<BlobListing>, DeviceError> {
        self.with_blobs(TransactionMode::ReadOnly, async |store| {
            let keys = store.get_all_keys(None, None).await.map_err(from_rexie)?;
            let keys: Vec<(BlobPlace, u32)> =
                keys.iter().filter_map(|key| blob_key_from(&js::bytes_from(key))).collect();
            let mut heads = SmallMap::new();
            for (place, _) in keys.iter().filter(|(_, part)| *part == HEAD_PART) {
                let head = store.get(key(*place, HEAD_PART)).await.map_err(from_rexie)?;
                heads.extend(head.map(|head| (*place, js::bytes_from(&head))));
            }
            Ok(listings(keys, |place| heads.remove(&place)))
        })
        .await
    }

    async fn blob_put(&self, place: BlobPlace, part: u32, bytes: Vec<u8>) -> Result<(), DeviceError> {
        let (key, bytes) = (&key(place, part), &js::bytes_to(&bytes));
        self.with_blobs(TransactionMode::ReadWrite, async |store| {
            store.put(bytes, Some(key)).await.map(drop).map_err(from_rexie)
        })
        .await
    }

    async fn blob_read(&self, place: BlobPlace, part: u32) -> Result<Option<Vec<u8>>, DeviceError> {
        let key = &key(place, part);
        self.with_blobs(TransactionMode::ReadOnly, async |store| {
            let bytes = store.get(key.clone()).await.map_err(from_rexie)?;
            Ok(bytes.map(|bytes| js::bytes_from(&bytes)))
        })
        .await
    }

    async fn blob_delete(&self, place: BlobPlace, part: Option<u32>) -> Result<(), DeviceError> {
        let (first, last) = (key(place, part.unwrap_or(0)), key(place, part.unwrap_or(u32::MAX)));
        self.with_blobs(TransactionMode::ReadWrite, async |store| {
            let range = KeyRange::bound(&first, &last, Some(false), Some(false)).map_err(error::from_key)?;
            store.delete(range.into()).await.map_err(from_rexie)
        })
        .await
    }
}
