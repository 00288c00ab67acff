//! Reads the binary form of a document, under limits.
//!
//! Whatever the bytes, the answer is an error or a document that encodes to the same bytes; never a panic, and never more
//! memory than a small multiple of the bytes. Bytes of rich content are checked by a checksum before yrs sees them.

use std::collections::BTreeSet;

use value::{DecodeError, Hlc, Reader, cbor};

use crate::counter::{Counter, Setting, Slot};
use crate::document::Doc;
use crate::encode::{
    COUNTER_REMOVED, COUNTER_SET, HEAD_DELETED, HEAD_EPOCH, LEAF_COUNTER, LEAF_MAP, LEAF_REGISTER, LEAF_REMOVED,
    LEAF_RICH, VERSION, ascends, rich_checksum,
};
use crate::leaf::Leaf;
use crate::path::Path;
use crate::register::{Entry, Register};
use crate::rich::{Rich, RichKind, is_update};
use crate::stamp::Stamp;

/// Longest path, bytes: 64 names of 1,024 bytes, escaped.
const PATH_BYTES_MAX: usize = 128 * 1024;
/// All paths of one document in full, bytes: shared starts must not blow up a small document.
const PATHS_BYTES_MAX: usize = 64 * 1024 * 1024;

pub(crate) fn document(bytes: &[u8]) -> Result<Doc, DecodeError> {
    let doc = stored(bytes)?;
    if doc.epoch > 0 && doc.is_absent() {
        return Err(DecodeError::Invalid("document (an epoch of nothing)"));
    }
    // One form for one document: this also finds longer varints, unused or unsorted stamps, and other forms of a value.
    if doc.encode() != bytes {
        return Err(DecodeError::Invalid("document (not canonical)"));
    }
    Ok(doc)
}

/// Reads a document without asking whether its form is the canonical one.
pub(crate) fn stored(bytes: &[u8]) -> Result<Doc, DecodeError> {
    if bytes.len() > Doc::BYTES_MAX {
        return Err(DecodeError::Limit("document bytes"));
    }
    let mut reader = Reader::new(bytes);
    let head = reader.u8()?;
    if head >> 4 != VERSION {
        return Err(DecodeError::Version(u64::from(head >> 4)));
    }
    if head & 0x0f & !(HEAD_EPOCH | HEAD_DELETED) != 0 {
        return Err(DecodeError::Invalid("document head"));
    }
    let mut doc = Doc::default();
    if head & HEAD_EPOCH != 0 {
        doc.epoch = u32::try_from(reader.var()?).map_err(|_| DecodeError::Limit("epoch"))?;
    }
    let mut stamps = Vec::new();
    read_stamps(&mut reader, |stamp| stamps.push(stamp))?;
    if head & HEAD_DELETED != 0 {
        doc.deleted = Some(read_stamp(&mut reader, &stamps)?);
    } else {
        read_leaves(&mut reader, &stamps, &mut doc)?;
    }
    reader.finish()?;
    Ok(doc)
}

/// Hands on the distinct stamps of a document, ascending.
pub(crate) fn read_stamps(reader: &mut Reader<'_>, mut take: impl FnMut(Stamp)) -> Result<(), DecodeError> {
    let actor_count = reader.count(reader.remaining() / 8)?;
    let mut actors = Vec::with_capacity(actor_count);
    for _ in 0..actor_count {
        actors.push(reader.fixed64()?);
    }
    let stamp_count = reader.count(reader.remaining() / 2)?;
    let (mut ms, mut count) = (0_u64, 0_u64);
    for _ in 0..stamp_count {
        let (ms_more, number) = (reader.var()?, reader.var()?);
        let base = if ms_more == 0 { count } else { 0 };
        ms = ms.checked_add(ms_more).filter(|ms| *ms < 1 << 48).ok_or(DecodeError::Limit("milliseconds"))?;
        count = base.checked_add(number).filter(|count| *count < 1 << 16).ok_or(DecodeError::Limit("clock counter"))?;
        let actor = if actors.len() > 1 { reader.var()? } else { 0 };
        let actor = usize::try_from(actor).ok().and_then(|at| actors.get(at));
        take(Stamp { hlc: Hlc(ms << 16 | count), actor: *actor.ok_or(DecodeError::Invalid("actor"))? });
    }
    Ok(())
}

fn read_stamp(reader: &mut Reader<'_>, stamps: &[Stamp]) -> Result<Stamp, DecodeError> {
    let at = usize::try_from(reader.var()?).ok();
    at.and_then(|at| stamps.get(at)).copied().ok_or(DecodeError::Invalid("stamp"))
}

