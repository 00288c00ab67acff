//! Carries out one planned statement: reads documents, computes rows or changes, and changes nothing itself.
//!
//! Because evaluation is pure, a statement that meets a block that is not in memory, or that lost a race with another tab,
//! is simply run again.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use crdt::{Doc, EditError, Op, Stamp, Type, Types};
use dql::{
    Access, ConflictPolicy, Context, Declarations, Delete, DqlError, FieldType, Flow, Insert, Needed, PathOp, Plan,
};
use dql::{Select, Source, Statement, Update};
use store::{ReadError, Store};
use value::{CollectionName, DocId, ErrorCode, Failure, Object, Value};

use crate::draft::{Effect, Write};
use crate::packed::Packed;
use crate::random::Random;
use crate::view::{Extent, Row, Scan, View};

/// A statement that was parsed and joined with its arguments.
#[derive(Debug)]
pub struct Prepared {
    /// The text, for the caret line of an error.
    pub text: String,
    /// What to do.
    pub plan: Plan,
}

/// The statements that were parsed last: an application repeats few texts with other arguments.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The newest last.
    statements: VecDeque<(String, Rc<Statement>)>,
}

/// Statements kept.
const PARSED_MAX: usize = 32;
/// Longer texts are not kept: they hold their data, and do not come again.
const PARSED_BYTES_MAX: usize = 1024;

impl Parsed {
    fn statement(&mut self, text: &str) -> Result<Rc<Statement>, DqlError> {
        if let Some((_, statement)) = self.statements.iter().rev().find(|(known, _)| known == text) {
            return Ok(Rc::clone(statement));
        }
        let statement = Rc::new(dql::parse(text)?);
        if text.len() <= PARSED_BYTES_MAX {
            if self.statements.len() == PARSED_MAX {
                self.statements.pop_front();
            }
            self.statements.push_back((text.to_owned(), Rc::clone(&statement)));
        }
        Ok(statement)
    }
}

/// What a statement came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Rows of a SELECT.
    pub rows: Vec<Value>,
    /// Documents that a mutation touched.
    pub mutated: Vec<DocId>,
    /// Changes to commit, in order.
    pub writes: Vec<Write>,
}

/// Why a statement came to nothing.
#[derive(Debug)]
pub enum Stop {
    /// Blocks must be loaded first, or the store failed.
    Blocked(ReadError),
    /// The statement failed; nothing is changed.
    Failed(Failure),
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Stop {
        Stop::Blocked(error)
    }
}

impl Prepared {
    /// Parses a statement and joins it with its arguments.
    pub fn new(parsed: &mut Parsed, text: String, args: Object, context: &Context<'_>) -> Result<Prepared, Failure> {
        let planned = parsed.statement(&text).and_then(|statement| dql::plan_owned(&statement, args, context));
        match planned {
            Ok(plan) => Ok(Prepared { text, plan }),
            Err(error) => Err(error.failure(&text)),
        }
    }

    /// Says whether the statement can change documents.
    pub fn is_write(&self) -> bool {
        !matches!(self.plan, Plan::Select(_) | Plan::Explain(_))
    }

    /// Says whether the statement drops documents here only.
    pub fn is_eviction(&self) -> bool {
        matches!(self.plan, Plan::Evict(_))
    }

    /// Carries the statement out over a view. `stamp` is the transaction's; `random` makes missing `_id`s.
    pub fn run<S: Store>(&self, view: &View<'_, S>, stamp: Stamp, random: &mut Random) -> Result<Outcome, Stop> {
        match &self.plan {
            Plan::Delete(delete) => self.delete(delete, view, Some(stamp)),
            Plan::Evict(evict) => self.delete(evict, view, None),
            Plan::Explain(explanation) => Ok(Outcome { rows: vec![explanation.clone()], ..Outcome::default() }),
            Plan::Insert(insert) => self.insert(insert, view, stamp, random),
            Plan::Select(select) => self.select(select, view),
            Plan::Update(update) => self.update(update, view, stamp),
        }
    }

    fn select<S: Store>(&self, select: &Select, view: &View<'_, S>) -> Result<Outcome, Stop> {
        let mut run = select.start();
        match select.source() {
            None => _ = run.push(&Object::new()).map_err(|error| self.failed(&error))?,
            Some(source) => {
                let types = types_of(&source.types);
                let (deciding, needed) = (select.deciding(), select.needed());
                let extent = if select.stops_early() { Extent::Some } else { Extent::Whole };
                // Reading few fields twice is quicker than reading all fields of what is not wanted.
                let in_two_steps = types.0.is_empty()
                    && deciding != needed
                    && matches!(&deciding, Needed::Named(names) if !names.is_empty());
                read(source, view, extent, |row| {
                    if in_two_steps && !row.fields(&deciding)?.is_some_and(|object| run.wants(&object)) {
                        return Ok(Scan::Continue);
                    }
                    let object = if types.0.is_empty() { row.fields(&needed)? } else { row.typed(&types)? };
                    let Some(object) = object else { return Ok(Scan::Continue) };
                    match run.push(&object).map_err(|error| self.failed(&error))? {
                        Flow::Continue => Ok(Scan::Continue),
                        Flow::Enough => Ok(Scan::Stop),
                    }
                })?;
            }
        }
        let rows = run.finish().map_err(|error| self.failed(&error))?;
        Ok(Outcome { rows, ..Outcome::default() })
    }

