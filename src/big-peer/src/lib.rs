//! The Big Peer: a native server that is one more peer, with more permissions.
//!
//! The same engine as in a browser (`peer`), over a durable log and many links. In go frames of peers and statements over
//! HTTP; out come frames and answers, never before what they tell of is durable. The log is the truth, the state is a view
//! of it: `log` and `view`; `blob` keeps attachments; `core` joins them to an engine; `link` and `http` are its outside; `server` is all of it.
//!
//! Invariants, as absences: no rule of the protocol or the language; no decision that the simulator could not have tested; no
//! acknowledgement before fdatasync; no queue without a bound; no secret in a log line.
//!
//! Source: `docs/http.md`; the shape (one total order per database, full state at every node) after Firestore and Zero.

pub mod blob;
pub mod clock;
pub mod config;
pub mod core;
pub mod http;
pub mod identity;
pub mod json;
pub mod link;
pub mod log;
pub mod metrics;
pub mod server;
pub mod view;
mod yjs;
pub mod zones;
