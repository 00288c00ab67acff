//! The plan of a query: one SELECT, or several joined by set operators.

use std::rc::Rc;

use value::{CollectionName, Object};

use super::select::{Item, plan_count, plan_select};
use super::{From, Select};
use crate::ast::{self, SetOperator};
use crate::bind::{Binder, Names, Scope};
use crate::context::Context;
use crate::error::{DqlError, Span};
use crate::evaluate::Code;

/// A query with its arguments in place.
#[derive(Clone, Debug)]
pub struct Query {
    pub(crate) body: Body,
}

/// What makes the rows of a query.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Select(Box<Select>),
    Set(Box<Set>),
}

/// Queries joined by set operators, and the order of the whole.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    pub first: Query,
    pub rest: Vec<(SetOperator, Query)>,
    /// The keys over the rows, and whether each descends.
    pub order: Vec<(Code, bool)>,
    pub limit: Option<usize>,
    pub offset: usize,
}

impl Query {
    /// Returns the SELECT if the query is one.
    pub fn select(&self) -> Option<&Select> {
        match &self.body {
            Body::Select(select) => Some(select),
            Body::Set(_) => None,
        }
    }

    /// Returns the one SELECT over the documents of one collection that the query is: no join, no set operator, no
    /// sub-query, no window.
    pub fn plain(&self) -> Option<&Select> {
        self.select().filter(|select| select.source().is_some() && select.is_plain())
    }

    /// Returns the collections that the query reads, each once.
    pub fn collections(&self) -> Vec<CollectionName> {
        let mut all = Vec::new();
        self.collect_collections(&mut all);
        all
    }

    pub(crate) fn collect_collections(&self, all: &mut Vec<CollectionName>) {
        match &self.body {
            Body::Select(select) => select.collect_collections(all),
            Body::Set(set) => {
                let queries = std::iter::once(&set.first).chain(set.rest.iter().map(|(_, query)| query));
                queries.for_each(|query| query.collect_collections(all));
            }
        }
    }

    /// Returns how many columns a row has; nothing where rows are documents.
    pub(crate) fn columns(&self) -> Option<usize> {
        match &self.body {
            Body::Select(select) => select.columns().map(|names| names.len()),
            Body::Set(set) => set.first.columns(),
        }
    }

    /// Gives the columns other names.
    fn rename(&mut self, names: &[String]) {
        match &mut self.body {
            Body::Select(select) => select.rename(names),
            Body::Set(set) => {
                let before = set.first.names().unwrap_or_default();
                set.first.rename(names);
                set.rest.iter_mut().for_each(|(_, query)| query.rename(names));
                set.order.iter_mut().for_each(|(key, _)| rename_fields(key, &before, names));
            }
        }
    }

    fn names(&self) -> Option<Vec<String>> {
        match &self.body {
            Body::Select(select) => select.columns(),
            Body::Set(set) => set.first.names(),
        }
    }
}

/// Makes an expression look at columns under their new names.
fn rename_fields(code: &mut Code, before: &[String], names: &[String]) {
    match code {
        Code::Field(path) => {
            let place = before.iter().position(|name| *name == path[0]);
            if let Some(name) = place.and_then(|place| names.get(place)) {
                path[0].clone_from(name);
            }
        }
        _ => code.parts_mut().into_iter().for_each(|part| rename_fields(part, before, names)),
    }
}

/// Plans a query; `names` says what it can name of the statement around it.
pub(crate) fn plan_query(
    query: &ast::Query,
    args: &Object,
    context: &Context<'_>,
    names: Names<'_>,
) -> Result<Query, DqlError> {
    let mut with = names.with.to_vec();
    for named in &query.with {
        if query.with.iter().filter(|other| other.name == named.name).count() > 1 {
            return Err(DqlError::invalid("two queries of WITH have this name", named.span));
        }
        let plan = plan_query(&named.query, args, context, Names { outer: None, with: &with })?;
        with.push((named.name.clone(), Rc::new(plan)));
    }
    let names = Names { outer: names.outer, with: &with };
    let ends = !query.order.is_empty() || query.limit.is_some() || query.offset.is_some();
    let mut first = plan_body(&query.first, args, context, names)?;
    if query.rest.is_empty() && !ends {
        return Ok(first);
    }
    let mut rest = Vec::new();
    let columns = first.names();
    for (operator, body) in &query.rest {
        let mut operand = plan_body(body, args, context, names)?;
        match (&columns, operand.columns()) {
            (Some(names), Some(count)) if names.len() == count => operand.rename(names),
            (Some(_), Some(_)) => {
                let message = ["both sides of ", operator.text(), " have the same number of columns"].concat();
                return Err(DqlError::invalid(&message, span_of(body)));
            }
            _ => {}
        }
        rest.push((*operator, operand));
    }
    let rows = Scope::Collection { name: String::new(), alias: None };
    let mut binder = Binder::new(args, context, rows);
    let mut order = Vec::new();
    for key in &query.order {
        order.push((binder.bind(&key.expr)?, key.descending));
    }
    let limit = plan_count(query.limit.as_ref(), "LIMIT", args, context)?;
    let offset = plan_count(query.offset.as_ref(), "OFFSET", args, context)?.unwrap_or(0);
    if rest.is_empty()
        && let Body::Set(set) = &mut first.body
        && set.order.is_empty()
        && set.limit.is_none()
        && set.offset == 0
    {
        (set.order, set.limit, set.offset) = (order, limit, offset);
        return Ok(first);
    }
    Ok(Query { body: Body::Set(Box::new(Set { first, rest, order, limit, offset })) })
}

fn plan_body(body: &ast::Body, args: &Object, context: &Context<'_>, names: Names<'_>) -> Result<Query, DqlError> {
    match body {
        ast::Body::Query(query) => plan_query(query, args, context, names),
        ast::Body::Select(select) => {
            let select = plan_select(select, args, context, names)?;
            Ok(Query { body: Body::Select(Box::new(select)) })
        }
    }
}

fn span_of(body: &ast::Body) -> Span {
    match body {
        ast::Body::Query(query) => span_of(&query.first),
        ast::Body::Select(select) => select.span,
    }
}

impl Select {
    /// Returns the names of the columns; nothing where a row holds whole documents.
    fn columns(&self) -> Option<Vec<String>> {
        let name = |item: &Item| match item {
            Item::Field(name, _) => Some(name.clone()),
            Item::All | Item::AllOf(_) | Item::Without(_) => None,
        };
        self.projection.iter().map(name).collect()
    }

    fn rename(&mut self, names: &[String]) {
        for (item, new) in self.projection.iter_mut().zip(names) {
            if let Item::Field(name, _) = item {
                name.clone_from(new);
            }
        }
    }

    fn collect_collections(&self, all: &mut Vec<CollectionName>) {
        match &self.from {
            From::Collection(source) => add(all, &source.collection),
            From::Join(join) => join.collect_collections(all),
            From::Nothing => {}
            From::Query(query) => query.collect_collections(all),
        }
        self.codes().for_each(|code| collect_in(code, all));
    }
}

pub(super) fn add(all: &mut Vec<CollectionName>, collection: &CollectionName) {
    if !all.contains(collection) {
        all.push(collection.clone());
    }
}

/// Collects the collections of the sub-queries in an expression.
pub(super) fn collect_in(code: &Code, all: &mut Vec<CollectionName>) {
    match code {
        Code::Subquery(subquery) => subquery.query.collect_collections(all),
        _ => code.each_part(&mut |part| collect_in(part, all)),
    }
}
