//! Which documents a plan needs: the collection, the declared types, and the ids where they are known.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::rc::Rc;

use value::{CollectionName, ErrorCode, Object, Value};

use super::access::{Finder, Known, usable};
use super::{Query, plan_query};
use crate::aggregate::Key;
use crate::ast::{self, FieldType, Ids};
use crate::bind::{Binder, Names, Scope};
use crate::context::{Context, Index};
use crate::error::{DqlError, Span};
use crate::evaluate::Code;
use crate::evaluate::arithmetic::whole_count;

/// The collection that a plan reads or changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Its name; `system:name` for a system collection.
    pub collection: CollectionName,
    /// Which of its documents are needed.
    pub access: Access,
    /// The declared types.
    pub types: Declarations,
}

impl Source {
    /// Returns the whole collection that a statement names.
    pub(super) fn of(source: &ast::Source, context: &Context<'_>) -> Result<Source, DqlError> {
        let types = Declarations::of(source, context);
        Ok(Source { collection: collection(source)?, access: Access::All, types })
    }
}

/// Which documents of a collection are needed.
#[derive(Clone, Debug, PartialEq)]
pub enum Access {
    /// All of them.
    All,
    /// Those with these ids, each once. An integer stands for the float of the same value.
    Ids(Vec<Value>),
    /// Those that an index finds.
    Index(IndexScan),
    /// Those that all of these find.
    Intersection(Vec<Access>),
    /// Those that any of these finds, each once.
    Union(Vec<Access>),
}

impl Access {
    /// Says whether nearly all documents that are found are wanted if these fields decide: what finds them has looked at
    /// the same.
    pub(crate) fn decides(&self, fields: &[String]) -> bool {
        fields.iter().all(|field| match self {
            Access::Ids(_) => field == "_id",
            Access::Index(scan) => field == "_id" || scan.looked_at().any(|path| *path == [field.as_str()]),
            Access::All | Access::Intersection(_) | Access::Union(_) => false,
        })
    }
}

/// The part of an index that is read.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexScan {
    /// The index.
    pub index: Index,
    /// Which of its rows, ascending and apart from each other.
    pub bounds: Vec<KeyBounds>,
    /// Rows come from the last to the first.
    pub reverse: bool,
    /// The fields of the index and `_id` are all that is needed: no document is read. A document then has just these.
    pub covering: bool,
}

impl IndexScan {
    /// Returns the fields that every row of the scan was found by.
    fn looked_at(&self) -> impl Iterator<Item = &Vec<String>> {
        let is_ranged = |bounds: &KeyBounds| (&bounds.low, &bounds.high) != (&Bound::Unbounded, &Bound::Unbounded);
        let fields = |bounds: &KeyBounds| bounds.equal.len() + usize::from(is_ranged(bounds));
        let count = self.bounds.iter().map(fields).min().unwrap_or(0);
        self.index.keys.iter().take(count).map(|key| &key.path)
    }
}

/// Rows of an index that have the same first values, and of the next value a range. `None` is MISSING, the last in order.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyBounds {
    /// What the first fields are equal to, across number types; fewer than the index has fields, or as many.
    pub equal: Vec<Option<Value>>,
    /// Where the next field starts, in the order of values and not of the index.
    pub low: Bound<Option<Value>>,
    /// Where it ends.
    pub high: Bound<Option<Value>>,
}

/// The types of the fields of a collection in one statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declarations {
    /// The declared types, by path from the document's root, in the order of writing.
    pub fields: Vec<(Vec<String>, FieldType)>,
    /// `dql_strict_mode`: what is not declared is a REGISTER, and only that shows.
    pub strict: bool,
}

impl Declarations {
    pub(super) fn of(source: &ast::Source, context: &Context<'_>) -> Declarations {
        // What the peer makes has no types.
        let strict = context.strict && !is_system(&source.collection);
        Declarations { fields: source.types.clone(), strict }
    }

    /// Says whether nothing is said of any field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && !self.strict
    }

    /// Returns the type declared for a path.
    pub fn find(&self, path: &[String]) -> Option<FieldType> {
        self.fields.iter().find(|(declared, _)| declared == path).map(|(_, field_type)| *field_type)
    }
}

