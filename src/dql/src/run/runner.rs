//! Runs a whole query over a [`Reader`]: SELECT, joins, set operators, sub-queries.
//!
//! The reader is the only thing that can fail, because it may have to wait for what is not in memory; then the run is over,
//! and the caller starts it again. Evaluation itself has no errors.
//!
//! Invariants: a sub-query that does not look at the row around it is answered once a run, and so is a query of WITH;
//! recursion is as deep as the statement is nested.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use value::{Object, Value};

use super::{Flow, Place, SelectRun, order_keys, project};
use crate::aggregate::{Key, count_of};
use crate::ast::SetOperator;
use crate::evaluate::{Answerer, Answers, Around, Environment, FieldRow, Subquery, SubqueryKind};
use crate::needed::Needed;
use crate::plan::{Body, From, Query, Select, Set, Source};

/// Where documents come from.
pub trait Reader {
    /// Why documents cannot be read now.
    type Stop;

    /// Shows the documents that a source asks for, until the taker has enough.
    fn read(&self, request: Request<'_>, taker: &mut dyn Taker) -> Result<(), Self::Stop>;

    /// Returns the reason to stop when a statement makes more rows than [`ROWS_MAX`] on its way to the answer; `None`: it
    /// goes on all the same.
    fn too_many_rows(&self) -> Option<Self::Stop> {
        None
    }

    /// Returns how many documents a collection has, if that is known without reading them.
    fn count(&self, _source: &Source) -> Result<Option<u64>, Self::Stop> {
        Ok(None)
    }
}

/// How many rows joins, set operators and sub-queries of one statement make at most: a join without an index, or a union of
/// a union, multiplies them, and nothing else ends that.
pub const ROWS_MAX: u64 = 1_000_000;

/// How many documents one statement reads at most before it begins another sub-query or side of a join: one that looks at
/// the row around it and finds its documents by a scan reads all of them for each row.
pub const READS_MAX: u64 = 20_000_000;

/// What is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The collection, and which of its documents.
    pub source: &'a Source,
    /// The fields that decide whether a document is wanted; then `Taker::wants` is asked first.
    pub deciding: Option<&'a Needed>,
    /// The fields that a taken document has to have.
    pub needed: &'a Needed,
    /// All documents will probably be read.
    pub whole: bool,
    /// Few of those that are wanted will be taken, because there is a LIMIT.
    pub few: bool,
}

/// Takes documents.
pub trait Taker {
    /// Says whether a document is wanted, from its deciding fields.
    fn wants(&mut self, _object: &Object) -> bool {
        true
    }

    /// Takes a document in.
    fn take(&mut self, object: &Object) -> Flow;

    /// As `take`, of a document that the caller does not need any more.
    fn take_owned(&mut self, object: Object) -> Flow {
        self.take(&object)
    }

    /// As `wants`, where the fields are at hand without the document.
    fn wants_fields(&mut self, _row: FieldRow<'_>) -> bool {
        true
    }

    /// Takes note of a row and its number, for `chosen`; `false` where only documents can be chosen from.
    fn preview(&mut self, _row: FieldRow<'_>, _number: usize) -> bool {
        false
    }

    /// Returns the numbers of the rows whose documents are wanted, of all that were previewed; ascending.
    fn chosen(&mut self) -> Vec<usize> {
        Vec::new()
    }

    /// As `take`, by the needed fields; `None`: the document itself is wanted.
    fn take_fields(&mut self, _row: FieldRow<'_>) -> Option<Flow> {
        None
    }
}

impl Taker for SelectRun<'_> {
    fn wants(&mut self, object: &Object) -> bool {
        SelectRun::wants(self, object)
    }

    fn take(&mut self, object: &Object) -> Flow {
        self.push(object)
    }

    fn take_owned(&mut self, object: Object) -> Flow {
        self.push_owned(object)
    }

    fn wants_fields(&mut self, row: FieldRow<'_>) -> bool {
        SelectRun::wants_fields(self, row)
    }

    fn preview(&mut self, row: FieldRow<'_>, number: usize) -> bool {
        SelectRun::preview(self, row, number)
    }

    fn chosen(&mut self) -> Vec<usize> {
        SelectRun::chosen(self)
    }

    fn take_fields(&mut self, row: FieldRow<'_>) -> Option<Flow> {
        Some(self.push_fields(row))
    }
}

/// Collects documents.
impl Taker for Vec<Object> {
    fn take(&mut self, object: &Object) -> Flow {
        self.take_owned(object.clone())
    }

    fn take_owned(&mut self, object: Object) -> Flow {
        self.push(object);
        Flow::Continue
    }

    fn take_fields(&mut self, row: FieldRow<'_>) -> Option<Flow> {
        let environment = Environment { fields: Some(row), ..Environment::default() };
        Some(self.take_owned(environment.object()))
    }
}

