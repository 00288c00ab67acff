//! A [`Statement`] and its arguments to a [`Plan`]: which documents are needed and what is done with each.
//!
//! Invariants: planning reads no data; a plan holds the arguments, so it is run without them; what a plan asks for in
//! [`Access`] is never less than what its predicate is true for, and the predicate is checked again on every document.

mod mutation;
mod select;
mod source;

use value::{Object, Value};

use crate::ast::Statement;
use crate::context::Context;
use crate::error::DqlError;
use crate::explain::explain;

pub use mutation::{Delete, Insert, PathOp, Update};
pub use select::Select;
pub(crate) use select::{Grouping, Item};
pub use source::{Access, Declarations, IndexScan, KeyBounds, Source};
pub(crate) use source::{plan_source, scope};

/// What to do, with the arguments in place.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Return rows.
    Select(Select),
    /// Add documents.
    Insert(Insert),
    /// Change fields of documents.
    Update(Update),
    /// Delete documents for everyone.
    Delete(Delete),
    /// Drop documents here only.
    Evict(Delete),
    /// Return one row: how the statement would be carried out.
    Explain(Value),
}

/// Joins a statement and the values of its parameters.
///
/// Errors: `query/arguments-invalid` for a parameter without a value; `query/invalid` for a name, number or path that makes
/// no sense where it stands; `store/document-id` for a change of `_id`.
///
/// `plan_owned` does the same with arguments that nobody needs afterwards: the documents of an INSERT are moved, not copied.
pub fn plan(statement: &Statement, args: &Object, context: &Context<'_>) -> Result<Plan, DqlError> {
    match statement {
        Statement::Delete(removal) => mutation::plan_removal(removal, args, context).map(Plan::Delete),
        Statement::Evict(removal) => mutation::plan_removal(removal, args, context).map(Plan::Evict),
        Statement::Explain(inner) => Ok(Plan::Explain(explain(&plan(inner, args, context)?))),
        Statement::Insert(insert) => mutation::plan_insert(insert, args, context).map(Plan::Insert),
        Statement::Select(select) => select::plan_select(select, args, context).map(Plan::Select),
        Statement::Update(update) => mutation::plan_update(update, args, context).map(Plan::Update),
    }
}

/// As `plan`.
pub fn plan_owned(statement: &Statement, args: Object, context: &Context<'_>) -> Result<Plan, DqlError> {
    match statement {
        Statement::Insert(insert) => mutation::plan_insert_owned(insert, args, context).map(Plan::Insert),
        other => plan(other, &args, context),
    }
}
