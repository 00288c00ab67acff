//! Replication between two peers as state machines over one link.
//!
//! In go frames, times and what the peer has to send; out come messages, frames and the next step of a catch-up. A link is
//! an ordered, reliable pipe of messages that can die at any moment; everything here is forgotten when it does, since the
//! receiver keeps the cursors.
//!
//! Invariants, as absences: no yrs, no store, no sockets, no clock; a delta is opaque bytes; nothing is decoded without a
//! limit, and no data message is accepted before the handshake has succeeded.
//!
//! Source: `docs/wire.md`; cursors held by the receiver after CouchDB's replication.

pub mod backoff;
pub mod blob;
pub mod chunk;
pub mod ephemeral;
pub mod hello;
pub mod outgoing;
pub mod presence;
pub mod recon;
pub mod session;
pub mod wire;

pub use backoff::Backoff;
pub use blob::BlobMessage;
pub use ephemeral::Ephemeral;
pub use outgoing::{Outgoing, Step};
pub use presence::{Entry, PresenceMap};
pub use session::{Event, Session, SessionConfig};
pub use wire::{Credentials, Has, Hello, Message, RoundKind, SubRequest, Unit};

#[cfg(test)]
mod tests;
