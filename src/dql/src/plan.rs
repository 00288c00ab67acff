//! A [`Statement`] and its arguments to a [`Plan`]: which documents are needed and what is done with each.
//!
//! Invariants: planning reads no data; a plan holds the arguments, so it is run without them; what a plan asks for in
//! [`Access`] is never less than what its predicate is true for, and the predicate is checked again on every document.

mod access;
mod command;
mod condition;
mod join;
mod mutation;
mod query;
mod reads;
mod select;
mod source;
mod window;

use value::{CollectionName, Object, Value};

use crate::ast::Statement;
use crate::bind::Names;
use crate::context::Context;
use crate::error::DqlError;
use crate::explain::explain;

pub use command::{Advice, Alteration, NewIndex, OldIndex, Shown};
pub(crate) use join::{Join, Joined, Rows, Side, row_environment};
pub use mutation::{Delete, Insert, PathOp, Returning, Update};
pub use query::Query;
pub(crate) use query::{Body, Set, plan_query};
pub use reads::Read;
pub use select::Select;
pub(crate) use select::{From, Grouping, Item, has_subquery};
pub use source::{Access, Declarations, IndexScan, KeyBounds, Source};
pub(crate) use source::{plan_source, scope};
pub(crate) use window::WindowCall;

/// What to do, with the arguments in place.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Return advice on indexes, and make them if that is asked for.
    Advise(Advice),
    /// Change system parameters.
    AlterSystem(Alteration),
    /// Make an index.
    CreateIndex(NewIndex),
    /// Delete documents for everyone.
    Delete(Delete),
    /// Remove an index.
    DropIndex(OldIndex),
    /// Drop documents here only.
    Evict(Delete),
    /// Return one row: how the statement would be carried out.
    Explain(Value),
    /// Add documents.
    Insert(Insert),
    /// Do it, and return one more row: what it took.
    Profile(Box<Plan>),
    /// Return rows.
    Select(Query),
    /// Return system parameters.
    Show(Shown),
    /// Change fields of documents.
    Update(Update),
}

/// Joins a statement and the values of its parameters.
///
/// Errors: `query/arguments-invalid` for a parameter without a value; `query/invalid` for a name, number or path that makes
/// no sense where it stands; `store/document-id` for a change of `_id`.
///
/// `plan_owned` does the same with arguments that nobody needs afterwards: the documents of an INSERT are moved, not copied.
pub fn plan(statement: &Statement, args: &Object, context: &Context<'_>) -> Result<Plan, DqlError> {
    match statement {
        Statement::Advise(advise) => command::plan_advice(advise, args, context).map(Plan::Advise),
        Statement::AlterSystem(alter) => command::plan_alteration(alter, args, context).map(Plan::AlterSystem),
        Statement::CreateIndex(create) => command::plan_new_index(create).map(Plan::CreateIndex),
        Statement::Delete(removal) => mutation::plan_removal(removal, args, context).map(Plan::Delete),
        Statement::Directed(directives, inner) => plan(inner, args, &command::directed(directives, args, context)?),
        Statement::DropIndex(drop) => command::plan_old_index(drop).map(Plan::DropIndex),
        Statement::Evict(removal) => mutation::plan_removal(removal, args, context).map(Plan::Evict),
        Statement::Explain(inner) => Ok(Plan::Explain(explain(&plan(inner, args, context)?))),
        Statement::Insert(insert) => mutation::plan_insert(insert, args, context).map(Plan::Insert),
        Statement::Profile(inner) => Ok(Plan::Profile(Box::new(plan(inner, args, context)?))),
        Statement::Select(query) => plan_query(query, args, context, Names::default()).map(Plan::Select),
        Statement::Show(show) => Ok(Plan::Show(Shown::of(show))),
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

impl Plan {
    /// Returns the collections that the plan reads or changes, each once.
    pub fn collections(&self) -> Vec<CollectionName> {
        let mut all = Vec::new();
        match self {
            Plan::Advise(_) | Plan::AlterSystem(_) | Plan::Explain(_) | Plan::Show(_) => {}
            Plan::CreateIndex(index) => all.push(index.collection.clone()),
            Plan::Delete(delete) | Plan::Evict(delete) => delete.collect_collections(&mut all),
            Plan::DropIndex(index) => all.push(index.collection.clone()),
            Plan::Insert(insert) => {
                query::add(&mut all, &insert.collection);
                insert.query.iter().for_each(|query| query.collect_collections(&mut all));
            }
            Plan::Profile(inner) => return inner.collections(),
            Plan::Select(query) => query.collect_collections(&mut all),
            Plan::Update(update) => update.collect_collections(&mut all),
        }
        all
    }
}
