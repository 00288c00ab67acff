//! The stamp that orders writes: a reading of the hybrid logical clock, and who wrote.

use value::Hlc;

/// When and by whom something was written; the order that decides between concurrent writes.
///
/// `actor` is unique to one writer (a replica and its tab). No two transactions of an actor may share an `hlc`, and an actor
/// must not write again into a document it has lost or forgotten and then received in an older state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The reading of the clock, compared first.
    pub hlc: Hlc,
    /// The writer, which breaks ties.
    pub actor: u64,
}

impl Stamp {
    /// Returns the same stamp, moved if need be to be greater than one that it overwrites.
    pub(crate) fn above(self, overwritten: Option<Stamp>) -> Stamp {
        match overwritten {
            Some(seen) => Stamp { hlc: self.hlc.max(seen.hlc.next()), actor: self.actor },
            None => self,
        }
    }
}
