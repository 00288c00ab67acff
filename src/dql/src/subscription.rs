//! The dialect of subscriptions: `SELECT * FROM c [WHERE …]`.
//!
//! In goes the text and the arguments, out comes the collection and a predicate that peers check against documents, and a
//! hash under which equal subscriptions are one.
//!
//! Invariants: the predicate looks at one document and nothing else; ORDER BY without LIMIT, which some applications pass,
//! is accepted and left out of the text. Source: reference 2.10.

use std::cell::Cell;

use value::{CollectionName, Object, Value, cbor, hash64};

use crate::ast::{self, Body, Projection, Statement};
use crate::bind::Binder;
use crate::context::Context;
use crate::error::{DqlError, Span};
use crate::evaluate::{Around, Code};
use crate::needed::Needed;
use crate::parse::parse;
use crate::plan::{has_subquery, plan_source, scope};
use crate::print::print;

/// A predicate over the documents of a collection.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The collection.
    pub collection: CollectionName,
    predicate: Option<Code>,
    needed: Needed,
    text: String,
    hash: u64,
}

/// Reads the text of a subscription and joins it with its arguments.
///
/// Errors: those of parsing and planning, and `query/unsupported` for what is not the dialect.
pub fn subscription(text: &str, args: &Object, context: &Context<'_>) -> Result<Subscription, DqlError> {
    // What others asked the host for before is not this subscription's.
    let context = &Context { asked_host: Cell::default(), ..context.clone() };
    let statement = parse(text)?;
    let whole = Span { start: 0, end: text.trim_end().len() };
    let dialect = "a subscription is SELECT * FROM a collection [WHERE …]";
    let Statement::Select(query) = statement else { return Err(DqlError::unsupported(dialect, whole)) };
    let (Body::Select(mut select), true, true) = (query.first, query.rest.is_empty(), query.with.is_empty()) else {
        return Err(DqlError::unsupported(dialect, whole));
    };
    refuse(&select)?;
    let Some(source) = &select.from else {
        return Err(DqlError::unsupported("a subscription without FROM", select.span));
    };
    let mut binder = Binder::new(args, context, scope(source));
    let predicate = binder.bind_optional(select.filter.as_ref())?;
    if predicate.as_ref().is_some_and(has_subquery) {
        return Err(DqlError::unsupported("a sub-query in a subscription", select.span));
    }
    for key in &select.order {
        // It orders nothing, but it must make sense.
        binder.bind(&key.expr)?;
    }
    if let Some(part) = context.asked_host.get() {
        // Every peer must see the same documents in it, and their clocks and zones differ.
        return Err(DqlError::unsupported(&[part, " in a subscription"].concat(), select.span));
    }
    let collection = plan_source(source, predicate.as_ref(), args, context)?.collection;
    select.order.clear();
    let used = std::mem::take(&mut binder.used);
    let first = Body::Select(select);
    let query = ast::Query { with: Vec::new(), first, rest: Vec::new(), order: Vec::new(), limit: None, offset: None };
    let text = print(&Statement::Select(query));
    let mut identity = text.clone().into_bytes();
    identity.push(0);
    identity.extend(cbor::encode(&Value::Object(used)));
    let needed = Needed::of(&predicate);
    Ok(Subscription { collection, predicate, needed, text, hash: hash64(&identity) })
}

fn refuse(select: &ast::Select) -> Result<(), DqlError> {
    let part = if !matches!(select.projection.as_slice(), [Projection::All(_)]) {
        "a projection other than * in a subscription"
    } else if select.distinct.is_some() {
        "DISTINCT in a subscription"
    } else if !select.group.is_empty() || select.having.is_some() {
        "GROUP BY in a subscription"
    } else if select.limit.is_some() || select.offset.is_some() {
        "LIMIT or OFFSET in a subscription"
    } else if !select.joins.is_empty() {
        "JOIN in a subscription"
    } else if select.from.as_ref().is_some_and(|source| source.query.is_some()) {
        "a sub-query in a subscription"
    } else if select.from.as_ref().is_some_and(|source| source.ids.is_some()) {
        "USE IDS in a subscription"
    } else if select.from.as_ref().is_some_and(|source| source.index.is_some() || source.directives.is_some()) {
        "USE INDEX or USE DIRECTIVES in a subscription"
    } else {
        return Ok(());
    };
    Err(DqlError::unsupported(part, select.distinct.unwrap_or(select.span)))
}

impl Subscription {
    /// Says whether it wants every document of its collection.
    pub fn is_unconditional(&self) -> bool {
        self.predicate.is_none()
    }

    /// Says whether the predicate is true for a document, which includes `_id`.
    pub fn matches(&self, object: &Object) -> bool {
        Code::holds(self.predicate.as_ref(), object, Around::default())
    }

    /// Returns the fields that the predicate looks at.
    pub fn needed(&self) -> &Needed {
        &self.needed
    }

    /// Returns the canonical text, which parses to the same subscription with the same arguments.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the hash of the canonical text and of the arguments it uses.
    pub fn hash(&self) -> u64 {
        self.hash
    }
}
