//! What happens inside a transaction: the bodies that read and write the four object stores.
//!
//! Nothing is awaited here but IndexedDB; a body that fails is taken back by its caller.

use rexie::{KeyRange, Transaction};
use store::{Appended, BlockId, BootImage, DeviceBatch, DeviceError, Records, Usage, Written, log, manifest_head};
use value::{DecodeError, Millis, Seq};
use wasm_bindgen::prelude::*;

use super::error::{self, from_rexie};
use super::raw::RawTransaction;
use crate::js;

/// The log.
pub const WAL: &str = "wal";
/// Blocks.
pub const SEG: &str = "seg";
/// Manifest, state, format and the small records.
pub const META: &str = "meta";
/// Parts of attachments.
pub const BLOB: &str = "blob";
/// Before the names of the small records.
pub const RECORD: &str = "record/";

/// Reads a record of `meta`.
pub async fn get(store: &rexie::Store, key: &str) -> Result<Option<Vec<u8>>, DeviceError> {
    let value = store.get(JsValue::from_str(key)).await.map_err(from_rexie)?;
    Ok(value.map(|value| js::bytes_from(&value)))
}

/// Writes a record of `meta`.
pub async fn put(store: &rexie::Store, key: &str, bytes: &[u8]) -> Result<(), DeviceError> {
    store.put(&js::bytes_to(bytes), Some(&JsValue::from_str(key))).await.map(drop).map_err(from_rexie)
}

/// What is kept beside the blocks, so that nobody has to read them to know how much they are: numbers of 8 bytes, of which the
/// fourth is the bytes of all segments; the others are no longer used.
#[derive(Clone, Copy, Default)]
struct State {
    segment_bytes: u64,
}

impl State {
    fn decode(bytes: Option<&[u8]>) -> State {
        let fourth = bytes.unwrap_or_default().chunks_exact(8).nth(3);
        State { segment_bytes: fourth.map_or(0, number) }
    }

