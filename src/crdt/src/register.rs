//! The register: one value, and the greater stamp wins.

use std::cmp::Ordering;

use value::{Value, cbor};

use crate::stamp::Stamp;

/// What a register says about its path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    /// Here is a map, even if it has no field.
    Map,
    /// Removed: what was here at this stamp is gone.
    Removed,
    /// A value as one unit.
    Value(Value),
}

/// One value under a stamp.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Register {
    pub(crate) stamp: Stamp,
    pub(crate) entry: Entry,
}

impl Register {
    pub(crate) fn new(stamp: Stamp, entry: Entry) -> Register {
        Register { stamp, entry }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.entry != Entry::Removed
    }

    pub(crate) fn is_map(&self) -> bool {
        self.entry == Entry::Map
    }

    /// Returns the value, if it is one.
    pub(crate) fn value(&self) -> Option<&Value> {
        match &self.entry {
            Entry::Value(value) => Some(value),
            Entry::Map | Entry::Removed => None,
        }
    }

    /// Takes the greater of both by (stamp, removed); says whether that changed anything.
    pub(crate) fn join(&mut self, other: &Register) -> bool {
        let greater = other.order(self) == Ordering::Greater;
        if greater {
            self.clone_from(other);
        }
        greater
    }

    /// A removal is greater than what it observed. Two live entries under one stamp come from one event and are equal;
    /// for bytes from outside their binary form decides, so that the order is total.
    fn order(&self, other: &Register) -> Ordering {
        let rank = |register: &Register| match register.entry {
            Entry::Value(_) => 0,
            Entry::Map => 1,
            Entry::Removed => 2,
        };
        self.stamp.cmp(&other.stamp).then_with(|| rank(self).cmp(&rank(other))).then_with(|| {
            match (&self.entry, &other.entry) {
                (Entry::Value(a), Entry::Value(b)) if a != b => cbor::encode(a).cmp(&cbor::encode(b)),
                _ => Ordering::Equal,
            }
        })
    }
}
