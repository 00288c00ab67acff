//! Carries out one planned statement: reads documents, computes rows or changes, and changes nothing itself.
//!
//! Because evaluation is pure, a statement that meets a block that is not in memory, or that lost a race with another tab,
//! is simply run again.

use std::cell::Cell;
use std::rc::Rc;

use crdt::{Doc, EditError, Op, Stamp, Type, Types};
use dql::{Access, ConflictPolicy, Context, Declarations, Delete, DqlError, FieldType, Insert, Needed, PathOp, Plan};
use dql::{Returning, Runner, Source, Update};
use store::{ReadError, Store};
use value::{CollectionName, DocId, ErrorCode, Failure, Object, Value};

use crate::documents::Documents;
use crate::draft::{Effect, Write};
use crate::packed::Packed;
use crate::parsed::{Parsed, Planned};
use crate::random::Random;
use crate::system::{SYSTEM, SystemRows};
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
    /// DELETE removes the fields that are known, and a concurrent update survives as a part of the document.
    pub deletes_fields: bool,
}

/// Says whether a text begins with PROFILE, or with a comment that it may stand behind.
fn may_be_profiled(text: &str) -> bool {
    const PROFILE: &[u8] = b"PROFILE";
    let start = text.trim_start().as_bytes();
    start.first().is_some_and(|first| b"/-".contains(first))
        || start.get(..PROFILE.len()).is_some_and(|word| word.eq_ignore_ascii_case(PROFILE))
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
        // The host's clock is asked for PROFILE only: it costs as much as planning does.
        let clock = || if may_be_profiled(&text) { context.zones.nanoseconds() } else { 0 };
        let started = clock();
        match parsed.plan(&text, args, context, generation) {
            Ok(Planned { plan, reads_system }) => {
                let planned_ns = clock().saturating_sub(started);
                Ok(Prepared { reads_system, text, plan, planned_ns, deletes_fields: false })
            }
            Err(error) => Err(error.failure(&text)),
        }
    }

    /// Returns the collection that it deletes from.
    pub fn deletes_from(&self) -> Option<&CollectionName> {
        match work(&self.plan) {
            Plan::Delete(delete) => Some(&delete.source().collection),
            _ => None,
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
        let work = Work {
            text: &self.text,
            view,
            runner: Runner::new(&documents),
            stamp,
            deletes_fields: self.deletes_fields,
            looked_at: Cell::default(),
        };
        let started = system.clock();
        let outcome = work.run(self::work(&self.plan), random);
        // What was computed while something was missing is not true, not even that the statement fails.
        documents.all_read()?;
        let mut outcome = outcome?;
        if let Plan::Profile(_) = &*self.plan {
            let elapsed_ns = system.clock().saturating_sub(started);
            let documents = work.runner.documents_read() + work.looked_at.get();
            outcome.rows.push(self.profile(documents, &outcome, elapsed_ns));
        }
        Ok(outcome)
    }

    /// Returns the row that PROFILE adds: the plan, and what it took.
    fn profile(&self, documents: u64, outcome: &Outcome, elapsed_ns: u64) -> Value {
        let count = |count: usize| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
        let stats = Value::from([
            ("documentsIn", Value::Int(i64::try_from(documents).unwrap_or(i64::MAX))),
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
    deletes_fields: bool,
    /// Documents that a mutation has looked at, those of its sub-queries apart.
    looked_at: Cell<u64>,
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
        refuse_system(&insert.collection)?;
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
            if before.is_absent() && !insert.initial && types.is_empty() && insert.returning.is_none() {
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
            if types.is_empty() {
                let Some(object) = row.fields(&deciding)? else { return Ok(Scan::Continue) };
                self.look_at_one();
                if !update.matches(&object, around) {
                    self.runner.stopped()?;
                    return Ok(Scan::Continue);
                }
            }
            let Some(object) = row.typed(&types)? else { return Ok(Scan::Continue) };
            if !types.is_empty() {
                self.look_at_one();
            }
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
            let object = if types.is_empty() { row.fields(&deciding)? } else { row.typed(&types)? };
            let Some(object) = object else { return Ok(Scan::Continue) };
            self.look_at_one();
            let matches = delete.matches(&object, around);
            self.runner.stopped()?;
            if matches {
                if let Some(returning) = delete.returning() {
                    let before = if types.is_empty() { row.fields(&Needed::All)? } else { Some(object) };
                    outcome.rows.push(returning.row(&before.unwrap_or_default(), around));
                }
                let touched = Touched::of(&source.collection, row)?;
                match stamp {
                    Some(_) if self.deletes_fields => {
                        let delta = crdt::delete_fields(&touched.known);
                        add(&mut outcome, touched, &delta);
                    }
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

    fn look_at_one(&self) {
        self.looked_at.set(self.looked_at.get() + 1);
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
    refuse_system(&source.collection)?;
    match &source.access {
        Access::All => view.scan(&source.collection, extent, visit),
        access => view.find(&source.collection, access, extent, visit),
    }
}

/// Refuses to change what the peer itself makes.
fn refuse_system(collection: &CollectionName) -> Result<(), Stop> {
    if collection.as_str().starts_with(SYSTEM) {
        let message = format!("{collection} is made by the peer and cannot be changed");
        return Err(failed(ErrorCode::QueryUnsupported, message));
    }
    Ok(())
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
    let declared = declarations.fields.iter().map(|(path, field)| (path.clone(), type_of(field)));
    Types { declared: declared.collect(), strict: declarations.strict }
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
        PathOp::Splice { path, start, delete, insert } => Op::Splice { path, start, delete, insert },
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
