//! Carries out one planned statement: reads documents, computes rows or changes, and changes nothing itself.
//!
//! Because evaluation is pure, a statement that meets a block that is not in memory, or that lost a race with another tab,
//! is simply run again.

use std::collections::BTreeMap;
use std::rc::Rc;

use crdt::{Doc, EditError, Op, Stamp, Type, Types};
use dql::{Access, ConflictPolicy, Context, Declarations, Delete, DqlError, FieldType, Insert, Needed, PathOp, Plan};
use dql::{Returning, Runner, Source, Statement, Update};
use store::{ReadError, Store};
use value::{CollectionName, DocId, ErrorCode, Failure, Object, Value};

use crate::documents::Documents;
use crate::draft::{Effect, Write};
use crate::packed::Packed;
use crate::random::Random;
use crate::system::{SYSTEM, SystemRows, object, reads_system, text};
use crate::view::{self, Extent, Row, Scan, View};

/// A statement that was parsed and joined with its arguments.
#[derive(Debug)]
pub struct Prepared {
    /// The text, for the caret line of an error.
    pub text: String,
    /// What to do.
    pub plan: Rc<Plan>,
    /// How long it took to read and plan it; 0 where the host has no clock for that.
    pub planned_ns: u64,
    /// It names a collection that the peer makes.
    pub reads_system: bool,
}

/// The statements that were parsed last: an application repeats few texts with other arguments.
#[derive(Debug)]
pub struct Parsed {
    statements: BTreeMap<String, Known>,
    /// Counts uses, so that the oldest is known.
    uses: u64,
    max: usize,
}

/// A statement that was parsed.
#[derive(Debug)]
struct Known {
    statement: Rc<Statement>,
    /// When it was used last.
    used: u64,
    /// Its last plan: for which arguments, and of which generation of indexes.
    plan: Option<(Object, u64, Rc<Plan>)>,
}

impl Default for Parsed {
    fn default() -> Parsed {
        Parsed { statements: BTreeMap::new(), uses: 0, max: 4096 }
    }
}

/// Longer texts are not kept: they hold their data, and do not come again.
const PARSED_BYTES_MAX: usize = 1024;

impl Parsed {
    fn statement(&mut self, text: &str) -> Result<Rc<Statement>, DqlError> {
        self.uses += 1;
        if let Some(known) = self.statements.get_mut(text) {
            known.used = self.uses;
            return Ok(Rc::clone(&known.statement));
        }
        let statement = Rc::new(dql::parse(text)?);
        if text.len() <= PARSED_BYTES_MAX && self.max > 0 {
            self.make_room(self.max - 1);
            let known = Known { statement: Rc::clone(&statement), used: self.uses, plan: None };
            self.statements.insert(text.to_owned(), known);
        }
        Ok(statement)
    }

    /// Returns the plan of a statement, the last one if nothing has changed that it depends on.
    fn plan(&mut self, text: &str, args: Object, context: &Context<'_>, generation: u64) -> Result<Rc<Plan>, DqlError> {
        if let Some(Known { plan: Some((known, of, plan)), .. }) = self.statements.get(text)
            && *of == generation
            && *known == args
        {
            return Ok(Rc::clone(plan));
        }
        let statement = self.statement(text)?;
        if !is_repeatable(text, &statement, &args) {
            return dql::plan_owned(&statement, args, context).map(Rc::new);
        }
        let plan = Rc::new(dql::plan(&statement, &args, context)?);
        if let Some(known) = self.statements.get_mut(text) {
            known.plan = Some((args, generation, Rc::clone(&plan)));
        }
        Ok(plan)
    }

    /// Forgets plans, which depend on parameters.
    pub fn forget_plans(&mut self) {
        self.statements.values_mut().for_each(|known| known.plan = None);
    }

    /// Keeps at most so many.
    pub fn limit(&mut self, max: usize) {
        self.max = max;
        self.make_room(max);
    }

    /// Drops the half that was used longest ago once there are more than so many.
    fn make_room(&mut self, max: usize) {
        if self.statements.len() <= max {
            return;
        }
        let mut uses: Vec<u64> = self.statements.values().map(|known| known.used).collect();
        uses.sort_unstable();
        let oldest = uses[uses.len() - max / 2 - 1];
        self.statements.retain(|_, known| known.used > oldest);
    }

    /// Returns the statements for `system:shared_statements`.
    pub fn rows(&self) -> Vec<Object> {
        self.statements.keys().map(|statement| object([("statement", text(statement))])).collect()
    }
}

