//! A hash of a document by which two replicas find out whether they know the same.
//!
//! The sum, modulo 2^128, of one term for each leaf and one for the epoch and deletion: no order matters, and an engine can
//! keep it up to date by subtracting one term and adding another.

use value::{Writer, cbor, hash64};

use crate::document::Doc;
use crate::leaf::Leaf;
use crate::path::Path;
use crate::register::Entry;
use crate::stamp::Stamp;

pub(crate) fn document(doc: &Doc) -> u128 {
    let head = if doc.epoch == 0 && doc.deleted.is_none() { 0 } else { head(doc) };
    doc.leaves.iter().map(|(path, leaf)| term(path, leaf)).fold(head, u128::wrapping_add)
}

fn head(doc: &Doc) -> u128 {
    let mut writer = Writer::new();
    writer.u8(0).var(u64::from(doc.epoch));
    optional(doc.deleted, &mut writer);
    wide(writer)
}

fn term(path: &Path, leaf: &Leaf) -> u128 {
    let mut writer = Writer::new();
    writer.u8(1).str(path.as_str());
    if let Some(register) = &leaf.register {
        stamp(register.stamp, writer.u8(1));
        match &register.entry {
            Entry::Map => writer.u8(1),
            Entry::Removed => writer.u8(2),
            Entry::Value(value) => writer.u8(3).fixed64(hash64(&cbor::encode(value))),
        };
    }
    if let Some(counter) = &leaf.counter {
        writer.u8(2);
        optional(counter.set.map(|set| set.stamp), &mut writer);
        writer.u8(u8::from(counter.set.is_some_and(|set| set.value.is_none())));
        writer.var_signed(counter.set.and_then(|set| set.value).unwrap_or(0));
        for slot in &counter.slots {
            stamp(slot.id, &mut writer);
            writer.fixed64(slot.last.0).var(slot.up).var(slot.down).var(slot.base_up).var(slot.base_down);
        }
    }
    if let Some(rich) = &leaf.rich {
        writer.u8(3).u8(rich.kind as u8);
        stamp(rich.generation, &mut writer);
        stamp(rich.last, &mut writer);
        optional(rich.removed, &mut writer);
        writer.bytes(&rich.state);
        rich.pending.iter().for_each(|update| {
            writer.bytes(update);
        });
    }
    wide(writer)
}

fn optional(value: Option<Stamp>, writer: &mut Writer) {
    writer.u8(u8::from(value.is_some()));
    stamp(value.unwrap_or_default(), writer);
}

fn stamp(stamp: Stamp, writer: &mut Writer) {
    writer.fixed64(stamp.hlc.0).fixed64(stamp.actor);
}

/// Widens the 64-bit hash: the second half is the hash of the same bytes behind the first half.
fn wide(mut writer: Writer) -> u128 {
    let first = hash64(&writer.clone().finish());
    writer.fixed64(first);
    u128::from(first) << 64 | u128::from(hash64(&writer.finish()))
}