/// Returns the names that expressions over a collection see.
pub(crate) fn scope(source: &ast::Source) -> Scope {
    Scope::Collection { name: source.collection.clone(), alias: source.alias.clone() }
}

/// What a statement says of how a source is to be read.
#[derive(Clone, Debug)]
pub(crate) struct Hints {
    /// The only indexes that may be used, and where they are named; an empty name forbids all.
    pub indexes: Option<(Vec<String>, Span)>,
    /// An index that serves ORDER BY goes before one that serves WHERE.
    pub prefers_order: bool,
    /// How many indexes are intersected at most.
    pub scans_max: usize,
    /// How many joins there may be.
    pub joins_max: Option<usize>,
}

impl Hints {
    /// Says whether indexes are ruled out on purpose.
    pub fn forbids_indexes(&self) -> bool {
        self.indexes.as_ref().is_some_and(|(names, _)| names.iter().all(String::is_empty))
    }
}

/// How many indexes are intersected unless `#max_scans` says otherwise.
const SCANS_MAX: usize = 2;

/// Reads USE INDEX and the directives: those of the source, then those of the statement.
pub(crate) fn hints(source: &ast::Source, args: &Object, context: &Context<'_>) -> Result<Hints, DqlError> {
    let mut hints = Hints { indexes: None, prefers_order: false, scans_max: SCANS_MAX, joins_max: None };
    apply(&mut hints, &context.directives, source.span)?;
    if let Some((directives, span)) = &source.directives {
        match constant(Binder::new(args, context, Scope::Nothing("USE DIRECTIVES")).bind(directives)?) {
            Some(Value::Object(directives)) => apply(&mut hints, &directives, *span)?,
            _ => return Err(DqlError::invalid("USE DIRECTIVES takes a JSON object", *span)),
        }
    }
    if let Some((name, span)) = &source.index {
        hints.indexes = Some((vec![name.clone()], *span));
    }
    Ok(hints)
}

/// Takes directives over; one that is unknown is refused, since a misspelt hint would be ignored for ever.
fn apply(hints: &mut Hints, directives: &Object, span: Span) -> Result<(), DqlError> {
    for (name, value) in directives {
        let refuse = |what: &str| DqlError::invalid(&["the directive ", name, " takes ", what].concat(), span);
        let count = |what| value.as_int().and_then(whole_count).ok_or_else(|| refuse(what));
        match name.as_str() {
            "#index" => {
                let names = match value {
                    Value::Str(name) => vec![name.clone()],
                    Value::Array(items) => {
                        let names = items.iter().map(|item| item.as_str().map(str::to_owned));
                        names.collect::<Option<_>>().ok_or_else(|| refuse("names of indexes"))?
                    }
                    _ => return Err(refuse("the name of an index or an array of names")),
                };
                hints.indexes = Some((names, span));
            }
            "#max_joins" => hints.joins_max = Some(count("how many joins there may be")?),
            "#max_scans" => hints.scans_max = count("how many indexes may be intersected")?,
            "#prefer_order" => match value {
                Value::Bool(prefers) => hints.prefers_order = *prefers,
                _ => return Err(refuse("true or false")),
            },
            _ => {
                let known = "#index, #max_joins, #max_scans and #prefer_order";
                return Err(DqlError::invalid(&["there is no directive ", name, "; there are ", known].concat(), span));
            }
        }
    }
    Ok(())
}

/// Checks the collection, and finds the way to the documents for which the predicate can be true.
pub(crate) fn plan_source(
    source: &ast::Source,
    filter: Option<&Code>,
    args: &Object,
    context: &Context<'_>,
) -> Result<Source, DqlError> {
    if source.query.is_some() {
        return Err(DqlError::unsupported("a sub-query where a collection is changed", source.span));
    }
    plan_source_with(source, filter, args, context)
}

/// As `plan_source` for a source that is a collection.
pub(crate) fn plan_source_with(
    source: &ast::Source,
    filter: Option<&Code>,
    args: &Object,
    context: &Context<'_>,
) -> Result<Source, DqlError> {
    Ok(plan_way(source, filter, args, context)?.0)
}