/// Says whether a plan may serve the next time: not one that holds data, nor one that holds the time.
fn is_repeatable(text: &str, statement: &Statement, args: &Object) -> bool {
    const CLOCK: &[u8] = b"clock";
    let is_small = |value: &Value| match value {
        Value::Str(text) => text.len() <= 256,
        Value::Array(_) | Value::Bytes(_) | Value::Object(_) => false,
        Value::Bool(_) | Value::Float(_) | Value::Int(_) | Value::Null => true,
    };
    text.len() <= PARSED_BYTES_MAX
        && matches!(statement, Statement::Delete(_) | Statement::Select(_) | Statement::Update(_))
        && args.len() <= 16
        && args.values().all(is_small)
        && !text.as_bytes().windows(CLOCK.len()).any(|word| word.eq_ignore_ascii_case(CLOCK))
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
    ///
    /// `generation` says of which indexes the context speaks: with the same number they are the same.
    pub fn new(
        parsed: &mut Parsed,
        text: String,
        args: Object,
        context: &Context<'_>,
        generation: u64,
    ) -> Result<Prepared, Failure> {
        let started = context.zones.nanoseconds();
        match parsed.plan(&text, args, context, generation) {
            Ok(plan) => {
                let is_profiled = matches!(*plan, Plan::Profile(_));
                let ended = if is_profiled { context.zones.nanoseconds() } else { started };
                let planned_ns = ended.saturating_sub(started);
                Ok(Prepared { reads_system: reads_system(&plan), text, plan, planned_ns })
            }
            Err(error) => Err(error.failure(&text)),
        }
    }

    /// Says whether the statement can change documents.
    pub fn is_write(&self) -> bool {
        matches!(work(&self.plan), Plan::Delete(_) | Plan::Evict(_) | Plan::Insert(_) | Plan::Update(_))
    }

    /// Says whether the statement is about the store and not about documents: `Engine::command` carries it out.
    pub fn is_about_the_store(&self) -> bool {
        matches!(
            *self.plan,
            Plan::Advise(_) | Plan::AlterSystem(_) | Plan::CreateIndex(_) | Plan::DropIndex(_) | Plan::Show(_)
        )
    }

    /// Says whether the statement drops documents here only.
    pub fn is_eviction(&self) -> bool {
        matches!(work(&self.plan), Plan::Evict(_))
    }

    /// Carries the statement out over a view. `stamp` is the transaction's; `random` makes missing `_id`s.
    pub fn run<S: Store>(
        &self,
        view: &View<'_, S>,
        system: &SystemRows,
        stamp: Stamp,
        random: &mut Random,
    ) -> Result<Outcome, Stop> {
        let documents = Documents::new(view, system);
        let work = Work { text: &self.text, view, runner: Runner::new(&documents), stamp };
        let started = system.clock();
        let mut outcome = work.run(self::work(&self.plan), random)?;
        documents.all_read()?;
        if let Plan::Profile(_) = &*self.plan {
            let elapsed_ns = system.clock().saturating_sub(started);
            outcome.rows.push(self.profile(&work.runner, &outcome, elapsed_ns));
        }
        Ok(outcome)
    }

    /// Returns the row that PROFILE adds: the plan, and what it took.
    fn profile<R: dql::Reader>(&self, runner: &Runner<'_, R>, outcome: &Outcome, elapsed_ns: u64) -> Value {
        let count = |count: usize| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
        let documents = usize::try_from(runner.documents_read()).unwrap_or(usize::MAX);
        let stats = Value::from([
            ("documentsIn", count(documents)),
            ("documentsOut", count(outcome.rows.len())),
            ("mutated", count(outcome.mutated.len())),
        ]);
        let nanoseconds = |nanoseconds: u64| Value::Int(i64::try_from(nanoseconds).unwrap_or(i64::MAX));
        let times = Value::from([("plan", nanoseconds(self.planned_ns)), ("execute", nanoseconds(elapsed_ns))]);
        let mut profile = dql::explained(&self.plan).into_object().unwrap_or_default();
        profile.insert("#stats".to_owned(), stats);
        profile.insert("times".to_owned(), times);
        Value::from([("~request_profile", Value::Object(profile))])
    }
}

/// Returns what is done: under PROFILE the statement itself.
fn work(plan: &Plan) -> &Plan {
    match plan {
        Plan::Profile(inner) => inner,
        plan => plan,
    }
}

/// One run of a statement.
struct Work<'a, S: Store> {
    text: &'a str,
    view: &'a View<'a, S>,
    runner: Runner<'a, Documents<'a, S>>,
    stamp: Stamp,
}

