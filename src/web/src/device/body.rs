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
/// Reserved for attachments.
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

/// What the two kinds of writing transactions keep beside the data.
#[derive(Clone, Copy, Default)]
pub struct State {
    /// The newest record of the log.
    pub head: Seq,
    usage: Usage,
}

impl State {
    fn decode(bytes: Option<&[u8]>) -> State {
        let mut numbers = bytes
            .unwrap_or_default()
            .chunks_exact(8)
            .map(|chunk| chunk.iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte)));
        let mut next = || numbers.next().unwrap_or(0);
        let head = Seq(next());
        let (log_bytes, log_records, segment_bytes, segments) = (next(), next(), next(), next());
        State { head, usage: Usage { log_bytes, log_records, segment_bytes, segments, meta_bytes: 0 } }
    }

    fn encode(self) -> Vec<u8> {
        let usage = self.usage;
        [self.head.0, usage.log_bytes, usage.log_records, usage.segment_bytes, usage.segments]
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .collect()
    }
}

fn seq_key(seq: Seq) -> JsValue {
    js::bytes_to(&seq.0.to_be_bytes())
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
        let seq = Seq(js::bytes_from(key).iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
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

/// Appends behind the head that the writer knows, and says how the state is afterwards.
pub async fn append(
    transaction: &RawTransaction,
    expected: Seq,
    now: Millis,
    record: &[u8],
) -> Result<(Appended, Option<State>), DeviceError> {
    let state = State::decode(transaction.get(META, &"state".into()).await?.as_deref());
    if state.head > expected {
        let manifest = transaction.get(META, &"manifest".into()).await?;
        let range = KeyRange::lower_bound(&seq_key(expected), Some(true)).map_err(error::from_key)?;
        let framed = transaction.get_all(WAL, &range.into()).await?;
        return Ok((Appended::Conflict(records_after(expected, manifest.as_deref(), &framed)?), None));
    }
    // A head beyond ours can only mean that the database was deleted under the writer.
    if state.head < expected {
        return Err(DeviceError::Closed);
    }
    let state = put_record(transaction, state, now, record)?;
    Ok((Appended::Done(state.head), Some(state)))
}

/// Appends to a state that is only believed to be the present one: the question and the writes go out together, which saves
/// waiting for the answer. `None`: it was not, nothing may be kept, and the caller asks properly.
pub async fn append_to(
    transaction: &RawTransaction,
    believed: State,
    now: Millis,
    record: &[u8],
) -> Result<Option<State>, DeviceError> {
    let present = transaction.ask(META, &"state".into())?;
    let state = put_record(transaction, believed, now, record)?;
    let present = present.bytes().await?;
    Ok((present == Some(believed.encode())).then_some(state))
}

fn put_record(
    transaction: &RawTransaction,
    mut state: State,
    now: Millis,
    record: &[u8],
) -> Result<State, DeviceError> {
    state.head = log::next_seq(state.head, now);
    let framed = log::frame(state.head, record);
    state.usage.log_bytes += framed.len() as u64;
    state.usage.log_records += 1;
    transaction.put(WAL, &seq_key(state.head), &framed)?;
    transaction.put(META, &"state".into(), &state.encode())?;
    Ok(state)
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

/// Reads how much is held.
pub async fn usage(transaction: &Transaction) -> Result<Usage, DeviceError> {
    let meta = transaction.store(META).map_err(from_rexie)?;
    let state = State::decode(get(&meta, "state").await?.as_deref());
    let values = meta.get_all(None, None).await.map_err(from_rexie)?;
    let meta_bytes = values.iter().map(|value| u64::from(js_sys::Uint8Array::new(value).length())).sum();
    Ok(Usage { meta_bytes, ..state.usage })
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
    swap_blocks(transaction, batch, &mut state.usage).await?;
    if let Some(through) = batch.delete_log_through {
        trim_log(transaction, through, batch.deleted_log_bytes, &mut state).await?;
    }
    put(&meta, "manifest", &batch.manifest).await?;
    for (name, bytes) in &batch.meta {
        put(&meta, &format!("{RECORD}{name}"), bytes).await?;
    }
    put(&meta, "state", &state.encode()).await?;
    Ok(Written::Done)
}

async fn swap_blocks(transaction: &Transaction, batch: &DeviceBatch, usage: &mut Usage) -> Result<(), DeviceError> {
    let seg = transaction.store(SEG).map_err(from_rexie)?;
    for block in &batch.deletes {
        seg.delete(js::bytes_to(&block.to_bytes())).await.map_err(from_rexie)?;
    }
    usage.segments = usage.segments.saturating_sub(batch.deletes.len() as u64);
    usage.segment_bytes = usage.segment_bytes.saturating_sub(batch.deleted_bytes);
    usage.segments += batch.puts.len() as u64;
    usage.segment_bytes += batch.puts.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
    let puts = batch.puts.iter().map(|(block, bytes)| (js::bytes_to(bytes), Some(js::bytes_to(&block.to_bytes()))));
    seg.put_all(puts).await.map_err(from_rexie)
}

/// Deletes a prefix of the log; of its newest record an empty one stays.
async fn trim_log(transaction: &Transaction, through: Seq, bytes: u64, state: &mut State) -> Result<(), DeviceError> {
    let wal = transaction.store(WAL).map_err(from_rexie)?;
    let range = || KeyRange::upper_bound(&seq_key(through), Some(false)).map_err(error::from_key);
    let gone = u64::from(wal.count(Some(range()?)).await.map_err(from_rexie)?);
    wal.delete(range()?.into()).await.map_err(from_rexie)?;
    let usage = &mut state.usage;
    usage.log_bytes = usage.log_bytes.saturating_sub(bytes + gone * log::FRAME_OVERHEAD_BYTES as u64);
    usage.log_records = usage.log_records.saturating_sub(gone);
    if state.head.0 > 0 && state.head <= through {
        let stub = log::frame(state.head, &[]);
        usage.log_bytes += stub.len() as u64;
        usage.log_records += 1;
        wal.put(&js::bytes_to(&stub), Some(&seq_key(state.head))).await.map(drop).map_err(from_rexie)?;
    }
    Ok(())
}
