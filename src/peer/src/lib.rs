//! The engine: one peer as a state machine without input or output.
//!
//! In go statements, frames, answers of the device and the time ([`io::Input`]); out come commits, loads, frames, answers
//! and notifications ([`io::Output`]). The rule of use: `handle` one input, drain `poll` to `None`, then the next. The same
//! engine runs in the browser, in the Big Peer and in the simulator.
//!
//! The way of a write: a job waits in the pipeline, is evaluated over a draft, leaves as one commit, and becomes visible to
//! readers, observers and links when the commit is durable, never earlier.
//!
//! Invariants, as absences: no `.await`, no callbacks, no clock, no randomness of its own; nothing unsaved is sent; nothing
//! is changed before the answer that a ticket waits for.
//!
//! Source: Firezone's "sans-IO" essay and str0m for the shape; `docs/wire.md` and `ARCHITECTURE.md` for the rest.

pub mod backup;
mod blob;
mod check;
mod columns;
mod command;
mod commit;
pub mod config;
mod cursor;
mod dial;
mod documents;
mod draft;
mod engine;
mod ephemeral;
mod field;
mod history;
mod incoming;
mod index;
pub mod io;
mod layout;
mod link;
mod log_tail;
mod network;
mod observer;
mod packed;
mod page;
mod parameters;
mod parsed;
mod pipeline;
mod presence;
mod pump;
mod random;
mod reap;
mod reboot;
mod reconcile;
mod record;
mod request;
mod scope;
mod statement;
mod status;
mod sync_info;
mod system;
mod transaction;
#[doc(hidden)]
pub mod unit;
mod view;

pub use blob::{BlobFinding, BlobWalk};
pub use check::EngineContent;
pub use config::{Boot, Config, Role};
pub use engine::Engine;
pub use index::{IndexFinding, IndexWalk};
pub use layout::DocumentLayout;
pub use record::{DocState, Part, Record};

#[cfg(test)]
mod tests;
