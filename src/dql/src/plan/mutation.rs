//! The plans of INSERT, UPDATE, DELETE and EVICT.

use std::collections::BTreeSet;

use value::limits::DEPTH_MAX;
use value::{CollectionName, DocId, ErrorCode, Object, Value};

use super::query::{add, collect_in};
use super::select::{Item, plan_count, plan_projection};
use super::source::collection;
use super::{Declarations, Query, Source, plan_query, plan_source, scope};
use crate::ast::{self, Application, ConflictPolicy, Target};
use crate::bind::{Binder, Names, Scope};
use crate::context::Context;
use crate::error::{DqlError, Span};
use crate::evaluate::{Around, Code, Environment};
use crate::needed::Needed;
use crate::run::project;

/// An INSERT with its documents.
#[derive(Clone, Debug)]
pub struct Insert {
    /// The collection.
    pub collection: CollectionName,
    /// The declared types.
    pub types: Declarations,
    /// The documents, at least none. `_id` is valid where there is one, and occurs once; where there is none, the peer makes it.
    pub documents: Vec<Object>,
    /// What happens to a document whose `_id` exists.
    pub policy: ConflictPolicy,
    /// The documents are written at the beginning of time, so that equal seeds are one event and lose to every edit.
    pub initial: bool,
    /// Where the documents come from instead, and where that is written. The rows of its answer go through `Insert::check`.
    pub query: Option<Query>,
    /// RETURNING.
    pub returning: Option<Returning>,
}

/// What RETURNING makes of a document: as it is after INSERT and UPDATE, as it was before DELETE and EVICT.
#[derive(Clone, Debug)]
pub struct Returning {
    items: Vec<Item>,
}

impl Returning {
    fn codes(&self) -> impl Iterator<Item = &Code> {
        self.items.iter().filter_map(|item| match item {
            Item::Field(_, code) => Some(code),
            Item::All | Item::AllOf(_) | Item::Without(_) => None,
        })
    }

    /// Returns the row of a document, which includes `_id`.
    pub fn row(&self, object: &Object, around: Around<'_>) -> Value {
        let environment = Environment { document: Some(object), around, ..Environment::default() };
        Value::Object(project(&self.items, environment))
    }
}

/// An UPDATE with its arguments in place.
#[derive(Clone, Debug)]
pub struct Update {
    source: Source,
    filter: Option<Code>,
    apply: Vec<(Vec<String>, Applied)>,
    set: Vec<(Vec<String>, Code)>,
    unset: Vec<Vec<String>>,
    returning: Option<Returning>,
}

#[derive(Clone, Debug)]
enum Applied {
    Increment(Code),
    PnIncrement(Code),
    Restart(Code),
    Splice { start: Code, delete: Code, insert: Option<Code> },
}

impl Applied {
    fn codes(&self) -> impl Iterator<Item = &Code> {
        let (first, second, third) = match self {
            Applied::Increment(code) | Applied::PnIncrement(code) | Applied::Restart(code) => (code, None, None),
            Applied::Splice { start, delete, insert } => (start, Some(delete), insert.as_ref()),
        };
        [Some(first), second, third].into_iter().flatten()
    }
}

/// A change of one field.
#[derive(Clone, Debug, PartialEq)]
pub enum PathOp {
    /// Adds to a COUNTER.
    Increment {
        /// The names from the document's root; never `_id`.
        path: Vec<String>,
        /// A finite number.
        by: f64,
    },
    /// Adds to a PN_COUNTER.
    PnIncrement {
        /// The names from the document's root; never `_id`.
        path: Vec<String>,
        /// A finite number.
        by: f64,
    },
    /// Starts a COUNTER again.
    Restart {
        /// The names from the document's root; never `_id`.
        path: Vec<String>,
        /// The number it starts with; 0 unless the statement says another.
        with: f64,
    },
    /// Writes a value.
    Set {
        /// The names from the document's root; never `_id`.
        path: Vec<String>,
        /// The value, at most `DEPTH_MAX` levels deep.
        value: Value,
    },
    /// Removes from a TEXT, LIST or XML at a place and inserts there.
    Splice {
        /// The names from the document's root; never `_id`.
        path: Vec<String>,
        /// UTF-16 code units, items or children before it.
        start: u64,
        /// How many of them are removed.
        delete: u64,
        /// What is inserted, at most `DEPTH_MAX` levels deep; nothing for none.
        insert: Option<Value>,
    },
    /// Removes a field.
    Unset {
        /// The names from the document's root; never `_id`.
        path: Vec<String>,
    },
}