    fn insert<S: Store>(
        &self,
        insert: &Insert,
        view: &View<'_, S>,
        stamp: Stamp,
        random: &mut Random,
    ) -> Result<Outcome, Stop> {
        let types = types_of(&insert.types);
        let mut outcome = Outcome::default();
        for document in &insert.documents {
            let id = document.get("_id").map_or_else(|| DocId::new(&Value::Str(random.document_id())), DocId::new);
            let id = id.map_err(|error| failed(ErrorCode::StoreDocumentId, error.to_string()))?;
            let before = view.doc(&insert.collection, &id)?;
            if before.is_absent() && !insert.initial && types.0.is_empty() {
                add_new(&mut outcome, &insert.collection, id, document, stamp)?;
                continue;
            }
            let known = before.doc()?;
            let delta = match (insert.initial, known.is_live(), insert.policy) {
                (true, _, _) => crdt::insert_initial(&known, document, &types),
                (false, false, _) | (false, true, ConflictPolicy::Update) => {
                    crdt::insert(&known, document, &types, stamp)
                }
                (false, true, ConflictPolicy::UpdateLocalDiff) => crdt::upsert_changed(&known, document, &types, stamp),
                (false, true, ConflictPolicy::Nothing) => continue,
                (false, true, ConflictPolicy::Fail) => return Err(conflict(&insert.collection, &id)),
            };
            add(&mut outcome, Touched { collection: &insert.collection, id, before, known }, &delta.map_err(refused)?);
        }
        Ok(outcome)
    }

    fn update<S: Store>(&self, update: &Update, view: &View<'_, S>, stamp: Stamp) -> Result<Outcome, Stop> {
        let source = update.source();
        let types = types_of(&source.types);
        let deciding = update.deciding();
        let mut outcome = Outcome::default();
        read(source, view, Extent::Whole, |row| {
            if types.0.is_empty() && !row.fields(&deciding)?.is_some_and(|object| update.matches(&object)) {
                return Ok(Scan::Continue);
            }
            let Some(object) = row.typed(&types)? else { return Ok(Scan::Continue) };
            let operations = update.operations(&object).map_err(|error| self.failed(&error))?;
            if let Some(operations) = operations {
                let ops: Vec<Op> = operations.into_iter().map(op_of).collect::<Result<_, _>>()?;
                let touched = Touched::of(&source.collection, row)?;
                let delta = crdt::edit(&touched.known, &ops, &types, stamp).map_err(refused)?;
                add(&mut outcome, touched, &delta);
            }
            Ok(Scan::Continue)
        })?;
        Ok(outcome)
    }

    /// Removes what a predicate is true for: for everyone with a stamp, else here only.
    fn delete<S: Store>(&self, delete: &Delete, view: &View<'_, S>, stamp: Option<Stamp>) -> Result<Outcome, Stop> {
        let source = delete.source();
        let types = types_of(&source.types);
        let deciding = delete.deciding();
        let limit = delete.limit().unwrap_or(usize::MAX);
        let mut outcome = Outcome::default();
        read(source, view, Extent::Whole, |row| {
            if outcome.mutated.len() >= limit {
                return Ok(Scan::Stop);
            }
            let object = if types.0.is_empty() { row.fields(&deciding)? } else { row.typed(&types)? };
            let Some(object) = object else { return Ok(Scan::Continue) };
            if delete.matches(&object).map_err(|error| self.failed(&error))? {
                let touched = Touched::of(&source.collection, row)?;
                match stamp {
                    Some(stamp) => {
                        let delta = crdt::delete(&touched.known, stamp);
                        add(&mut outcome, touched, &delta);
                    }
                    None => evict(&mut outcome, touched),
                }
            }
            Ok(Scan::Continue)
        })?;
        Ok(outcome)
    }

    fn failed(&self, error: &DqlError) -> Stop {
        Stop::Failed(error.failure(&self.text))
    }
}

