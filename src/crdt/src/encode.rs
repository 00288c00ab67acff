//! The binary form of a document: see `docs/crdt.md` for the layout.
//!
//! Stamps are written once, in a table of distinct ones, ascending, each as the difference to the one before; leaves name
//! them by number. A path is written as what it adds to the path before it. What is equal is written in one way only.

use std::collections::BTreeSet;

use value::{Value, Writer, cbor, checksum};

use crate::counter::Counter;
use crate::document::Doc;
use crate::leaf::Leaf;
use crate::path::Path;
use crate::register::Entry;
use crate::rich::Rich;
use crate::stamp::Stamp;

/// The layout's version, in the high half of the first byte.
pub(crate) const VERSION: u8 = 1;
/// In the low half of the first byte: an epoch other than 0 follows.
pub(crate) const HEAD_EPOCH: u8 = 1;
/// The number of the deletion's stamp follows the stamps, and no leaf.
pub(crate) const HEAD_DELETED: u8 = 2;

/// What a leaf holds: a register, that it is a removal, that it marks a map.
pub(crate) const LEAF_REGISTER: u8 = 1;
pub(crate) const LEAF_REMOVED: u8 = 2;
pub(crate) const LEAF_MAP: u8 = 4;
pub(crate) const LEAF_COUNTER: u8 = 8;
pub(crate) const LEAF_RICH: u8 = 16;

/// In the low bits of a counter's head: it was set, and that was removed.
pub(crate) const COUNTER_SET: u64 = 1;
pub(crate) const COUNTER_REMOVED: u64 = 2;

pub(crate) fn document(doc: &Doc) -> Vec<u8> {
    let stamps = Stamps::of(doc);
    let mut writer = Writer::new();
    let epoch = if doc.epoch == 0 { 0 } else { HEAD_EPOCH };
    let deleted = if doc.deleted.is_none() { 0 } else { HEAD_DELETED };
    writer.u8(VERSION << 4 | epoch | deleted);
    if doc.epoch != 0 {
        writer.var(u64::from(doc.epoch));
    }
    stamps.write(&mut writer);
    if let Some(deleted) = doc.deleted {
        stamps.number(deleted, &mut writer);
        return writer.finish();
    }
    writer.var(doc.leaves.len() as u64);
    let mut before = "";
    for (path, leaf) in &doc.leaves {
        let shared = common_bytes(before, path.as_str());
        writer.var(shared as u64).str(&path.as_str()[shared..]);
        before = path.as_str();
        write_leaf(leaf, &stamps, &mut writer);
    }
    writer.finish()
}

/// Returns how many bytes two texts share at their start, in whole characters.
pub(crate) fn common_bytes(a: &str, b: &str) -> usize {
    let mut shared = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    while !b.is_char_boundary(shared) {
        shared -= 1;
    }
    shared
}

fn write_leaf(leaf: &Leaf, stamps: &Stamps, writer: &mut Writer) {
    let register = match leaf.register.as_ref().map(|register| &register.entry) {
        None => 0,
        Some(Entry::Map) => LEAF_REGISTER | LEAF_MAP,
        Some(Entry::Removed) => LEAF_REGISTER | LEAF_REMOVED,
        Some(Entry::Value(_)) => LEAF_REGISTER,
    };
    let counter = if leaf.counter.is_some() { LEAF_COUNTER } else { 0 };
    let rich = if leaf.rich.is_some() { LEAF_RICH } else { 0 };
    writer.u8(register | counter | rich);
    if let Some(register) = &leaf.register {
        stamps.number(register.stamp, writer);
        if let Entry::Value(value) = &register.entry {
            cbor::encode_into(value, writer);
        }
    }
    if let Some(counter) = &leaf.counter {
        write_counter(counter, stamps, writer);
    }
    if let Some(rich) = &leaf.rich {
        write_rich(rich, stamps, writer);
    }
}

fn write_counter(counter: &Counter, stamps: &Stamps, writer: &mut Writer) {
    let flags = match counter.set {
        None => 0,
        Some(set) if set.value.is_none() => COUNTER_SET | COUNTER_REMOVED,
        Some(_) => COUNTER_SET,
    };
    writer.var((counter.slots.len() as u64) << 2 | flags);
    if let Some(set) = counter.set {
        stamps.number(set.stamp, writer);
        if let Some(value) = set.value {
            writer.var_signed(value);
        }
    }
    for slot in &counter.slots {
        stamps.number(slot.id, writer);
        stamps.number(slot.newest(), writer);
        writer.var(slot.up).var(slot.down).var(slot.base_up).var(slot.base_down);
    }
}

fn write_rich(rich: &Rich, stamps: &Stamps, writer: &mut Writer) {
    writer.u8(rich.kind as u8 | u8::from(rich.removed.is_some()) << 4);
    stamps.number(rich.generation, writer);
    stamps.number(rich.last, writer);
    if let Some(removed) = rich.removed {
        stamps.number(removed, writer);
    }
    writer.bytes(&rich.state).var(rich.pending.len() as u64);
    rich.pending.iter().for_each(|update| {
        writer.bytes(update);
    });
    writer.raw(&rich_checksum(rich).to_be_bytes());
}

