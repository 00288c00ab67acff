//! Bugs that the simulator plants in itself, so that each checker can be seen to fail.
//!
//! They sit at the seam between an engine and its world, where a skin would have them. No run that a person asks for has one.

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// Two runs of a seed differ: the number goes into the network's chance.
    Chance(u64),
    /// Somebody goes on writing when all is to be quiet.
    Chatter,
    /// The Big Peer cannot be reached any more, though it is up.
    Cutoff,
    /// A manifest comes back from the disk with one byte changed.
    Damage,
    /// A peer that starts again ignores a commit of its log.
    ForgottenRecord,
    /// A process that ends takes parts of blobs with it.
    ForgottenBlob,
    /// Observers are not shown one row of two: halves of transactions.
    HalfNotify,
    /// The last notification of an observer is kept from the client.
    LateNotify,
    /// The network loses frames and keeps the link.
    LostFrame,
    /// The network loses what peers tell of the blobs that they have.
    LostHave,
    /// The reply to a statement is kept from the client.
    LostReply,
    /// A store does not write some rows of indexes.
    LostRow,
    /// A disk acknowledges before it has written, and crashes.
    LyingDisk,
    /// No Small Peer of one Big Peer reaches those of the other.
    NoBridge,
    /// An engine panics.
    Panic,
    /// A chunk of a blob is read with one byte changed.
    SpoiltChunk,
    /// A character of an insertion into a text is dropped, and the statement is answered as if it were there.
    TornSplice,
    /// A statement is answered by an error that says the engine is at fault.
    WrongError,
}