    fn encode(self) -> Vec<u8> {
        [0, 0, 0, self.segment_bytes].iter().flat_map(|number| number.to_be_bytes()).collect()
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn seq_key(seq: Seq) -> JsValue {
    js::bytes_to(&seq.0.to_be_bytes())
}

fn seq_of(key: &JsValue) -> Seq {
    Seq(number(&js::bytes_from(key)))
}

/// Reads everything that a peer needs to start.
pub async fn boot(transaction: &Transaction) -> Result<BootImage, DeviceError> {
    let meta = transaction.store(META).map_err(from_rexie)?;
    let wal = transaction.store(WAL).map_err(from_rexie)?;
    let mut image = BootImage { manifest: get(&meta, "manifest").await?, ..BootImage::default() };
    let names = meta.get_all_keys(None, None).await.map_err(from_rexie)?;
    let values = meta.get_all(None, None).await.map_err(from_rexie)?;
    for (name, value) in names.iter().zip(&values) {
        if let Some(name) = name.as_string().as_deref().and_then(|name| name.strip_prefix(RECORD)) {
            image.meta.push((name.to_owned(), js::bytes_from(value)));
        }
    }
    let keys = wal.get_all_keys(None, None).await.map_err(from_rexie)?;
    let values = wal.get_all(None, None).await.map_err(from_rexie)?;
    for (key, value) in keys.iter().zip(&values) {
        let seq = seq_of(key);
        let framed = js::bytes_from(value);
        match log::unframe(&framed) {
            // What is left of a trimmed head is no commit.
            Ok((found, [])) if found == seq => {}
            Ok((found, record)) if found == seq => image.log.push((seq, record.to_vec())),
            Err(DecodeError::Version(format)) => return Err(DeviceError::NewerFormat(format)),
            Ok(_) | Err(_) => image.damaged.push(seq),
        }
    }
    Ok(image)
}

/// Appends behind the head that the writer believes to be the present one. The question whether it is and the write go out
/// together, which saves waiting for the answer. `None`: it is not, nothing may be kept, and the caller asks with `append`.
pub async fn append_to(
    transaction: &RawTransaction,
    believed: Seq,
    now: Millis,
    record: &[u8],
) -> Result<Option<Seq>, DeviceError> {
    let range = KeyRange::lower_bound(&seq_key(believed), Some(false)).map_err(error::from_key)?;
    // The head itself, and one behind it if there is one: asked before the write, so the write is not among them.
    let found = transaction.ask_keys(WAL, &range.into(), 2)?;
    let seq = put_record(transaction, believed, now, record)?;
    let is_head = match found.keys().await?.as_slice() {
        [] => believed == Seq(0),
        [key] => seq_of(key) == believed,
        _ => false,
    };
    Ok(is_head.then_some(seq))
}

/// Appends behind the head that the writer knows.
pub async fn append(
    transaction: &RawTransaction,
    expected: Seq,
    now: Millis,
    record: &[u8],
) -> Result<Appended, DeviceError> {
    let range = KeyRange::lower_bound(&seq_key(expected), Some(false)).map_err(error::from_key)?;
    let keys = transaction.ask_keys(WAL, &range.into(), 2)?.keys().await?;
    let manifest = transaction.get(META, &"manifest".into()).await?;
    if keys.iter().any(|key| seq_of(key) > expected) {
        let range = KeyRange::lower_bound(&seq_key(expected), Some(true)).map_err(error::from_key)?;
        let framed = transaction.get_all(WAL, &range.into()).await?;
        return records_after(expected, manifest.as_deref(), &framed).map(Appended::Conflict);
    }
    let head = manifest.as_deref().map(manifest_head).transpose();
    let head = head.map_err(|error| error::damaged("the manifest", error))?.unwrap_or_default();
    // A head beyond what there is can only mean that the database was deleted under the writer.
    if keys.is_empty() && expected > head.floor {
        return Err(DeviceError::Closed);
    }
    put_record(transaction, expected, now, record).map(Appended::Done)
}

fn put_record(transaction: &RawTransaction, head: Seq, now: Millis, record: &[u8]) -> Result<Seq, DeviceError> {
    let seq = log::next_seq(head, now);
    transaction.put(WAL, &seq_key(seq), &log::frame(seq, record))?;
    Ok(seq)
}

/// Reads the records after a sequence.
pub async fn tail(transaction: &Transaction, after: Seq) -> Result<Records, DeviceError> {
    let manifest = get(&transaction.store(META).map_err(from_rexie)?, "manifest").await?;
    let range = KeyRange::lower_bound(&seq_key(after), Some(true)).map_err(error::from_key)?;
    let wal = transaction.store(WAL).map_err(from_rexie)?;
    let framed = wal.get_all(Some(range), None).await.map_err(from_rexie)?;
    records_after(after, manifest.as_deref(), &framed)
}

/// Reads blocks in the order asked for; neighbours, as a flush or a merge has written them, with one request.
pub async fn read(transaction: &Transaction, blocks: &[BlockId]) -> Result<Vec<Option<Vec<u8>>>, DeviceError> {
    let seg = transaction.store(SEG).map_err(from_rexie)?;
    let mut found = Vec::with_capacity(blocks.len());
    let next_to = |a: &BlockId, b: &BlockId| a.kind == b.kind && a.id.checked_add(1) == Some(b.id);
    for run in blocks.chunk_by(next_to) {
        let key = |block: &BlockId| js::bytes_to(&block.to_bytes());
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        if run.len() > 1 {
            let range = KeyRange::bound(&key(first), &key(last), Some(false), Some(false)).map_err(error::from_key)?;
            let values = seg.get_all(Some(range), None).await.map_err(from_rexie)?;
            if values.len() == run.len() {
                found.extend(values.iter().map(|value| Some(js::bytes_from(value))));
                continue;
            }
            // One of them is gone: only asking for each says which.
        }
        for block in run {
            let value = seg.get(key(block)).await.map_err(from_rexie)?;
            found.push(value.map(|value| js::bytes_from(&value)));
        }
    }
    Ok(found)
}

/// Reads how much is held; the log is read for it, which is short.
pub async fn usage(transaction: &Transaction) -> Result<Usage, DeviceError> {
    let bytes_of = |values: &[JsValue]| -> u64 {
        values.iter().map(|value| u64::from(js_sys::Uint8Array::new(value).length())).sum()
    };
    let meta = transaction.store(META).map_err(from_rexie)?;
    let State { segment_bytes } = State::decode(get(&meta, "state").await?.as_deref());
    let values = meta.get_all(None, None).await.map_err(from_rexie)?;
    let wal = transaction.store(WAL).map_err(from_rexie)?.get_all(None, None).await.map_err(from_rexie)?;
    let segments = transaction.store(SEG).map_err(from_rexie)?.count(None).await.map_err(from_rexie)?;
    Ok(Usage {
        log_bytes: bytes_of(&wal),
        log_records: wal.len() as u64,
        segment_bytes,
        segments: u64::from(segments),
        meta_bytes: bytes_of(&values),
    })
}

fn records_after(after: Seq, manifest: Option<&[u8]>, framed: &[JsValue]) -> Result<Records, DeviceError> {
    let head = manifest.map(manifest_head).transpose().map_err(|error| error::damaged("the manifest", error))?;
    if let Some(head) = head.filter(|head| after < head.log_start) {
        return Err(DeviceError::Trimmed(head.log_start));
    }
    framed
        .iter()
        .map(|value| {
            let bytes = js::bytes_from(value);
            let (seq, record) = log::unframe(&bytes).map_err(|error| error::damaged("a log record", error))?;
            Ok((seq, record.to_vec()))
        })
        .collect()
}

/// Swaps blocks, manifest and log prefix.
pub async fn write(transaction: &Transaction, batch: &DeviceBatch) -> Result<Written, DeviceError> {
    let meta = transaction.store(META).map_err(from_rexie)?;
    let present = get(&meta, "manifest").await?;
    let version = match present.as_deref().map(manifest_head).transpose() {
        Ok(head) => head.unwrap_or_default().version,
        Err(error) => return Err(error::damaged("the manifest", error)),
    };
    if version != batch.expected_manifest {
        // No manifest where the writer knows one: the database was deleted under it.
        return present.map(Written::Conflict).ok_or(DeviceError::Closed);
    }
    let mut state = State::decode(get(&meta, "state").await?.as_deref());
    swap_blocks(transaction, batch, &mut state).await?;
    if let Some(through) = batch.delete_log_through {
        trim_log(transaction, through).await?;
    }
    put(&meta, "manifest", &batch.manifest).await?;
    for (name, bytes) in &batch.meta {
        put(&meta, &format!("{RECORD}{name}"), bytes).await?;
    }
    put(&meta, "state", &state.encode()).await?;
    Ok(Written::Done)
}

async fn swap_blocks(transaction: &Transaction, batch: &DeviceBatch, state: &mut State) -> Result<(), DeviceError> {
    let seg = transaction.store(SEG).map_err(from_rexie)?;
    for block in &batch.deletes {
        seg.delete(js::bytes_to(&block.to_bytes())).await.map_err(from_rexie)?;
    }
    state.segment_bytes = state.segment_bytes.saturating_sub(batch.deleted_bytes);
    state.segment_bytes += batch.puts.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
    let puts = batch.puts.iter().map(|(block, bytes)| (js::bytes_to(bytes), Some(js::bytes_to(&block.to_bytes()))));
    seg.put_all(puts).await.map_err(from_rexie)
}

/// Deletes a prefix of the log; of its newest record an empty one stays.
async fn trim_log(transaction: &Transaction, through: Seq) -> Result<(), DeviceError> {
    let wal = transaction.store(WAL).map_err(from_rexie)?;
    let gone = || KeyRange::upper_bound(&seq_key(through), Some(false)).map_err(error::from_key);
    let kept = KeyRange::lower_bound(&seq_key(through), Some(true)).map_err(error::from_key)?;
    let behind = wal.count(Some(kept)).await.map_err(from_rexie)?;
    let head = if behind == 0 { wal.get_all_keys(Some(gone()?), None).await.map_err(from_rexie)?.pop() } else { None };
    wal.delete(gone()?.into()).await.map_err(from_rexie)?;
    if let Some(key) = head {
        let stub = log::frame(seq_of(&key), &[]);
        wal.put(&js::bytes_to(&stub), Some(&key)).await.map(drop).map_err(from_rexie)?;
    }
    Ok(())
}
