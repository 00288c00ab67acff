//! The dialect of subscriptions: `SELECT * FROM c [WHERE …]`.
//!
//! In goes the text and the arguments, out comes the collection and a predicate that peers check against documents, and a
//! hash under which equal subscriptions are one.
//!
//! Invariants: the predicate looks at one document and nothing else; ORDER BY without LIMIT, which some applications pass,
//! is accepted and left out of the text. Source: reference 2.10.

use value::{CollectionName, Object, Value, cbor, hash64};

use crate::ast::{self, Projection, Statement};
use crate::bind::Binder;
use crate::context::Context;
use crate::error::{DqlError, Span};
use crate::evaluate::Code;
use crate::needed::Needed;
use crate::parse::parse;
use crate::plan::{plan_source, scope};
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
    let statement = parse(text)?;
    let whole = Span { start: 0, end: text.trim_end().len() };
    let Statement::Select(mut select) = statement else {
        return Err(DqlError::unsupported("a subscription is SELECT * FROM a collection [WHERE …]", whole));
    };
    refuse(&select)?;
    let Some(source) = &select.from else {
        return Err(DqlError::unsupported("a subscription without FROM", select.span));
    };
    let mut binder = Binder::new(args, context, scope(source));
    let predicate = binder.bind_optional(select.filter.as_ref())?;
    for key in &select.order {
        // It orders nothing, but it must make sense.
        binder.bind(&key.expr)?;
    }
    if let Some(part) = binder.host {
        // Every peer must see the same documents in it, and their clocks and zones differ.
        return Err(DqlError::unsupported(&[part, " in a subscription"].concat(), select.span));
    }
    let collection = plan_source(source, predicate.as_ref(), args, context)?.collection;
    select.order.clear();
    let used = std::mem::take(&mut binder.used);
    let text = print(&Statement::Select(select));
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
    } else if select.from.as_ref().is_some_and(|source| source.ids.is_some()) {
        "USE IDS in a subscription"
    } else {
        return Ok(());
    };
    Err(DqlError::unsupported(part, select.distinct.unwrap_or(select.span)))
}

impl Subscription {
    /// Says whether the predicate is true for a document, which includes `_id`.
    pub fn matches(&self, object: &Object) -> bool {
        Code::holds(self.predicate.as_ref(), object)
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
