//! One run of a SELECT: documents in, rows out.
//!
//! Order of work: WHERE, groups, HAVING, window functions, projection, DISTINCT, ORDER BY, OFFSET, LIMIT.
//!
//! Invariants: rows keep the order of the documents where ORDER BY leaves them equal or is absent; with ORDER BY and LIMIT no
//! more than the wanted rows are held; a row is an object, and a field that is MISSING is not in it.

mod groups;
mod join;
mod runner;
mod window;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use value::{Object, Value};

use crate::aggregate::{Accumulator, Key, compare};
use crate::evaluate::{Around, Code, Environment, FieldRow};
use crate::plan::{Grouping, Item, Select};
use groups::Groups;

pub use runner::{ROWS_MAX, Reader, Request, Runner, Taker};

/// Whether a run wants more documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// More documents may add rows.
    Continue,
    /// No further document can change the answer.
    Enough,
}

/// A SELECT that takes documents in.
#[derive(Debug)]
pub struct SelectRun<'a> {
    select: &'a Select,
    around: Around<'a>,
    /// The documents that wait for their window functions.
    windowed: Vec<Object>,
    groups: Groups,
    seen: BTreeSet<Key>,
    rows: Vec<Value>,
    /// The places of the rows that go first of those previewed, and their numbers.
    previewed: BTreeMap<Place<usize>, usize>,
    /// The rows with ORDER BY.
    sorted: BTreeMap<Place<usize>, Value>,
    /// How many rows came with ORDER BY.
    came: usize,
    /// How many rows without ORDER BY were left out for OFFSET.
    skipped: usize,
}

/// The place of a row in the order: its keys, each with whether it descends, and then what decides among equal ones.
#[derive(Clone, Debug)]
pub(crate) struct Place<T> {
    pub keys: Vec<(Option<Value>, bool)>,
    pub tie: T,
}

impl<T> Place<T> {
    /// Compares by the keys alone.
    pub fn compare_keys(&self, keys: &[(Option<Value>, bool)]) -> Ordering {
        for ((a, descending), (b, _)) in self.keys.iter().zip(keys) {
            match compare(a.as_ref(), b.as_ref()) {
                Ordering::Equal => {}
                ordering if *descending => return ordering.reverse(),
                ordering => return ordering,
            }
        }
        Ordering::Equal
    }
}

impl<T: Ord> Ord for Place<T> {
    fn cmp(&self, other: &Place<T>) -> Ordering {
        self.compare_keys(&other.keys).then_with(|| self.tie.cmp(&other.tie))
    }
}