/// A DELETE or an EVICT with its arguments in place.
#[derive(Clone, Debug)]
pub struct Delete {
    source: Source,
    filter: Option<Code>,
    limit: Option<usize>,
    returning: Option<Returning>,
}

impl Update {
    /// Returns the collection.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Returns the fields that WHERE looks at.
    pub fn deciding(&self) -> Needed {
        Needed::of(&self.filter)
    }

    /// Says whether WHERE is true for a document; without WHERE it is.
    pub fn matches(&self, object: &Object, around: Around<'_>) -> bool {
        Code::holds(self.filter.as_ref(), object, around)
    }

    /// Returns what RETURNING asks for.
    pub fn returning(&self) -> Option<&Returning> {
        self.returning.as_ref()
    }

    /// Computes the changes of one document, all from its state before the statement: APPLY, then SET, then UNSET.
    ///
    /// Returns nothing if WHERE is not true. Setting a field to MISSING removes it. Errors: `query/evaluation` for an
    /// increment that is no number or a place that is no whole one, `validation/depth-limit-exceeded`.
    pub fn operations(&self, object: &Object, around: Around<'_>) -> Result<Option<Vec<PathOp>>, DqlError> {
        if !self.matches(object, around) {
            return Ok(None);
        }
        let environment = Environment { document: Some(object), around, ..Environment::default() };
        let mut operations = Vec::with_capacity(self.apply.len() + self.set.len() + self.unset.len());
        for (path, applied) in &self.apply {
            let path = path.clone();
            operations.push(match applied {
                Applied::Increment(by) => PathOp::Increment { by: number(by, environment, &path)?, path },
                Applied::PnIncrement(by) => PathOp::PnIncrement { by: number(by, environment, &path)?, path },
                Applied::Restart(with) => PathOp::Restart { with: number(with, environment, &path)?, path },
                Applied::Splice { start, delete, insert } => {
                    let insert = insert.as_ref().and_then(|insert| insert.value(environment));
                    insert.as_ref().map_or(Ok(()), |value| check_depth(value, path.len(), None))?;
                    let (start, delete) = (place(start, environment, &path)?, place(delete, environment, &path)?);
                    PathOp::Splice { start, delete, insert, path }
                }
            });
        }
        for (path, code) in &self.set {
            let path = path.clone();
            operations.push(match code.value(environment) {
                Some(value) => {
                    check_depth(&value, path.len(), None)?;
                    PathOp::Set { path, value }
                }
                None => PathOp::Unset { path },
            });
        }
        operations.extend(self.unset.iter().map(|path| PathOp::Unset { path: path.clone() }));
        Ok(Some(operations))
    }
}

impl Delete {
    /// Returns the collection.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Returns the fields that WHERE looks at.
    pub fn deciding(&self) -> Needed {
        Needed::of(&self.filter)
    }

    /// Says whether WHERE is true for a document; without WHERE it is.
    pub fn matches(&self, object: &Object, around: Around<'_>) -> bool {
        Code::holds(self.filter.as_ref(), object, around)
    }

    /// Returns what RETURNING asks for.
    pub fn returning(&self) -> Option<&Returning> {
        self.returning.as_ref()
    }

    pub(super) fn collect_collections(&self, all: &mut Vec<CollectionName>) {
        add(all, &self.source.collection);
        let returned = self.returning.iter().flat_map(Returning::codes);
        self.filter.iter().chain(returned).for_each(|code| collect_in(code, all));
    }

    /// Returns how many documents are removed at most.
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }

    pub(crate) fn filter(&self) -> Option<&Code> {
        self.filter.as_ref()
    }
}

fn number(code: &Code, environment: Environment<'_>, path: &[String]) -> Result<f64, DqlError> {
    let value = code.evaluate(environment);
    value.as_deref().and_then(Value::as_float).filter(|number| number.is_finite()).ok_or_else(|| {
        let found = value.as_deref().map_or("missing", Value::type_name);
        let message = ["the change of the counter ", &path.join("."), " is no number but ", found].concat();
        DqlError::new(ErrorCode::QueryEvaluation, message, None)
    })
}

