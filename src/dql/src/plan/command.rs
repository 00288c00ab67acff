//! The plans of statements about the store: indexes, parameters, advice.

use value::{CollectionName, Object, Value};

use super::source::{collection, is_system};
use super::{Access, Plan, plan};
use crate::ast::{self, Case, Statement};
use crate::bind::{Binder, Scope};
use crate::context::{Context, IndexKey};
use crate::error::DqlError;
use crate::evaluate::{Environment, pattern};

/// An index to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewIndex {
    /// Its collection.
    pub collection: CollectionName,
    /// Its name.
    pub name: String,
    /// Its fields; never empty, each once.
    pub keys: Vec<IndexKey>,
    /// One of that name is left as it is, instead of an error.
    pub if_absent: bool,
}

/// An index to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldIndex {
    /// Its collection.
    pub collection: CollectionName,
    /// Its name.
    pub name: String,
    /// That there is none is no error.
    pub if_exists: bool,
}

/// A change of system parameters. Names are as written; they are the same in any case of letters.
#[derive(Clone, Debug, PartialEq)]
pub enum Alteration {
    /// Back to the default.
    Reset(String),
    /// All back to their defaults.
    ResetAll,
    /// Another value.
    Set(String, Value),
}

/// The system parameters that are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    name: Option<String>,
    pattern: Option<(String, Case)>,
}

impl Shown {
    pub(super) fn of(show: &ast::Show) -> Shown {
        match show {
            ast::Show::All(pattern) => Shown { name: None, pattern: pattern.clone() },
            ast::Show::One(name, _) => Shown { name: Some(name.clone()), pattern: None },
        }
    }

    /// Returns the one name that is asked for.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Says whether a parameter is among them.
    pub fn includes(&self, parameter: &str) -> bool {
        match (&self.name, &self.pattern) {
            (Some(name), _) => name.eq_ignore_ascii_case(parameter),
            (None, Some((pattern, case))) => pattern::matches(parameter, pattern, None, *case),
            (None, None) => true,
        }
    }
}

/// What indexes would help a statement.
#[derive(Clone, Debug)]
pub struct Advice {
    /// `{"advice": {"suggestedIndexes": …, "existingIndexes": …, "outcome": …}}`
    pub row: Value,
    /// The indexes to make; empty unless AND PROVISION was written.
    pub provision: Vec<NewIndex>,
}

pub(super) fn plan_new_index(create: &ast::CreateIndex) -> Result<NewIndex, DqlError> {
    let mut keys: Vec<IndexKey> = Vec::new();
    for (path, descending) in &create.keys {
        if keys.iter().any(|key| key.path == *path) {
            return Err(DqlError::invalid("the index has this field twice", create.span));
        }
        if *path == ["_id"] {
            let message = "documents are found by _id without an index; put _id in no index";
            return Err(DqlError::invalid(message, create.span));
        }
        keys.push(IndexKey { path: path.clone(), descending: *descending });
    }
    if !create.source.types.is_empty() {
        return Err(DqlError::unsupported("an index over declared types", create.source.span));
    }
    let collection = stored(&create.source)?;
    Ok(NewIndex { collection, name: create.name.clone(), keys, if_absent: create.if_absent })
}

pub(super) fn plan_old_index(drop: &ast::DropIndex) -> Result<OldIndex, DqlError> {
    let collection = stored(&drop.source)?;
    Ok(OldIndex { collection, name: drop.name.clone(), if_exists: drop.if_exists })
}

/// Returns a collection that documents are stored in.
fn stored(source: &ast::Source) -> Result<CollectionName, DqlError> {
    if is_system(&source.collection) {
        return Err(DqlError::unsupported("an index on a system collection", source.span));
    }
    collection(source)
}

pub(super) fn plan_alteration(
    alter: &ast::AlterSystem,
    args: &Object,
    context: &Context<'_>,
) -> Result<Alteration, DqlError> {
    Ok(match alter {
        ast::AlterSystem::ResetAll => Alteration::ResetAll,
        ast::AlterSystem::Set(name, None, _) => Alteration::Reset(name.clone()),
        ast::AlterSystem::Set(name, Some(value), span) => {
            let code = Binder::new(args, context, Scope::Nothing("ALTER SYSTEM")).bind(value)?;
            let value = code.value(Environment::default());
            let missing = || DqlError::invalid("a system parameter cannot be missing; RESET it", *span);
            Alteration::Set(name.clone(), value.ok_or_else(missing)?)
        }
    })
}

/// Returns the context with the directives of the whole statement.
pub(super) fn directed<'a>(
    directives: &ast::Expr,
    args: &Object,
    context: &Context<'a>,
) -> Result<Context<'a>, DqlError> {
    let code = Binder::new(args, context, Scope::Nothing("directives")).bind(directives)?;
    let mut context = context.clone();
    if let Some(Value::Object(directives)) = code.value(Environment::default()) {
        context.directives.extend(directives);
    }
    Ok(context)
}