/// Returns the checksum that keeps damaged bytes away from the yrs decoder.
pub(crate) fn rich_checksum(rich: &Rich) -> u32 {
    let sum = |bytes: &[u8]| checksum(bytes);
    rich.pending.iter().fold(sum(&rich.state), |total, update| total.rotate_left(1) ^ sum(update))
}

/// The distinct stamps of a document, ascending, and their actors.
struct Stamps {
    stamps: Vec<Stamp>,
    actors: Vec<u64>,
}

impl Stamps {
    fn of(doc: &Doc) -> Stamps {
        let mut stamps: Vec<Stamp> = Vec::new();
        // Most leaves carry the stamp of the leaf before them.
        let mut add = |stamp: Stamp| {
            if stamps.last() != Some(&stamp) {
                stamps.push(stamp);
            }
        };
        doc.deleted.into_iter().for_each(&mut add);
        for (_, leaf) in &doc.leaves {
            leaf.register.iter().for_each(|register| add(register.stamp));
            if let Some(counter) = &leaf.counter {
                counter.set.iter().for_each(|set| add(set.stamp));
                counter.slots.iter().flat_map(|slot| [slot.id, slot.newest()]).for_each(&mut add);
            }
            if let Some(rich) = &leaf.rich {
                [rich.generation, rich.last].into_iter().chain(rich.removed).for_each(&mut add);
            }
        }
        if let [] | [_] = stamps.as_slice() {
            let actors = stamps.iter().map(|stamp| stamp.actor).collect();
            return Stamps { stamps, actors };
        }
        // Sets sort as they fill; a sort of slices is 5 kB of WebAssembly for each type.
        let actors: BTreeSet<u64> = stamps.iter().map(|stamp| stamp.actor).collect();
        let stamps: BTreeSet<Stamp> = stamps.into_iter().collect();
        Stamps { stamps: stamps.into_iter().collect(), actors: actors.into_iter().collect() }
    }

    fn write(&self, writer: &mut Writer) {
        writer.var(self.actors.len() as u64);
        self.actors.iter().for_each(|actor| {
            writer.fixed64(*actor);
        });
        writer.var(self.stamps.len() as u64);
        let (mut ms_before, mut count_before) = (0, 0);
        for stamp in &self.stamps {
            let (ms, count) = (stamp.hlc.0 >> 16, stamp.hlc.0 & 0xffff);
            writer.var(ms - ms_before);
            writer.var(if ms == ms_before { count - count_before } else { count });
            // With one actor there is nothing to say.
            if self.actors.len() > 1 {
                writer.var(self.actors.partition_point(|actor| *actor < stamp.actor) as u64);
            }
            (ms_before, count_before) = (ms, count);
        }
    }

    /// Writes a stamp as its number in the table.
    fn number(&self, stamp: Stamp, writer: &mut Writer) {
        writer.var(self.stamps.partition_point(|known| *known < stamp) as u64);
    }
}

impl Doc {
    /// Returns an upper bound of the binary form, in bytes, without writing it.
    pub(crate) fn weight(&self) -> usize {
        // Head, counts, epoch, deletion; a stamp with its own actor takes at most 24 bytes, a varint 10.
        let stamp = 24;
        let leaves = self.leaves.iter().map(|(path, leaf)| {
            let register = leaf.register.as_ref().map_or(0, |register| stamp + 5 + register.value().map_or(0, weight));
            let slots = leaf.counter.as_ref().map_or(0, |counter| counter.slots.len() + 1) * (2 * stamp + 60);
            let rich = leaf.rich.as_ref().map_or(0, |rich| {
                let pending: usize = rich.pending.iter().map(|update| update.len() + 10).sum();
                3 * stamp + 50 + rich.state.len() + pending
            });
            path.as_str().len() + 16 + register + slots + rich
        });
        64 + stamp + leaves.sum::<usize>()
    }
}

/// Returns an upper bound of a value's binary form.
fn weight(value: &Value) -> usize {
    match value {
        Value::Array(items) => 9 + items.iter().map(weight).sum::<usize>(),
        Value::Bool(_) | Value::Float(_) | Value::Int(_) | Value::Null => 9,
        Value::Bytes(bytes) => 9 + bytes.len(),
        Value::Object(fields) => 9 + fields.iter().map(|(name, value)| 9 + name.len() + weight(value)).sum::<usize>(),
        Value::Str(text) => 9 + text.len(),
    }
}

/// Says whether a path may follow another in the list of leaves.
pub(crate) fn ascends(before: &[(Path, Leaf)], path: &Path) -> bool {
    before.last().is_none_or(|(last, _)| last < path)
}