/// Evaluates a place or a length of a SPLICE.
fn place(code: &Code, environment: Environment<'_>, path: &[String]) -> Result<u64, DqlError> {
    let number = code.evaluate(environment).as_deref().and_then(Value::as_float);
    // Places are far below the numbers that a float does not hold.
    let whole = number.filter(|number| number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(number));
    whole.map(|number| number as u64).ok_or_else(|| {
        let message =
            ["SPLICE of ", &path.join("."), " takes whole numbers, from 0, for its start and its length"].concat();
        DqlError::new(ErrorCode::QueryEvaluation, message, None)
    })
}

fn check_depth(value: &Value, above: usize, span: Option<Span>) -> Result<(), DqlError> {
    if value.depth() + above <= DEPTH_MAX {
        return Ok(());
    }
    let message = ["a document nests at most ", &DEPTH_MAX.to_string(), " levels deep"].concat();
    Err(DqlError::new(ErrorCode::ValidationDepthLimitExceeded, message, span))
}

pub(super) fn plan_insert(insert: &ast::Insert, args: &Object, context: &Context<'_>) -> Result<Insert, DqlError> {
    let mut binder = Binder::new(args, context, Scope::Nothing("INSERT"));
    let mut plan = plan_documents(insert, context, |expr| Ok(binder.bind(expr)?.value(Environment::default())))?;
    if let Some(query) = &insert.query {
        plan.query = Some(plan_query(query, args, context, Names::default())?);
    }
    plan.returning = plan_returning(&insert.returning, &insert.source, args, context)?;
    Ok(plan)
}

/// Plans RETURNING, which sees the document as WHERE does.
fn plan_returning(
    items: &[ast::Projection],
    source: &ast::Source,
    args: &Object,
    context: &Context<'_>,
) -> Result<Option<Returning>, DqlError> {
    if items.is_empty() {
        return Ok(None);
    }
    let mut binder = Binder::new(args, context, scope(source));
    Ok(Some(Returning { items: plan_projection(items, true, &mut binder)? }))
}

/// As `plan_insert`; documents that are one argument are taken out of the arguments.
pub(super) fn plan_insert_owned(
    insert: &ast::Insert,
    mut args: Object,
    context: &Context<'_>,
) -> Result<Insert, DqlError> {
    let whole = match insert.documents.as_slice() {
        [(ast::Expr::Parameter(name, _), _)] if insert.returning.is_empty() => args.remove(name),
        _ => None,
    };
    match whole {
        Some(value) => {
            let mut value = Some(value);
            let mut plan = plan_documents(insert, context, |_| Ok(value.take()))?;
            plan.returning = plan_returning(&insert.returning, &insert.source, &args, context)?;
            Ok(plan)
        }
        None => plan_insert(insert, &args, context),
    }
}

fn plan_documents(
    insert: &ast::Insert,
    context: &Context<'_>,
    mut evaluate: impl FnMut(&ast::Expr) -> Result<Option<Value>, DqlError>,
) -> Result<Insert, DqlError> {
    if insert.source.ids.is_some() {
        return Err(DqlError::invalid("USE IDS cannot stand in INSERT", insert.source.span));
    }
    let mut documents = Vec::new();
    let mut ids = BTreeSet::new();
    for (expr, span) in &insert.documents {
        let given = match evaluate(expr)? {
            Some(Value::Array(items)) => items,
            Some(value) => vec![value],
            None => Vec::new(),
        };
        if given.is_empty() && !matches!(expr, ast::Expr::Parameter(..) | ast::Expr::Array(_)) {
            return Err(not_an_object("missing", *span));
        }
        take_documents(given, *span, &mut ids, &mut documents)?;
    }
    let types = Declarations::of(&insert.source, context);
    let collection = collection(&insert.source)?;
    let (policy, initial) = (insert.policy, insert.initial);
    Ok(Insert { collection, types, documents, policy, initial, query: None, returning: None })
}

/// Checks values that are to be documents, and takes them.
fn take_documents(
    given: Vec<Value>,
    span: Span,
    ids: &mut BTreeSet<DocId>,
    documents: &mut Vec<Object>,
) -> Result<(), DqlError> {
    for value in given {
        check_depth(&value, 0, Some(span))?;
        let type_name = value.type_name();
        let document = value.into_object().ok_or_else(|| not_an_object(type_name, span))?;
        if let Some(id) = document.get("_id") {
            let id = DocId::new(id)
                .map_err(|error| DqlError::new(ErrorCode::StoreDocumentId, error.to_string(), Some(span)))?;
            if !ids.insert(id) {
                let message = "two documents of the statement have this _id".to_owned();
                return Err(DqlError::new(ErrorCode::StoreIdentifierConflict, message, Some(span)));
            }
        }
        documents.push(document);
    }
    Ok(())
}

