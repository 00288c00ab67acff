//! One document as a join semilattice: what merges, how, and in which bytes.
//!
//! In go a document, an edit and a stamp; out comes a *delta*, which is a document again. Joining deltas in any order, any
//! number of times, with any subset of their leaves, ends in one state, because every rule of the join is a maximum.
//!
//! A document holds leaves under paths: registers (the greater stamp wins), counters (slots that only grow), rich text (yrs).
//! Maps are not stored; they are the paths, plus a marker for a map that may be empty. A removal writes its tombstone with
//! the stamp it observed, so a write the remover had not seen survives it.
//!
//! Invariants, as absences: no clock and no randomness (both are in the `Stamp` that a caller passes); no identifier (`_id`
//! belongs to the caller); no history (what is kept is bounded by fields and writers, not by edits, but for rich text); no
//! other room names a yrs type, and in here only `rich` does.
//!
//! Source: `docs/crdt.md` for the layout and the merge table; Almeida, Shoker and Baquero 2018 for delta-state CRDTs.

mod anatomy;
mod change;
mod counter;
mod decode;
mod document;
mod edit;
mod encode;
mod error;
mod field;
mod leaf;
mod new_document;
mod node;
mod path;
mod project;
mod register;
mod rich;
mod shorthand;
mod stamp;
mod types;
mod yjs_format;
mod yjs_sorted;

pub use anatomy::{newest, variable_parts};
pub use document::Doc;
pub use edit::{Op, delete, delete_fields, edit, insert, insert_initial, upsert_changed};
pub use error::EditError;
pub use field::{Lacking, Received, receive};
pub use new_document::insert_new;
pub use project::{Fields, project};
pub use rich::RichKind;
pub use shorthand::Shorthand;
pub use stamp::Stamp;
pub use types::{Type, Types};

#[cfg(test)]
mod tests;