/// One run of a statement.
pub struct Runner<'r, R: Reader> {
    pub(super) reader: &'r R,
    /// The answers of sub-queries that are the same for every row, and of queries of WITH, by address of the plan.
    answers: RefCell<BTreeMap<usize, Rc<Answers>>>,
    /// Why a sub-query could not be answered.
    stop: RefCell<Option<R::Stop>>,
    read: Cell<u64>,
    /// Rows that were made on the way to the answer.
    made: Cell<u64>,
}

impl<'r, R: Reader> Runner<'r, R> {
    /// Starts a run.
    pub fn new(reader: &'r R) -> Runner<'r, R> {
        Runner { reader, answers: RefCell::default(), stop: RefCell::new(None), read: Cell::new(0), made: Cell::new(0) }
    }

    /// Returns the rows of a query.
    pub fn query(&self, query: &Query) -> Result<Vec<Value>, R::Stop> {
        self.rows(query, None)
    }

    /// Returns what the expressions of a mutation are evaluated with; ask `stopped` after each evaluation.
    pub fn around(&self) -> Around<'_> {
        Around { outer: None, answerer: Some(self) }
    }

    /// Fails if a sub-query could not be answered since the last time.
    pub fn stopped(&self) -> Result<(), R::Stop> {
        self.stop.borrow_mut().take().map_or(Ok(()), Err)
    }

    /// Returns how many documents were read.
    pub fn documents_read(&self) -> u64 {
        self.read.get()
    }

    /// Takes note of rows that were made on the way to the answer.
    pub(super) fn make(&self, rows: usize) -> Result<(), R::Stop> {
        self.made.set(self.made.get().saturating_add(rows as u64));
        if self.made.get() > ROWS_MAX || self.read.get() > READS_MAX {
            self.reader.too_many_rows().map_or(Ok(()), Err)
        } else {
            Ok(())
        }
    }

    fn rows(&self, query: &Query, outer: Option<&Environment<'_>>) -> Result<Vec<Value>, R::Stop> {
        let rows = match &query.body {
            Body::Select(select) => self.select(select, outer),
            Body::Set(set) => self.set(set, outer),
        };
        self.stopped()?;
        rows
    }

    fn select(&self, select: &Select, outer: Option<&Environment<'_>>) -> Result<Vec<Value>, R::Stop> {
        self.make(usize::from(outer.is_some()))?;
        if select.counts_all()
            && let Some(source) = select.source()
            && let Some(count) = self.reader.count(source)?
        {
            return Ok(counted(select, count));
        }
        let around = Around { outer, answerer: Some(self) };
        let mut run = SelectRun::new(select, around);
        match &select.from {
            From::Collection(source) => self.collection(select, source, around, &mut run)?,
            From::Join(join) => self.join(join, around, &mut |row| run.push(row))?,
            From::Nothing => _ = run.push(&Object::new()),
            From::Query(query) => {
                for row in &self.named(query)?.values {
                    if run.push(row.as_object().unwrap_or(&Object::new())) == Flow::Enough {
                        break;
                    }
                }
            }
        }
        Ok(run.finish())
    }

    fn collection(
        &self,
        select: &Select,
        source: &Source,
        around: Around<'_>,
        run: &mut SelectRun<'_>,
    ) -> Result<(), R::Stop> {
        let (deciding, needed) = (select.deciding(), select.needed());
        let other = select.access(around).map(|access| Source { access, ..source.clone() });
        let source = other.as_ref().unwrap_or(source);
        // Reading few fields twice is quicker than reading all fields of what is not wanted; with types all are built.
        let twice = source.types.is_empty()
            && deciding != needed
            && matches!(&deciding, Needed::Named(names) if !source.access.decides(names));
        let request = Request {
            source,
            deciding: twice.then_some(&deciding),
            needed: &needed,
            whole: !select.stops_early(),
            few: select.limit.is_some() && select.grouping.is_none(),
        };
        self.reader.read(request, &mut Counting { taker: run, runner: self, asks: twice })
    }

    /// Returns the rows of a query that other queries read like a collection.
    pub(super) fn named(&self, query: &Rc<Query>) -> Result<Rc<Answers>, R::Stop> {
        let address = Rc::as_ptr(query).addr();
        if let Some(known) = self.answers.borrow().get(&address) {
            return Ok(Rc::clone(known));
        }
        let answers = Rc::new(Answers::new(self.rows(query, None)?));
        self.answers.borrow_mut().insert(address, Rc::clone(&answers));
        Ok(answers)
    }

    fn set(&self, set: &Set, outer: Option<&Environment<'_>>) -> Result<Vec<Value>, R::Stop> {
        let mut rows = self.rows(&set.first, outer)?;
        for (index, (operator, query)) in set.rest.iter().enumerate() {
            let others = self.rows(query, outer)?;
            self.make(others.len())?;
            combine(*operator, &mut rows, others);
            // UNION leaves each row once whatever it is given, so of many in a row the last does it for all.
            let is_last = !matches!(set.rest.get(index + 1), Some((SetOperator::Union, _)));
            if is_last && *operator != SetOperator::UnionAll {
                let mut seen = BTreeSet::new();
                rows.retain(|row| seen.insert(Key(vec![Some(row.clone())])));
            }
        }
        let around = Around { outer, answerer: Some(self) };
        if !set.order.is_empty() {
            rows.sort_by_cached_key(|row| {
                let environment = Environment { document: row.as_object(), around, ..Environment::default() };
                Place { keys: order_keys(&set.order, environment), tie: () }
            });
        }
        let limit = set.limit.unwrap_or(usize::MAX);
        Ok(rows.into_iter().skip(set.offset).take(limit).collect())
    }
}