impl Insert {
    /// Checks the rows of the query whose answer is inserted, and returns the documents.
    ///
    /// Errors: as for documents that are written in the statement.
    pub fn check(&self, rows: Vec<Value>) -> Result<Vec<Object>, DqlError> {
        let mut documents = Vec::with_capacity(rows.len());
        take_documents(rows, Span::default(), &mut BTreeSet::new(), &mut documents)?;
        Ok(documents)
    }
}

fn not_an_object(found: &str, span: Span) -> DqlError {
    let message =
        ["INSERT takes an object or an array of objects, and this is or holds a value of type ", found].concat();
    DqlError::new(ErrorCode::ValidationNotAnObject, message, Some(span))
}

pub(super) fn plan_update(update: &ast::Update, args: &Object, context: &Context<'_>) -> Result<Update, DqlError> {
    let mut binder = Binder::new(args, context, scope(&update.source));
    let mut changed = BTreeSet::new();
    let mut apply = Vec::new();
    for (target, application) in &update.apply {
        let path = changed_path(target, &binder, &mut changed)?;
        let applied = match application {
            Application::Increment(by) => Applied::Increment(binder.bind(by)?),
            Application::PnIncrement(by) => Applied::PnIncrement(binder.bind(by)?),
            Application::Restart(Some(with)) => Applied::Restart(binder.bind(with)?),
            Application::Restart(None) => Applied::Restart(Code::Constant(Some(Value::Int(0)))),
            Application::Splice(parts) => {
                let mut codes =
                    parts.iter().map(|part| binder.bind(part)).collect::<Result<Vec<Code>, _>>()?.into_iter();
                let mut next = || codes.next();
                let (Some(start), Some(delete)) = (next(), next()) else {
                    return Err(DqlError::invalid("SPLICE takes a start and a length", target.span));
                };
                Applied::Splice { start, delete, insert: next() }
            }
        };
        apply.push((path, applied));
    }
    let mut set = Vec::new();
    for (target, expr) in &update.set {
        set.push((changed_path(target, &binder, &mut changed)?, binder.bind(expr)?));
    }
    let mut unset = Vec::new();
    for target in &update.unset {
        unset.push(changed_path(target, &binder, &mut changed)?);
    }
    let filter = binder.bind_optional(update.filter.as_ref())?;
    let source = plan_source(&update.source, filter.as_ref(), args, context)?;
    let returning = plan_returning(&update.returning, &update.source, args, context)?;
    Ok(Update { source, filter, apply, set, unset, returning })
}

/// Returns the path from the document's root; refuses `_id` and a path that the statement changes already.
fn changed_path(
    target: &Target,
    binder: &Binder<'_>,
    changed: &mut BTreeSet<Vec<String>>,
) -> Result<Vec<String>, DqlError> {
    let mut path = target.path.clone();
    if path.len() > 1 && binder.is_qualifier(&path[0]) {
        path.remove(0);
    }
    if path[0] == "_id" {
        let message = "the _id of a document cannot be changed".to_owned();
        return Err(DqlError::new(ErrorCode::StoreDocumentId, message, Some(target.span)));
    }
    if !changed.insert(path.clone()) {
        return Err(DqlError::invalid("the statement changes this field twice", target.span));
    }
    Ok(path)
}

pub(super) fn plan_removal(removal: &ast::Removal, args: &Object, context: &Context<'_>) -> Result<Delete, DqlError> {
    let mut binder = Binder::new(args, context, scope(&removal.source));
    let filter = binder.bind_optional(removal.filter.as_ref())?;
    let source = plan_source(&removal.source, filter.as_ref(), args, context)?;
    let returning = plan_returning(&removal.returning, &removal.source, args, context)?;
    Ok(Delete { source, filter, limit: plan_count(removal.limit.as_ref(), "LIMIT", args, context)?, returning })
}

impl Update {
    pub(super) fn collect_collections(&self, all: &mut Vec<CollectionName>) {
        add(all, &self.source.collection);
        let applied = self.apply.iter().flat_map(|(_, applied)| applied.codes());
        let set = self.set.iter().map(|(_, code)| code);
        let returned = self.returning.iter().flat_map(Returning::codes);
        self.filter.iter().chain(applied).chain(set).chain(returned).for_each(|code| collect_in(code, all));
    }

    pub(crate) fn filter(&self) -> Option<&Code> {
        self.filter.as_ref()
    }
}
