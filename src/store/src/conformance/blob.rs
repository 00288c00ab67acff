//! What every device of blobs does.

use value::ChunkList;
use value::blob::{BLOB_CHUNK_BYTES, chunk_hash};

use crate::blob_device::{BlobDevice, BlobListing, BlobPlace, HEAD_PART, decode_head, encode_head};
use crate::device::Device;

const WORKS: &str = "a device of this suite has no faults";
const A: BlobPlace = BlobPlace(7);
const B: BlobPlace = BlobPlace(u64::MAX);

/// Runs the suite; `make` returns two handles on one fresh, empty device, as two tabs have them.
pub async fn blob_suite<D: Device + BlobDevice>(mut make: impl AsyncFnMut() -> (D, D)) {
    let (one, two) = make().await;
    parts_are_read_back_by_every_handle(&one, &two).await;
    let (one, two) = make().await;
    places_are_listed_and_deleted_apart(&one, &two).await;
    let (one, two) = make().await;
    clearing_takes_blobs_and_a_boot_leaves_them(&one, &two).await;
}

async fn parts_are_read_back_by_every_handle<D: Device + BlobDevice>(one: &D, two: &D) {
    assert_eq!(one.blob_list().await, Ok(Vec::new()));
    assert_eq!(one.blob_read(A, 1).await, Ok(None));
    let chunk: Vec<u8> = (0..BLOB_CHUNK_BYTES).map(|n| (n % 253) as u8).collect();
    let hashes = [chunk_hash(&chunk), chunk_hash(b"end")].concat();
    let list = ChunkList::new(BLOB_CHUNK_BYTES as u64 + 3, hashes).expect("it fits");
    one.blob_put(A, 1, chunk.clone()).await.expect(WORKS);
    one.blob_put(A, 2, b"enx".to_vec()).await.expect(WORKS);
    one.blob_put(A, 2, b"end".to_vec()).await.expect(WORKS);
    one.blob_put(A, HEAD_PART, encode_head(&list)).await.expect(WORKS);
    assert_eq!(two.blob_read(A, 1).await, Ok(Some(chunk)));
    assert_eq!(two.blob_read(A, 2).await, Ok(Some(b"end".to_vec())), "a part is replaced");
    let head = two.blob_read(A, HEAD_PART).await.expect(WORKS).expect("it was put");
    assert_eq!(decode_head(&head), Ok(list));
    assert_eq!(two.blob_read(A, 3).await, Ok(None));
}

async fn places_are_listed_and_deleted_apart<D: Device + BlobDevice>(one: &D, two: &D) {
    for (place, part) in [(B, 300), (A, 2), (B, HEAD_PART), (B, 1)] {
        one.blob_put(place, part, vec![part as u8]).await.expect(WORKS);
    }
    let a = BlobListing { place: A, head: None, parts: vec![2] };
    let b = BlobListing { place: B, head: Some(vec![0]), parts: vec![1, 300] };
    assert_eq!(two.blob_list().await, Ok(vec![a, b.clone()]));
    two.blob_delete(A, None).await.expect(WORKS);
    assert_eq!(one.blob_list().await, Ok(vec![b]));
    two.blob_delete(B, Some(300)).await.expect(WORKS);
    two.blob_delete(B, Some(300)).await.expect(WORKS);
    assert_eq!(one.blob_read(B, 300).await, Ok(None));
    assert_eq!(one.blob_read(B, 1).await, Ok(Some(vec![1])));
    two.blob_delete(B, None).await.expect(WORKS);
    assert_eq!(one.blob_list().await, Ok(Vec::new()));
}

async fn clearing_takes_blobs_and_a_boot_leaves_them<D: Device + BlobDevice>(one: &D, two: &D) {
    one.blob_put(A, 1, vec![1]).await.expect(WORKS);
    let image = two.boot().await.expect(WORKS);
    assert_eq!((image.log.len(), image.manifest), (0, None), "blobs are no part of the image");
    assert_eq!(two.blob_read(A, 1).await, Ok(Some(vec![1])));
    one.clear().await.expect(WORKS);
    assert_eq!(two.blob_list().await, Ok(Vec::new()));
}