impl<R: Reader> Answerer for Runner<'_, R> {
    fn answer(&self, subquery: &Subquery, outer: Environment<'_>) -> Option<Rc<Answers>> {
        // Once something cannot be read, nothing that is computed counts any more.
        if self.stop.borrow().is_some() {
            return None;
        }
        let address = Rc::as_ptr(&subquery.query).addr();
        if !subquery.correlated
            && let Some(known) = self.answers.borrow().get(&address)
        {
            return Some(Rc::clone(known));
        }
        let mut rows = match self.rows(&subquery.query, Some(&outer)) {
            Ok(rows) => rows,
            Err(stop) => {
                *self.stop.borrow_mut() = Some(stop);
                return None;
            }
        };
        if subquery.kind == SubqueryKind::Scalar {
            // The first row counts, even if its value is missing.
            rows.truncate(1);
        }
        let is_value = subquery.query.columns() == Some(1) && subquery.kind != SubqueryKind::Exists;
        let value = |row: Value| match row {
            Value::Object(fields) if is_value => fields.into_iter().next().map(|(_, value)| value),
            row => Some(row),
        };
        let answers = Rc::new(Answers::new(rows.into_iter().filter_map(value).collect()));
        if !subquery.correlated {
            self.answers.borrow_mut().insert(address, Rc::clone(&answers));
        }
        Some(answers)
    }
}

/// Counts what is read, and ends a read when a sub-query could not be answered.
pub(super) struct Counting<'a, 'r, T: ?Sized, R: Reader> {
    pub taker: &'a mut T,
    pub runner: &'a Runner<'r, R>,
    /// Every document is shown to `wants` first, and is counted there.
    pub asks: bool,
}

impl<T: ?Sized, R: Reader> Counting<'_, '_, T, R> {
    fn count(&self) {
        self.runner.read.set(self.runner.read.get() + 1);
    }

    fn go_on(&self, flow: Flow) -> Flow {
        match flow {
            Flow::Continue if self.runner.stop.borrow().is_some() => Flow::Enough,
            flow => flow,
        }
    }
}

impl<T: Taker + ?Sized, R: Reader> Taker for Counting<'_, '_, T, R> {
    fn wants(&mut self, object: &Object) -> bool {
        self.count();
        self.taker.wants(object)
    }

    fn take(&mut self, object: &Object) -> Flow {
        if !self.asks {
            self.count();
        }
        let flow = self.taker.take(object);
        self.go_on(flow)
    }

    fn take_owned(&mut self, object: Object) -> Flow {
        if !self.asks {
            self.count();
        }
        let flow = self.taker.take_owned(object);
        self.go_on(flow)
    }

    fn wants_fields(&mut self, row: FieldRow<'_>) -> bool {
        self.count();
        self.taker.wants_fields(row)
    }

    fn preview(&mut self, row: FieldRow<'_>, number: usize) -> bool {
        let previews = self.taker.preview(row, number);
        if previews {
            self.count();
        }
        previews
    }

    fn chosen(&mut self) -> Vec<usize> {
        // They were counted when they were previewed.
        self.asks = true;
        self.taker.chosen()
    }

    fn take_fields(&mut self, row: FieldRow<'_>) -> Option<Flow> {
        let flow = self.taker.take_fields(row)?;
        if !self.asks {
            self.count();
        }
        Some(self.go_on(flow))
    }
}

/// The answer of `SELECT COUNT(*)`.
fn counted(select: &Select, count: u64) -> Vec<Value> {
    let slots = [Some(count_of(count))];
    let environment = Environment { slots: &slots, ..Environment::default() };
    vec![Value::Object(project(&select.projection, environment))]
}

/// Joins the rows of two queries; a row may stand there more than once.
fn combine(operator: SetOperator, rows: &mut Vec<Value>, others: Vec<Value>) {
    let key = |row: &Value| Key(vec![Some(row.clone())]);
    let known: BTreeSet<Key> = match operator {
        SetOperator::Except | SetOperator::Intersect => others.iter().map(key).collect(),
        SetOperator::Union | SetOperator::UnionAll => BTreeSet::new(),
    };
    match operator {
        SetOperator::Except => rows.retain(|row| !known.contains(&key(row))),
        SetOperator::Intersect => rows.retain(|row| known.contains(&key(row))),
        SetOperator::Union | SetOperator::UnionAll => rows.extend(others),
    }
}
