//! The checks of each reader.

use crdt::{Doc, Fields, Received, RichKind, Shorthand, Stamp, Types, project, receive, variable_parts};
use peer::unit::{self, Words};
use peer::{DocState, Record};
use store::Opaque;
use store::parcel::{deflate, pack_rows, unpack_rows};
use sync::Message;
use value::limits::FRAME_BYTES_MAX;
use value::{DecodeError, Hlc, Reader, Writer};

use super::{Memory, inflated};

/// Runs a reader and panics if it allocates more.
fn within<T>(memory: u64, read: impl FnOnce() -> T) -> T {
    let mut answer = None;
    let used = allocation_counter::measure(|| answer = Some(read())).bytes_max;
    assert!(used <= memory, "{used} bytes of memory, {memory} may be taken");
    answer.expect("the reader has run")
}

pub fn document(bytes: &[u8], memory: Memory) {
    let memory = memory(bytes.len() as u64);
    let read = within(memory, || Doc::decode(bytes));
    let stored = within(memory, || Doc::read(bytes));
    let Ok(doc) = read else { return };
    assert_eq!(doc.encode(), bytes, "there is one form for one document");
    assert_eq!(stored.as_ref(), Ok(&doc));
    assert!(!doc.clone().join(&doc));
    assert_eq!(project(bytes, Fields::All), Ok(doc.to_object(&Types::default())));
    let mut parts = Vec::new();
    assert_eq!(variable_parts(bytes, 0, &mut parts), Ok(()));
    assert!(parts.iter().all(|part| part.start < part.end && part.end <= bytes.len()), "{parts:?}");
    let _ = doc.newest();
}

pub fn message(frame: &[u8], memory: Memory) {
    if let Ok(Some(message)) = within(memory(frame.len() as u64), || Message::decode(frame)) {
        assert_eq!(Message::decode(&message.encode()), Ok(Some(message)));
    }
}

/// An entry is read as part of a message that holds it alone.
pub fn presence(entry: &[u8], memory: Memory) {
    let frame = [&[12, 0, 1], entry].concat();
    message(&frame, memory);
    if let Ok(Some(message)) = Message::decode(&frame) {
        assert!(matches!(&message, Message::Presence { own: None, entries } if entries.len() == 1), "{message:?}");
    }
}

pub fn record(bytes: &[u8], memory: Memory) {
    if let Ok(record) = within(memory(bytes.len() as u64), || Record::decode(bytes)) {
        assert_eq!(Record::decode(&record.encode()), Ok(record));
    }
}

/// The first byte says how long the first delta is.
pub fn shorthand(bytes: &[u8], memory: Memory) {
    let Some((length, rest)) = bytes.split_first() else { return };
    let (one, two) = rest.split_at(usize::from(*length).min(rest.len()));
    let mut heard = Shorthand::default();
    let restored = within(memory(bytes.len() as u64), || [one, two].map(|short| heard.restore(short)));
    let (mut said, mut heard) = (Shorthand::default(), Shorthand::default());
    for delta in restored.into_iter().flatten().chain([rest.to_vec()]) {
        // Only of documents is nothing lost: other bytes can spell a number in more ways than one.
        let Ok(short) = said.shorten(&delta) else { continue };
        let again = heard.restore(&short);
        assert!(again.as_ref() == Ok(&delta) || Doc::decode(&delta).is_err(), "{delta:02x?} became {again:02x?}");
    }
}

/// First the bytes that the rows take in memory, then the packed rows.
pub fn parcel(bytes: &[u8], memory: Memory) {
    let mut reader = Reader::new(bytes);
    let Ok(rows_bytes) = reader.var() else { return };
    let packed = reader.rest();
    let mut parcel = Writer::new();
    parcel.var(rows_bytes).var(packed.len() as u64).raw(&deflate(packed));
    let memory = [memory(packed.len() as u64), memory(inflated(bytes.len()))];
    for (parcel, memory) in [parcel.finish().as_slice(), bytes].into_iter().zip(memory) {
        let read = within(memory, || rows(parcel));
        if let Ok(read) = read {
            let all = read.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
            let again = pack_rows(all, &Opaque).expect("rows that were read ascend");
            assert_eq!(rows(&again), Ok(read));
        }
    }
}

type Row = (Vec<u8>, Vec<u8>);

fn rows(parcel: &[u8]) -> Result<Vec<Row>, DecodeError> {
    let mut rows = Vec::new();
    unpack_rows(parcel, FRAME_BYTES_MAX, |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        Ok::<_, DecodeError>(())
    })?;
    Ok(rows)
}

pub fn unit(bytes: &[u8], memory: Memory) {
    let mut list = Writer::new();
    list.u8(2).var(bytes.len() as u64).raw(&deflate(bytes));
    let memory = [memory(bytes.len() as u64), memory(inflated(bytes.len()))];
    for (unit, memory) in [list.finish().as_slice(), bytes].into_iter().zip(memory) {
        let Ok(docs) = within(memory, || unit::decode(unit, &mut Words::default())) else { continue };
        let again = unit::encode(&docs, &mut Words::default());
        let read = unit::decode(&again, &mut Words::default()).map(sorted);
        assert_eq!(read, Ok(sorted(docs)));
    }
}

/// A unit says nothing by its order.
fn sorted(mut docs: Vec<DocState>) -> Vec<DocState> {
    docs.sort_by(|a, b| (&a.collection, &a.id, &a.delta).cmp(&(&b.collection, &b.id, &b.delta)));
    docs
}

/// The bytes are an update to a new field and to one that they have written already, and a state vector.
pub fn update(bytes: &[u8], memory: Memory) {
    let Some((first, update)) = bytes.split_first() else { return };
    let memory = memory(update.len() as u64);
    let kind = [RichKind::List, RichKind::Text, RichKind::Xml][usize::from(first % 3)];
    let path = ["f".to_owned()];
    let received = Received { path: &path, kind, life: None, update };
    let stamp = |hlc| Stamp { hlc: Hlc(hlc), actor: 1 };
    let Ok(doc) = within(memory, || receive(&Doc::default(), received, stamp(1))) else { return };
    assert_eq!(Doc::decode(&doc.encode()).as_ref(), Ok(&doc));
    let _ = doc.to_object(&Types::default());
    let again = within(2 * memory, || receive(&doc, received, stamp(2))).expect("it was received before");
    let (mut one, mut two) = (doc.clone(), again.clone());
    one.join(&again);
    two.join(&doc);
    assert_eq!(one.encode(), two.encode());
    let _ = within(2 * memory, || doc.lacking(&path, update));
}