impl<T: Ord> PartialOrd for Place<T> {
    fn partial_cmp(&self, other: &Place<T>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> PartialEq for Place<T> {
    fn eq(&self, other: &Place<T>) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T: Ord> Eq for Place<T> {}

impl<'a> SelectRun<'a> {
    pub(crate) fn new(select: &'a Select, around: Around<'a>) -> SelectRun<'a> {
        SelectRun {
            select,
            around,
            windowed: Vec::new(),
            groups: Groups::default(),
            seen: BTreeSet::new(),
            rows: Vec::new(),
            previewed: BTreeMap::new(),
            sorted: BTreeMap::new(),
            came: 0,
            skipped: 0,
        }
    }

    /// Says whether a document can add to the answer, from its deciding fields alone (`Select::deciding`).
    pub fn wants(&self, object: &Object) -> bool {
        self.wants_row(self.environment(Some(object), None))
    }

    /// As `wants`.
    pub fn wants_fields(&self, row: FieldRow<'_>) -> bool {
        self.wants_row(self.environment(None, Some(row)))
    }

    fn wants_row(&self, environment: Environment<'_>) -> bool {
        // The place of most rows is known to be too late before WHERE is.
        !self.comes_too_late(environment) && self.holds(environment)
    }

    /// Says whether as many rows are held as are wanted, and all go before this one.
    fn comes_too_late(&self, environment: Environment<'_>) -> bool {
        self.is_chosen_by_place() && self.goes_last(&self.sorted, environment)
    }

    /// Says whether ORDER BY and LIMIT alone decide which rows are wanted.
    fn is_chosen_by_place(&self) -> bool {
        // A distinct row that comes too late must still be seen, or its equal would take a place that is not its own.
        self.select.grouping.is_none() && self.select.windows.is_empty() && !self.select.distinct
    }

    fn goes_last<T>(&self, held: &BTreeMap<Place<usize>, T>, environment: Environment<'_>) -> bool {
        if self.wanted().is_none_or(|wanted| held.len() < wanted) {
            return false;
        }
        let Some((last, _)) = held.last_key_value() else { return false };
        for ((key, descending), (held, _)) in self.select.order.iter().zip(&last.keys) {
            match compare(key.evaluate(environment).as_deref(), held.as_ref()) {
                Ordering::Equal => {}
                ordering => return ordering.is_gt() != *descending,
            }
        }
        true
    }

    /// Takes note of a row by its deciding fields, so that of all rows only those with a place in the answer are taken;
    /// `false` where more than ORDER BY and LIMIT decides that.
    pub fn preview(&mut self, row: FieldRow<'_>, number: usize) -> bool {
        if !self.is_chosen_by_place() || !self.select.has_order() || self.select.limit.is_none() {
            return false;
        }
        let environment = self.environment(None, Some(row));
        if !self.goes_last(&self.previewed, environment) && self.holds(environment) {
            let place = Place { tie: number, ..self.place(environment) };
            self.previewed.insert(place, number);
            if self.wanted().is_some_and(|wanted| self.previewed.len() > wanted) {
                self.previewed.pop_last();
            }
        }
        true
    }

    /// Returns the numbers of the previewed rows that have a place in the answer, ascending.
    pub fn chosen(&mut self) -> Vec<usize> {
        let mut numbers: Vec<usize> = std::mem::take(&mut self.previewed).into_values().collect();
        numbers.sort_unstable();
        numbers
    }

    /// Takes a document in; it includes `_id`.
    pub fn push(&mut self, object: &Object) -> Flow {
        self.push_row(self.environment(Some(object), None))
    }

    /// As `push`; a row that is the document itself is not copied.
    pub fn push_owned(&mut self, object: Object) -> Flow {
        let select = self.select;
        let is_row = matches!(select.projection.as_slice(), [Item::All])
            && select.grouping.is_none()
            && select.windows.is_empty()
            && !select.distinct;
        if !is_row || select.limit == Some(0) {
            return self.push(&object);
        }
        let environment = self.environment(Some(&object), None);
        if !self.holds(environment) || self.comes_too_late(environment) {
            return Flow::Continue;
        }
        let place = select.has_order().then(|| self.place(environment));
        self.add_row(place, Value::Object(object))
    }

    /// Takes a document in by the fields that are needed; not of a SELECT that needs all.
    pub fn push_fields(&mut self, row: FieldRow<'_>) -> Flow {
        self.push_row(self.environment(None, Some(row)))
    }

    fn push_row(&mut self, environment: Environment<'_>) -> Flow {
        if self.select.limit == Some(0) {
            return Flow::Enough;
        }
        if !self.holds(environment) {
            return Flow::Continue;
        }
        match &self.select.grouping {
            Some(grouping) => {
                self.group(grouping, environment);
                Flow::Continue
            }
            None if !self.select.windows.is_empty() => {
                self.windowed.push(environment.object());
                Flow::Continue
            }
            None if self.comes_too_late(environment) => Flow::Continue,
            None => self.add(environment),
        }
    }

    /// Returns the rows of groups that are complete: each its keys and then its aggregates.
    pub(crate) fn of_groups(select: &Select, groups: impl Iterator<Item = Vec<Option<Value>>>) -> Vec<Value> {
        let mut run = SelectRun::new(select, Around::default());
        if let Some(grouping) = &select.grouping {
            run.add_groups(grouping, groups);
        }
        run.in_order()
    }

    /// Returns the rows.
    pub fn finish(mut self) -> Vec<Value> {
        if let Some(grouping) = &self.select.grouping {
            let groups =
                std::mem::take(&mut self.groups).into_sorted().into_iter().map(|(Key(mut slots), accumulators)| {
                    let results = accumulators.iter().zip(&grouping.calls);
                    slots.extend(results.map(|(accumulator, call)| accumulator.result(call)));
                    slots
                });
            self.add_groups(grouping, groups);
        }
        if !self.windowed.is_empty() {
            self.finish_windows();
        }
        self.in_order()
    }

    fn in_order(self) -> Vec<Value> {
        if self.select.has_order() {
            return self.sorted.into_values().skip(self.select.offset).collect();
        }
        self.rows
    }

    fn holds(&self, environment: Environment<'_>) -> bool {
        self.select.filter.as_ref().is_none_or(|filter| filter.is_true(environment))
    }

    fn environment<'b>(&self, document: Option<&'b Object>, fields: Option<FieldRow<'b>>) -> Environment<'b>
    where
        'a: 'b,
    {
        Environment { document, fields, around: self.around, ..Environment::default() }
    }

    fn group(&mut self, grouping: &Grouping, environment: Environment<'_>) {
        let accumulators = self.groups.of(&grouping.keys, environment, grouping.calls.len());
        for (accumulator, call) in accumulators.iter_mut().zip(&grouping.calls) {
            accumulator.push(call, environment);
        }
    }

    fn finish_windows(&mut self) {
        let documents = std::mem::take(&mut self.windowed);
        let slots = window::slots(&self.select.windows, &documents, self.around);
        for (document, slots) in documents.iter().zip(&slots) {
            let environment =
                Environment { document: Some(document), slots, around: self.around, ..Environment::default() };
            if self.add(environment) == Flow::Enough {
                return;
            }
        }
    }

    fn add_groups(&mut self, grouping: &Grouping, groups: impl Iterator<Item = Vec<Option<Value>>>) {
        let mut groups = groups.peekable();
        // Without keys there is a group even where there are no rows.
        let empty = (grouping.keys.is_empty() && groups.peek().is_none())
            .then(|| grouping.calls.iter().map(|call| Accumulator::default().result(call)).collect());
        for slots in empty.into_iter().chain(groups) {
            let environment = Environment { slots: &slots, around: self.around, ..Environment::default() };
            if grouping.having.as_ref().is_none_or(|having| having.is_true(environment))
                && self.select.limit != Some(0)
                && self.add(environment) == Flow::Enough
            {
                return;
            }
        }
    }

    /// Adds the row of a document or of a group.
    fn add(&mut self, environment: Environment<'_>) -> Flow {
        let value = Value::Object(project(&self.select.projection, environment));
        if self.select.distinct && !self.seen.insert(Key(vec![Some(value.clone())])) {
            return Flow::Continue;
        }
        let place = self.select.has_order().then(|| self.place(environment));
        self.add_row(place, value)
    }

    /// Adds a row, at its place if there is an order.
    fn add_row(&mut self, place: Option<Place<usize>>, value: Value) -> Flow {
        if let Some(place) = place {
            self.sorted.insert(place, value);
            self.came += 1;
            if self.wanted().is_some_and(|wanted| self.sorted.len() > wanted) {
                self.sorted.pop_last();
            }
            return Flow::Continue;
        }
        if self.skipped < self.select.offset {
            self.skipped += 1;
            return Flow::Continue;
        }
        self.rows.push(value);
        if self.select.limit.is_some_and(|limit| self.rows.len() >= limit) { Flow::Enough } else { Flow::Continue }
    }

    /// Returns where a row that comes now stands in the order.
    fn place(&self, environment: Environment<'_>) -> Place<usize> {
        Place { keys: order_keys(&self.select.order, environment), tie: self.came }
    }

    /// Returns how many rows of the sorted answer are held.
    fn wanted(&self) -> Option<usize> {
        self.select.limit.map(|limit| limit.saturating_add(self.select.offset))
    }
}

/// Returns the keys of a row in the order, each with whether it descends.
pub(crate) fn order_keys(order: &[(Code, bool)], environment: Environment<'_>) -> Vec<(Option<Value>, bool)> {
    order.iter().map(|(key, descending)| (key.value(environment), *descending)).collect()
}

/// Makes a row.
pub(crate) fn project(items: &[Item], environment: Environment<'_>) -> Object {
    let mut row = Object::new();
    for item in items {
        match item {
            Item::All => row.extend(environment.document.cloned().unwrap_or_default()),
            Item::AllOf(alias) => {
                let document = environment.document.and_then(|row| row.get(alias)).and_then(Value::as_object);
                row.extend(document.cloned().unwrap_or_default());
            }
            Item::Field(name, code) => {
                if let Some(value) = code.value(environment) {
                    row.insert(name.clone(), value);
                }
            }
            Item::Without(name) => {
                row.remove(name);
            }
        }
    }
    row
}