pub(super) fn plan_advice(advise: &ast::Advise, args: &Object, context: &Context<'_>) -> Result<Advice, DqlError> {
    let plan = plan(&advise.statement, args, context)?;
    let mut suggested = Vec::new();
    if let Some(wish) = wish(&advise.statement, &plan, args, context)? {
        suggested.push(wish);
    }
    let existing = context.indexes.iter().filter(|index| reads(&plan, &index.collection));
    let existing = existing.map(|index| Value::from([index.collection.as_str(), ".", &index.name].concat().as_str()));
    let outcome = match (suggested.is_empty(), advise.provision) {
        (true, _) => "no index would help",
        (false, true) => "the suggested indexes are made",
        (false, false) => "the suggested indexes would help",
    };
    let advice: Object = [
        (
            "suggestedIndexes".to_owned(),
            Value::Array(suggested.iter().map(|(index, reason)| row(index, reason)).collect()),
        ),
        ("existingIndexes".to_owned(), Value::Array(existing.collect())),
        ("outcome".to_owned(), Value::from(outcome)),
    ]
    .into();
    let row = Value::Object([("advice".to_owned(), Value::Object(advice))].into());
    let provision = if advise.provision { suggested.into_iter().map(|(index, _)| index).collect() } else { Vec::new() };
    Ok(Advice { row, provision })
}

fn reads(plan: &Plan, collection: &CollectionName) -> bool {
    match plan {
        Plan::Select(query) => query.collections().contains(collection),
        Plan::Delete(delete) | Plan::Evict(delete) => delete.source().collection == *collection,
        Plan::Update(update) => update.source().collection == *collection,
        _ => false,
    }
}

fn row(index: &NewIndex, reason: &str) -> Value {
    let create = Statement::CreateIndex(ast::CreateIndex {
        if_absent: true,
        name: index.name.clone(),
        source: super::source::plain(index.collection.as_str()),
        keys: index.keys.iter().map(|key| (key.path.clone(), key.descending)).collect(),
        span: crate::error::Span::default(),
    });
    Value::Object(
        [
            ("collection".to_owned(), Value::from(index.collection.as_str())),
            ("reason".to_owned(), Value::from(reason)),
            ("statement".to_owned(), Value::from(crate::print(&create).as_str())),
        ]
        .into(),
    )
}

/// Returns the index that would turn a scan of all documents into a scan of an index, and why.
fn wish(
    statement: &Statement,
    plan: &Plan,
    args: &Object,
    context: &Context<'_>,
) -> Result<Option<(NewIndex, String)>, DqlError> {
    let (source, filter, order) = match plan {
        Plan::Select(query) => match query.select().and_then(|select| select.source().map(|source| (select, source))) {
            Some((select, source)) => (source, select.filter.as_ref(), select.order.as_slice()),
            None => return Ok(None),
        },
        Plan::Delete(delete) | Plan::Evict(delete) => (delete.source(), delete.filter(), [].as_slice()),
        Plan::Update(update) => (update.source(), update.filter(), [].as_slice()),
        _ => return Ok(None),
    };
    if source.access != Access::All || is_system(source.collection.as_str()) {
        return Ok(None);
    }
    let (mut equal, mut ranged) = super::access::wishes(filter);
    let reason = if equal.is_empty() && ranged.is_empty() { "ORDER BY with LIMIT" } else { "WHERE" };
    let mut keys: Vec<IndexKey> = Vec::new();
    equal.append(&mut ranged.drain(..ranged.len().min(1)).collect());
    for path in equal {
        keys.push(IndexKey { path, descending: false });
    }
    if keys.is_empty() {
        for (code, descending) in order {
            let crate::evaluate::Code::Field(path) = code else { break };
            keys.push(IndexKey { path: path.clone(), descending: *descending });
        }
    }
    keys.retain(|key| key.path != ["_id"]);
    keys.truncate(4);
    if keys.is_empty() {
        return Ok(None);
    }
    let parts = keys.iter().map(|key| key.path.join("_"));
    let name = ["ix".to_owned()].into_iter().chain(parts).collect::<Vec<_>>().join("_");
    let index = NewIndex { collection: source.collection.clone(), name, keys, if_absent: true };
    // It is only advised if planning would use it.
    let made = crate::context::Index {
        collection: index.collection.clone(),
        name: index.name.clone(),
        number: u64::MAX,
        keys: index.keys.clone(),
    };
    let imagined = [made];
    let imagined = Context { indexes: &imagined, ..context.clone() };
    let with = super::plan(statement, args, &imagined)?;
    let used = match &with {
        Plan::Select(query) => query.select().and_then(|select| select.source()),
        Plan::Delete(delete) | Plan::Evict(delete) => Some(delete.source()),
        Plan::Update(update) => Some(update.source()),
        _ => None,
    };
    let helps = used.is_some_and(|source| source.access != Access::All);
    Ok(helps.then(|| (index, [reason, " reads all documents of ", source.collection.as_str()].concat())))
}
