//! Which documents a plan needs: the collection, the declared types, and the ids where they are known.

use std::collections::BTreeSet;
use std::ops::Bound;

use value::{CollectionName, ErrorCode, Object, Value};

use crate::aggregate::Key;
use crate::ast::{self, FieldType, Ids, Negation, Operator};
use crate::bind::{Binder, Scope};
use crate::context::{Context, Index};
use crate::error::{DqlError, Span};
use crate::evaluate::Code;

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

/// The types that a statement declares, by path from the document's root, in the order of writing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declarations(pub Vec<(Vec<String>, FieldType)>);

impl Declarations {
    /// Returns the type declared for a path.
    pub fn find(&self, path: &[String]) -> Option<FieldType> {
        self.0.iter().find(|(declared, _)| declared == path).map(|(_, field_type)| *field_type)
    }
}

/// Returns the names that expressions over a collection see.
pub(crate) fn scope(source: &ast::Source) -> Scope {
    Scope::Collection { name: source.collection.clone(), alias: source.alias.clone() }
}

/// Checks the collection, and finds the ids in USE IDS or in the predicate.
pub(crate) fn plan_source(
    source: &ast::Source,
    filter: Option<&Code>,
    args: &Object,
    context: &Context<'_>,
) -> Result<Source, DqlError> {
    let collection = collection(source)?;
    let ids = match &source.ids {
        Some(ids) => Some(hinted_ids(ids, args, context)?),
        None => filter.and_then(ids_in),
    };
    let access = ids.map_or(Access::All, |ids| Access::Ids(canonical(ids)));
    Ok(Source { collection, access, types: Declarations(source.types.clone()) })
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

/// Returns the only ids for which a predicate can be true, if it says so: `_id = …`, `_id IN …`, and either under AND.
fn ids_in(filter: &Code) -> Option<Vec<Value>> {
    let is_id = |code: &Code| matches!(code, Code::Field(path) if *path == ["_id"]);
    match filter {
        Code::Chain(first, rest) => match rest.as_slice() {
            [(Operator::Equal, second)] => match (&**first, second) {
                (id, Code::Constant(value)) | (Code::Constant(value), id) if is_id(id) => {
                    Some(value.iter().cloned().collect())
                }
                _ => None,
            },
            [(Operator::And, _), ..] => ids_in(first).or_else(|| rest.iter().find_map(|(_, part)| ids_in(part))),
            _ => None,
        },
        Code::In(operands, Negation::Plain) if is_id(&operands[0]) => match &operands[1] {
            Code::Constant(Some(Value::Array(items))) => Some(items.clone()),
            Code::Constant(_) => Some(Vec::new()),
            _ => None,
        },
        _ => None,
    }
}

/// Drops what cannot identify, makes whole floats integers, and leaves each id once, in the first place it had.
fn canonical(ids: Vec<Value>) -> Vec<Value> {
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