fn read_leaves(reader: &mut Reader<'_>, stamps: &[Stamp], doc: &mut Doc) -> Result<(), DecodeError> {
    // A leaf takes at least two lengths, its kind and a stamp.
    let count = reader.count(reader.remaining() / 4)?;
    let mut paths_bytes = 0;
    doc.leaves.reserve(count);
    for _ in 0..count {
        let before = doc.leaves.last().map_or("", |(path, _)| path.as_str());
        let shared = usize::try_from(reader.var()?).ok();
        let shared = shared.and_then(|shared| before.get(..shared)).ok_or(DecodeError::Invalid("path"))?;
        let added = reader.str(PATH_BYTES_MAX)?;
        paths_bytes += shared.len() + added.len();
        if shared.len() + added.len() > PATH_BYTES_MAX || paths_bytes > PATHS_BYTES_MAX {
            return Err(DecodeError::Limit("path bytes"));
        }
        let path = Path::decode([shared, added].concat())?;
        if !ascends(&doc.leaves, &path) {
            return Err(DecodeError::Invalid("path (not ascending)"));
        }
        let leaf = read_leaf(reader, stamps)?;
        doc.leaves.push((path, leaf));
    }
    Ok(())
}

fn read_leaf(reader: &mut Reader<'_>, stamps: &[Stamp]) -> Result<Leaf, DecodeError> {
    let kind = reader.u8()?;
    let register = kind & (LEAF_REGISTER | LEAF_REMOVED | LEAF_MAP);
    if kind == 0 || kind & !(register | LEAF_COUNTER | LEAF_RICH) != 0 {
        return Err(DecodeError::Invalid("leaf"));
    }
    let mut leaf = Leaf::default();
    if register != 0 {
        let stamp = read_stamp(reader, stamps)?;
        let entry = match register {
            LEAF_REGISTER => Entry::Value(cbor::decode_from(reader)?),
            _ if register == LEAF_REGISTER | LEAF_REMOVED => Entry::Removed,
            _ if register == LEAF_REGISTER | LEAF_MAP => Entry::Map,
            _ => return Err(DecodeError::Invalid("register")),
        };
        leaf.register = Some(Register::new(stamp, entry));
    }
    if kind & LEAF_COUNTER != 0 {
        leaf.counter = Some(Box::new(read_counter(reader, stamps)?));
    }
    if kind & LEAF_RICH != 0 {
        leaf.rich = Some(Box::new(read_rich(reader, stamps)?));
    }
    Ok(leaf)
}

fn read_counter(reader: &mut Reader<'_>, stamps: &[Stamp]) -> Result<Counter, DecodeError> {
    let head = reader.var()?;
    let set = match head & 3 {
        0 => None,
        COUNTER_SET => {
            let stamp = read_stamp(reader, stamps)?;
            Some(Setting { stamp, value: Some(reader.var_signed()?) })
        }
        flags if flags == COUNTER_SET | COUNTER_REMOVED => {
            Some(Setting { stamp: read_stamp(reader, stamps)?, value: None })
        }
        _ => return Err(DecodeError::Invalid("counter")),
    };
    // A slot takes at least six bytes.
    let count = usize::try_from(head >> 2).ok().filter(|count| *count <= reader.remaining() / 6);
    let count = count.ok_or(DecodeError::Limit("count"))?;
    if set.is_none() && count == 0 {
        return Err(DecodeError::Invalid("counter (empty)"));
    }
    let mut slots: Vec<Slot> = Vec::with_capacity(count);
    for _ in 0..count {
        let (id, last) = (read_stamp(reader, stamps)?, read_stamp(reader, stamps)?);
        let (up, down, base_up, base_down) = (reader.var()?, reader.var()?, reader.var()?, reader.var()?);
        let ascends = slots.last().is_none_or(|before| before.id < id);
        if last.actor != id.actor || base_up > up || base_down > down || !ascends {
            return Err(DecodeError::Invalid("counter slot"));
        }
        slots.push(Slot { id, last: last.hlc, up, down, base_up, base_down });
    }
    Ok(Counter { set, slots })
}

fn read_rich(reader: &mut Reader<'_>, stamps: &[Stamp]) -> Result<Rich, DecodeError> {
    let head = reader.u8()?;
    let kind = match head & 0x0f {
        0 => RichKind::List,
        1 => RichKind::Text,
        2 => RichKind::Xml,
        _ => return Err(DecodeError::Invalid("rich kind")),
    };
    let generation = read_stamp(reader, stamps)?;
    let last = read_stamp(reader, stamps)?;
    let removed = match head >> 4 {
        0 => None,
        1 => Some(read_stamp(reader, stamps)?),
        _ => return Err(DecodeError::Invalid("rich kind")),
    };
    let state = reader.bytes(Doc::BYTES_MAX)?.to_vec();
    let mut pending = BTreeSet::new();
    for _ in 0..reader.count(reader.remaining() / 2)? {
        pending.insert(reader.bytes(Doc::BYTES_MAX)?.to_vec());
    }
    let rich = Rich { kind, generation, last, removed, state, pending };
    let sum = reader.raw(4)?.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
    if sum != rich_checksum(&rich) {
        return Err(DecodeError::Checksum);
    }
    let is_update = |update: &[u8]| is_update(kind, update);
    if !rich.state.is_empty() && !is_update(&rich.state) || !rich.pending.iter().all(|update| is_update(update)) {
        return Err(DecodeError::Invalid("rich content"));
    }
    Ok(rich)
}
