//! The language: text to [`Statement`] to [`Plan`] to rows or mutations.
//!
//! [`parse`] reads a statement, [`print()`] writes it in canonical form, [`plan`] joins it with its arguments. A plan says
//! which documents it needs ([`Source`]); the caller pushes them as objects that include `_id` and gets rows
//! ([`SelectRun`]), path operations ([`PathOp`]) or a yes or no ([`Delete::matches`]). [`Live`] keeps the rows of a SELECT up to
//! date while documents change.
//!
//! Invariants, as absences: no CRDT, no storage, no keys, no clock and no randomness; no panic on any text and any
//! document; no recursion deeper than the parser's limit; planning reads no data; what is not built is refused with
//! `query/unsupported`, never answered wrongly.
//!
//! Source: the documentation of DQL; `docs/dql.md` says what is built, and what was decided where the documentation is silent.

mod aggregate;
pub mod ast;
mod bind;
mod context;
mod error;
mod evaluate;
mod explain;
mod function;
mod iteration;
mod live;
mod needed;
mod parse;
mod plan;
mod print;
mod run;
mod subscription;
mod sum;
mod token;

pub use ast::{ConflictPolicy, FieldType, Statement};
pub use context::{Context, Index, IndexKey, UtcOnly, Zones};
pub use error::{DqlError, Span};
pub use evaluate::{Around, FieldRow};
pub use explain::explain as explained;
pub use function::{Aggregate, Function};
pub use iteration::{Iteration, IterationKind, Reach};
pub use live::{Effect, Found, Live, LiveJoin, Look};
pub use needed::Needed;
pub use parse::parse;
pub use plan::{
    Access, Advice, Alteration, Declarations, Delete, IndexScan, Insert, KeyBounds, NewIndex, OldIndex, PathOp, Plan,
    Query, Read, Returning, Select, Shown, Source, Update, plan, plan_owned,
};
pub use print::print;
pub use run::{Flow, ROWS_MAX, Reader, Request, Runner, SelectRun, Taker};
pub use subscription::{Subscription, subscription};

// What is shared with the tests of other rooms names this room as they do.
#[cfg(test)]
extern crate self as dql;

#[cfg(test)]
mod tests;