impl<S: Store> Work<'_, S> {
    fn run(&self, plan: &Plan, random: &mut Random) -> Result<Outcome, Stop> {
        match plan {
            Plan::Delete(delete) => self.delete(delete, Some(self.stamp)),
            Plan::Evict(evict) => self.delete(evict, None),
            Plan::Explain(explanation) => Ok(Outcome { rows: vec![explanation.clone()], ..Outcome::default() }),
            Plan::Insert(insert) => self.insert(insert, random),
            Plan::Select(query) => Ok(Outcome { rows: self.runner.query(query)?, ..Outcome::default() }),
            Plan::Update(update) => self.update(update),
            Plan::Advise(_) | Plan::AlterSystem(_) | Plan::CreateIndex(_) | Plan::DropIndex(_) | Plan::Show(_) => {
                panic!("statements about the store are carried out by the engine")
            }
            Plan::Profile(_) => panic!("PROFILE stands in front of a statement about documents"),
        }
    }

    fn insert(&self, insert: &Insert, random: &mut Random) -> Result<Outcome, Stop> {
        let (view, stamp) = (self.view, self.stamp);
        let types = types_of(&insert.types);
        let mut outcome = Outcome::default();
        let selected = match &insert.query {
            Some(query) => insert.check(self.runner.query(query)?).map_err(|error| self.failed(&error))?,
            None => Vec::new(),
        };
        for document in insert.documents.iter().chain(&selected) {
            let id = document.get("_id").map_or_else(|| DocId::new(&Value::Str(random.document_id())), DocId::new);
            let id = id.map_err(|error| failed(ErrorCode::StoreDocumentId, error.to_string()))?;
            let before = view.doc(&insert.collection, &id)?;
            if before.is_absent() && !insert.initial && types.0.is_empty() && insert.returning.is_none() {
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
            let touched = Touched { collection: &insert.collection, id, before, known };
            let returning = Returned { returning: insert.returning.as_ref(), types: &types };
            self.add(&mut outcome, touched, &delta.map_err(refused)?, returning)?;
        }
        Ok(outcome)
    }

    fn update(&self, update: &Update) -> Result<Outcome, Stop> {
        let (view, stamp, around) = (self.view, self.stamp, self.runner.around());
        let source = update.source();
        let types = types_of(&source.types);
        let deciding = update.deciding();
        let mut outcome = Outcome::default();
        read(source, view, Extent::Whole, |row| {
            if types.0.is_empty() && !row.fields(&deciding)?.is_some_and(|object| update.matches(&object, around)) {
                self.runner.stopped()?;
                return Ok(Scan::Continue);
            }
            let Some(object) = row.typed(&types)? else { return Ok(Scan::Continue) };
            let operations = update.operations(&object, around).map_err(|error| self.failed(&error))?;
            self.runner.stopped()?;
            if let Some(operations) = operations {
                let ops: Vec<Op> = operations.into_iter().map(op_of).collect::<Result<_, _>>()?;
                let touched = Touched::of(&source.collection, row)?;
                let delta = crdt::edit(&touched.known, &ops, &types, stamp).map_err(refused)?;
                self.add(&mut outcome, touched, &delta, Returned { returning: update.returning(), types: &types })?;
            }
            Ok(Scan::Continue)
        })?;
        Ok(outcome)
    }

    /// Removes what a predicate is true for: for everyone with a stamp, else here only.
    fn delete(&self, delete: &Delete, stamp: Option<Stamp>) -> Result<Outcome, Stop> {
        let (view, around) = (self.view, self.runner.around());
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
            let matches = delete.matches(&object, around);
            self.runner.stopped()?;
            if matches {
                if let Some(returning) = delete.returning() {
                    let before = if types.0.is_empty() { row.fields(&Needed::All)? } else { Some(object) };
                    outcome.rows.push(returning.row(&before.unwrap_or_default(), around));
                }
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

    /// Notes a touched document, and the row that RETURNING makes of it.
    fn add(
        &self,
        outcome: &mut Outcome,
        touched: Touched<'_>,
        delta: &Doc,
        returned: Returned<'_>,
    ) -> Result<(), Stop> {
        let id = touched.id.clone();
        let after = add(outcome, touched, delta);
        if let Some(returning) = returned.returning {
            let object = view::object(&after, &id, returned.types).unwrap_or_default();
            outcome.rows.push(returning.row(&object, self.runner.around()));
            self.runner.stopped()?;
        }
        Ok(())
    }

    fn failed(&self, error: &DqlError) -> Stop {
        Stop::Failed(error.failure(self.text))
    }
}

/// What RETURNING asks for, and the types that it shows.
#[derive(Clone, Copy)]
struct Returned<'a> {
    returning: Option<&'a Returning>,
    types: &'a Types,
}

/// Reads the documents that a source names.
fn read<S: Store>(
    source: &Source,
    view: &View<'_, S>,
    extent: Extent,
    visit: impl FnMut(Row<'_>) -> Result<Scan, Stop>,
) -> Result<(), Stop> {
    if source.collection.as_str().starts_with(SYSTEM) {
        let message = format!("{} is made by the peer and cannot be changed", source.collection);
        return Err(failed(ErrorCode::QueryUnsupported, message));
    }
    match &source.access {
        Access::All => view.scan(&source.collection, extent, visit),
        access => view.find(&source.collection, access, extent, visit),
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

/// Notes a touched document, and returns it as it is now; a delta that changes nothing is not written.
fn add(outcome: &mut Outcome, touched: Touched<'_>, delta: &Doc) -> Doc {
    let Touched { collection, id, before, known: mut after } = touched;
    outcome.mutated.push(id.clone());
    if after.join(delta) {
        let effect = Effect::Joined { delta: Packed::new(delta), after: Packed::new(&after), newest: delta.newest() };
        outcome.writes.push(Write { collection: collection.clone(), id, before, effect });
    }
    after
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

pub(crate) fn types_of(declarations: &Declarations) -> Types {
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

pub(crate) fn failed(code: ErrorCode, message: String) -> Stop {
    Stop::Failed(Failure::new(code, message))
}