/// As `plan_source_with`; returns also the indexes that may be used, and the hints.
pub(super) fn plan_way(
    source: &ast::Source,
    filter: Option<&Code>,
    args: &Object,
    context: &Context<'_>,
) -> Result<(Source, Vec<Index>, Hints), DqlError> {
    let mut plan = Source::of(source, context)?;
    let hints = hints(source, args, context)?;
    let indexes = usable(context, &plan, &hints)?;
    if let Some(ids) = &source.ids {
        plan.access = Access::Ids(canonical(hinted_ids(ids, args, context)?));
    } else {
        let finder = Finder { prefix: None, indexes: &indexes, known: Known::Constants, scans_max: hints.scans_max };
        plan.access = finder.find(filter);
    }
    Ok((plan, indexes, hints))
}

/// Returns the query that a source is: one in parentheses, or one that WITH has named.
pub(crate) fn query_of(
    source: &ast::Source,
    args: &Object,
    context: &Context<'_>,
    names: Names<'_>,
) -> Result<Option<Rc<Query>>, DqlError> {
    let found = match &source.query {
        Some(query) => Some(Rc::new(plan_query(query, args, context, Names { outer: None, with: names.with })?)),
        None => names.find(&source.collection),
    };
    let hinted = source.ids.is_some() || source.index.is_some() || !source.types.is_empty();
    if found.is_some() && hinted {
        return Err(DqlError::invalid("hints and types are for collections, not for queries", source.span));
    }
    Ok(found)
}

/// Says whether the peer itself makes the documents of a collection.
pub(super) fn is_system(collection: &str) -> bool {
    collection.starts_with("system:")
}

pub(super) fn collection(source: &ast::Source) -> Result<CollectionName, DqlError> {
    CollectionName::new(&source.collection).map_err(|error| DqlError::invalid(&error.to_string(), source.span))
}

fn hinted_ids(ids: &Ids, args: &Object, context: &Context<'_>) -> Result<Vec<Value>, DqlError> {
    let mut binder = Binder::new(args, context, Scope::Nothing("USE IDS"));
    match ids {
        Ids::Array(list, span) => match constant(binder.bind(list)?) {
            Some(Value::Array(ids)) => Ok(ids),
            _ => Err(not_an_array(*span)),
        },
        Ids::Each(ids, _) => Ok(binder.bind_all(ids)?.into_iter().filter_map(constant).collect()),
    }
}

fn not_an_array(span: Span) -> DqlError {
    DqlError::new(ErrorCode::QueryArgumentsInvalid, "USE IDS LIST takes an array of ids".to_owned(), Some(span))
}

fn constant(code: Code) -> Option<Value> {
    match code {
        Code::Constant(value) => value,
        _ => None,
    }
}

/// Drops what cannot identify, makes whole floats integers, and leaves each id once, in the first place it had.
pub(super) fn canonical(ids: Vec<Value>) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let mut all: Vec<Value> = ids.into_iter().filter_map(identifying).collect();
    all.retain(|id| seen.insert(Key(vec![Some(id.clone())])));
    all
}

/// Returns the id that documents equal to the value have, if any can.
fn identifying(value: Value) -> Option<Value> {
    match value {
        Value::Bool(_) | Value::Int(_) | Value::Str(_) => Some(value),
        // Exact: a float below 2^63 without a fraction is an integer.
        Value::Float(float) if float.fract() == 0.0 && float.abs() < 9_223_372_036_854_775_808.0 => {
            Some(Value::Int(float as i64))
        }
        Value::Array(items) => items.into_iter().map(identifying).collect::<Option<_>>().map(Value::Array),
        Value::Object(fields) => {
            let mut canonical = Object::new();
            for (name, value) in fields {
                canonical.insert(name, identifying(value)?);
            }
            Some(Value::Object(canonical))
        }
        Value::Bytes(_) | Value::Float(_) | Value::Null => None,
    }
}

/// A collection as it would be written without alias and hints.
pub(super) fn plain(collection: &str) -> ast::Source {
    ast::Source {
        collection: collection.to_owned(),
        query: None,
        types: Vec::new(),
        alias: None,
        ids: None,
        index: None,
        directives: None,
        span: Span::default(),
    }
}