/// Reads the documents that a source names.
fn read<S: Store>(
    source: &Source,
    view: &View<'_, S>,
    extent: Extent,
    mut visit: impl FnMut(Row<'_>) -> Result<Scan, Stop>,
) -> Result<(), Stop> {
    match &source.access {
        Access::All => view.scan(&source.collection, extent, visit),
        Access::Ids(ids) => {
            let mut seen = BTreeSet::new();
            // A value that cannot identify identifies nothing.
            for id in ids.iter().filter_map(|id| DocId::new(id).ok()) {
                if !seen.insert(id.clone()) {
                    continue;
                }
                let doc = view.doc(&source.collection, &id)?;
                if visit(Row::new(&id, &doc))? == Scan::Stop {
                    break;
                }
            }
            Ok(())
        }
        access @ (Access::Index(_) | Access::Intersection(_) | Access::Union(_)) => {
            view.find(&source.collection, access, extent, visit)
        }
    }
}

/// A document that a statement changes.
struct Touched<'a> {
    collection: &'a CollectionName,
    id: DocId,
    before: Packed,
    /// The same, built.
    known: Doc,
}

impl<'a> Touched<'a> {
    fn of(collection: &'a CollectionName, row: Row<'_>) -> Result<Touched<'a>, ReadError> {
        let before = row.packed();
        Ok(Touched { collection, id: row.id(), known: before.doc()?, before })
    }
}

/// Notes a touched document; a delta that changes nothing is not written.
fn add(outcome: &mut Outcome, touched: Touched<'_>, delta: &Doc) {
    let Touched { collection, id, before, known: mut after } = touched;
    outcome.mutated.push(id.clone());
    if after.join(delta) {
        let effect = Effect::Joined { delta: Packed::new(delta), after: Packed::new(&after), newest: delta.newest() };
        outcome.writes.push(Write { collection: collection.clone(), id, before, effect });
    }
}

/// Notes a document of which nothing was known; it is its own delta.
fn add_new(
    outcome: &mut Outcome,
    collection: &CollectionName,
    id: DocId,
    document: &Object,
    stamp: Stamp,
) -> Result<(), Stop> {
    let delta = Packed::of(&crdt::insert_new(document, stamp).map_err(refused)?);
    let effect = Effect::Joined { after: delta.clone(), delta, newest: stamp.hlc };
    outcome.mutated.push(id.clone());
    outcome.writes.push(Write { collection: collection.clone(), id, before: Packed::default(), effect });
    Ok(())
}

/// Notes a document that is dropped here.
fn evict(outcome: &mut Outcome, touched: Touched<'_>) {
    let Touched { collection, id, before, .. } = touched;
    outcome.mutated.push(id.clone());
    outcome.writes.push(Write { collection: collection.clone(), id, before, effect: Effect::Evicted });
}

fn types_of(declarations: &Declarations) -> Types {
    let type_of = |field: &FieldType| match field {
        FieldType::Attachment => Type::Attachment,
        FieldType::Counter => Type::Counter,
        FieldType::List => Type::List,
        FieldType::Map => Type::Map,
        FieldType::PnCounter => Type::PnCounter,
        FieldType::Register => Type::Register,
        FieldType::Text => Type::Text,
        FieldType::Xml => Type::Xml,
    };
    Types(declarations.0.iter().map(|(path, field)| (path.clone(), type_of(field))).collect())
}

/// Counters count in whole numbers that a float holds exactly.
fn whole(number: f64) -> Result<i64, Stop> {
    if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 {
        return Ok(number as i64);
    }
    let message = format!("a counter counts in whole numbers of at most 2^53, and this one is {number}");
    Err(failed(ErrorCode::QueryUnsupported, message))
}

fn op_of(operation: PathOp) -> Result<Op, Stop> {
    Ok(match operation {
        PathOp::Increment { path, by } => Op::Increment { path, by: whole(by)? },
        PathOp::PnIncrement { path, by } => Op::PnIncrement { path, by: whole(by)? },
        PathOp::Restart { path, with } => Op::Restart { path, with: whole(with)? },
        PathOp::Set { path, value } => Op::Set { path, value },
        PathOp::Unset { path } => Op::Unset { path },
    })
}

fn conflict(collection: &CollectionName, id: &DocId) -> Stop {
    let id = match id.to_value() {
        Value::Str(text) => format!("'{text}'"),
        Value::Int(int) => int.to_string(),
        other => format!("{other:?}"),
    };
    let message = format!(
        "Identifier conflict on document {id}: it exists in collection {collection}; \
         choose ON ID CONFLICT DO UPDATE, DO UPDATE_LOCAL_DIFF or DO NOTHING"
    );
    failed(ErrorCode::StoreIdentifierConflict, message)
}

fn refused(error: EditError) -> Stop {
    Stop::Failed(error.into())
}

fn failed(code: ErrorCode, message: String) -> Stop {
    Stop::Failed(Failure::new(code, message))
}
