//! The plan of a join: nested loops, from left to right, over sources that an `_id` or an index finds.
//!
//! A row of a join is an object with one document for each alias; a side that found no partner is not in it. So a field of
//! the row is a path like any other, and what follows a join does not know of it.

use std::rc::Rc;

use value::{CollectionName, Object};

use super::access::{Finder, Known, usable};
use super::query::{add, collect_in};
use super::source::{hints, plan_source_with};
use super::{Access, Query, Source};
use crate::ast::{self, JoinKind};
use crate::bind::{Binder, Names, Scope};
use crate::context::Index;
use crate::error::{DqlError, Span};
use crate::evaluate::{Code, Environment};
use crate::needed::Needed;

/// How many joins one SELECT has at most, unless `#max_joins` says fewer.
const JOINS_MAX: usize = 10;

/// Sources joined to rows.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    pub first: Side,
    pub others: Vec<Joined>,
}

/// A source under a name.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub alias: String,
    pub rows: Rows,
    /// The fields that the statement looks at.
    pub needed: Needed,
}

/// Where the documents of a side come from.
#[derive(Clone, Debug)]
pub(crate) enum Rows {
    Collection(Source),
    Query(Rc<Query>),
}

/// A source joined to what stands left of it.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    pub side: Side,
    pub on: Code,
    /// A row that finds no partner stays.
    pub keeps: bool,
    indexes: Vec<Index>,
    scans_max: usize,
}

impl Join {
    pub fn collect_collections(&self, all: &mut Vec<CollectionName>) {
        let sides = std::iter::once(&self.first).chain(self.others.iter().map(|joined| &joined.side));
        for side in sides {
            match &side.rows {
                Rows::Collection(source) => add(all, &source.collection),
                Rows::Query(query) => query.collect_collections(all),
            }
        }
        self.others.iter().for_each(|joined| collect_in(&joined.on, all));
    }

    /// Sets what each side is looked at for.
    pub fn need(&mut self, codes: &[&Code]) {
        let conditions: Vec<Code> = self.others.iter().map(|joined| joined.on.clone()).collect();
        let sides = std::iter::once(&mut self.first).chain(self.others.iter_mut().map(|joined| &mut joined.side));
        for side in sides {
            side.needed = Needed::under(&side.alias, codes.iter().copied().chain(&conditions));
        }
    }
}

impl Joined {
    /// Returns what kind of access finds the partners of a row.
    pub fn usual_access(&self) -> Access {
        let known = Known::Assumed;
        let prefix = Some(self.side.alias.as_str());
        Finder { prefix, indexes: &self.indexes, known, scans_max: self.scans_max }.find(Some(&self.on))
    }

    /// Returns where to look for the partners of a row.
    pub fn access(&self, environment: Environment<'_>) -> Access {
        let finder = Finder {
            prefix: Some(&self.side.alias),
            indexes: &self.indexes,
            known: Known::Row(environment),
            scans_max: self.scans_max,
        };
        finder.find(Some(&self.on))
    }
}

/// Plans FROM with joins; the binder knows the aliases afterwards.
pub(super) fn plan_join(
    select: &ast::Select,
    first: &ast::Source,
    binder: &mut Binder<'_>,
    names: Names<'_>,
) -> Result<Join, DqlError> {
    let directives = hints(first, binder.args, binder.context)?;
    let most = directives.joins_max.map_or(JOINS_MAX, |most| most.min(JOINS_MAX));
    if select.joins.len() > most {
        let message = ["a SELECT has at most ", &most.to_string(), " joins"].concat();
        return Err(DqlError::invalid(&message, select.joins[most].source.span));
    }
    let mut aliases = vec![alias_of(first)];
    let mut plan = Join { first: side(first, binder, names)?, others: Vec::new() };
    for (place, join) in select.joins.iter().enumerate() {
        let alias = alias_of(&join.source);
        if aliases.contains(&alias) {
            return Err(DqlError::invalid("two sources have this name; give one another with AS", join.source.span));
        }
        aliases.push(alias);
        let mut right = side(&join.source, binder, names)?;
        let mut hinted = &join.source;
        if join.kind == JoinKind::Right {
            if place > 0 {
                return Err(DqlError::unsupported("RIGHT JOIN after another join; write it first", join.source.span));
            }
            // What is kept whole is read first.
            std::mem::swap(&mut plan.first, &mut right);
            hinted = first;
        }
        binder.scope = Scope::Joined(aliases.clone());
        let on = binder.bind(&join.on)?;
        let hints = hints(hinted, binder.args, binder.context)?;
        let indexes = match &right.rows {
            Rows::Collection(source) => usable(binder.context, source, &hints)?,
            Rows::Query(_) => Vec::new(),
        };
        let joined =
            Joined { side: right, on, keeps: join.kind != JoinKind::Inner, indexes, scans_max: hints.scans_max };
        check_findable(&joined, hints.forbids_indexes(), hinted.span)?;
        plan.others.push(joined);
    }
    Ok(plan)
}

fn alias_of(source: &ast::Source) -> String {
    source.alias.clone().unwrap_or_else(|| source.collection.clone())
}

fn side(source: &ast::Source, binder: &Binder<'_>, names: Names<'_>) -> Result<Side, DqlError> {
    let rows = match super::source::query_of(source, binder.args, binder.context, names)? {
        Some(query) => Rows::Query(query),
        None => Rows::Collection(plan_source_with(source, None, binder.args, binder.context)?),
    };
    Ok(Side { alias: alias_of(source), rows, needed: Needed::All })
}

/// Refuses a join that would read a whole collection for each row, unless USE INDEX '' says that it is meant.
fn check_findable(joined: &Joined, meant: bool, span: Span) -> Result<(), DqlError> {
    let Rows::Collection(source) = &joined.side.rows else { return Ok(()) };
    let listed = matches!(source.access, Access::Ids(_));
    if meant || listed || joined.usual_access() != Access::All {
        return Ok(());
    }
    let name = source.collection.as_str();
    let message = [
        "Joining to \"",
        name,
        "\" disallowed without appropriate index support: ON compares neither the _id nor an indexed ",
        "field of ",
        name,
        " with a value known by then; create such an index, or say USE INDEX '' to read all of ",
        name,
        " for each row",
    ];
    Err(DqlError::unsupported_as(&message.concat(), span))
}

/// The row so far, to look for partners of.
pub(crate) fn row_environment<'a>(row: &'a Object, around: crate::evaluate::Around<'a>) -> Environment<'a> {
    Environment { document: Some(row), around, ..Environment::default() }
}
