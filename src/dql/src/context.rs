//! What planning is told beside a statement and its arguments: the time, the zones, the indexes.
//!
//! The room has no clock and no zone database; whoever plans brings them. Invariant: the same statement, arguments and
//! context make the same plan.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use value::{CollectionName, Millis, Object};

/// The time zones of the host: the browser's `Intl`, or a library's database.
pub trait Zones {
    /// Returns how far a zone is ahead of UTC at a moment, seconds; `None` for a zone that the host does not know.
    fn offset(&self, zone: &str, at: Millis) -> Option<i32>;

    /// Returns a monotonic time, for PROFILE; 0 for ever where the host has none.
    fn nanoseconds(&self) -> u64 {
        0
    }

    /// Returns the name of the host's own zone.
    fn local(&self) -> String {
        "UTC".to_owned()
    }
}

/// A host that knows no zone but UTC.
#[derive(Clone, Copy, Debug, Default)]
pub struct UtcOnly;

impl Zones for UtcOnly {
    fn offset(&self, zone: &str, _at: Millis) -> Option<i32> {
        ["UTC", "GMT", "Z"].iter().any(|known| known.eq_ignore_ascii_case(zone)).then_some(0)
    }
}

/// An index that can be read: one row for each live document of the collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Its collection.
    pub collection: CollectionName,
    /// Its name, unique in the collection.
    pub name: String,
    /// Its number in the key space of the store.
    pub number: u64,
    /// The fields that order it; never empty.
    pub keys: Vec<IndexKey>,
}

/// One field of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexKey {
    /// The names from the document's root; never empty.
    pub path: Vec<String>,
    /// Whether its values descend.
    pub descending: bool,
}

/// The surroundings of planning.
#[derive(Clone)]
pub struct Context<'a> {
    /// The time, for `clock()`.
    pub now: Millis,
    /// The zones of the host.
    pub zones: Rc<dyn Zones>,
    /// The indexes that can be read.
    pub indexes: &'a [Index],
    /// `dql_strict_mode`: what is not declared is a register, and indexes are not used.
    pub strict: bool,
    /// Directives for every source of the statement: `dql_default_directives`, and what the statement itself begins with.
    pub directives: Object,
    /// What a plan has asked the host for first, its time or its zones: such a plan is not right for ever, nor everywhere.
    pub asked_host: Cell<Option<&'static str>>,
}

impl Default for Context<'_> {
    fn default() -> Self {
        Context {
            now: Millis(0),
            zones: Rc::new(UtcOnly),
            indexes: &[],
            strict: false,
            directives: Object::new(),
            asked_host: Cell::default(),
        }
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Context")
            .field("now", &self.now)
            .field("indexes", &self.indexes)
            .field("strict", &self.strict)
            .finish_non_exhaustive()
    }
}
