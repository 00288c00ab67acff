//! One run of a SELECT: documents in, rows out.
//!
//! Order of work: WHERE, groups, HAVING, window functions, projection, DISTINCT, ORDER BY, OFFSET, LIMIT.
//!
//! Invariants: rows keep the order of the documents where ORDER BY leaves them equal or is absent; with ORDER BY and LIMIT no
//! more than the wanted rows are held; a row is an object, and a field that is MISSING is not in it.

mod runner;
mod window;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use value::{Object, Value};

use crate::aggregate::{Accumulator, Key, compare};
use crate::evaluate::{Around, Code, Environment};
use crate::plan::{Grouping, Item, Select};

pub use runner::{Reader, Request, Runner, Taker};

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
    groups: BTreeMap<Key, Vec<Accumulator>>,
    seen: BTreeSet<Key>,
    rows: Vec<Value>,
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
            groups: BTreeMap::new(),
            seen: BTreeSet::new(),
            rows: Vec::new(),
            sorted: BTreeMap::new(),
            came: 0,
            skipped: 0,
        }
    }

    /// Says whether a document can add to the answer, from its deciding fields alone (`Select::deciding`).
    pub fn wants(&self, object: &Object) -> bool {
        if !self.holds(object) {
            return false;
        }
        // A distinct row that comes too late must still be seen, or its equal would take a place that is not its own.
        let by_place = self.select.grouping.is_none() && self.select.windows.is_empty() && !self.select.distinct;
        let full = by_place && self.wanted().is_some_and(|wanted| self.sorted.len() >= wanted);
        match self.sorted.last_key_value().filter(|_| full) {
            Some((last, _)) => self.place(self.environment(object)) < *last,
            None => true,
        }
    }

    /// Takes a document in; it includes `_id`.
    pub fn push(&mut self, object: &Object) -> Flow {
        if self.select.limit == Some(0) {
            return Flow::Enough;
        }
        if !self.holds(object) {
            return Flow::Continue;
        }
        match &self.select.grouping {
            Some(grouping) => {
                self.group(grouping, object);
                Flow::Continue
            }
            None if !self.select.windows.is_empty() => {
                self.windowed.push(object.clone());
                Flow::Continue
            }
            None => {
                let environment = Environment { document: Some(object), around: self.around, ..Environment::default() };
                self.add(environment)
            }
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
            let groups = std::mem::take(&mut self.groups).into_iter().map(|(Key(mut slots), accumulators)| {
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

    fn holds(&self, object: &Object) -> bool {
        Code::holds(self.select.filter.as_ref(), object, self.around)
    }

    fn environment<'b>(&self, object: &'b Object) -> Environment<'b>
    where
        'a: 'b,
    {
        Environment { document: Some(object), around: self.around, ..Environment::default() }
    }

    fn group(&mut self, grouping: &Grouping, object: &Object) {
        let environment = Environment { document: Some(object), around: self.around, ..Environment::default() };
        let key = Key(grouping.keys.iter().map(|key| key.value(environment)).collect());
        // Of equal keys one is shown, whichever comes first.
        if key.has_forms()
            && let Some((known, _)) = self.groups.get_key_value(&key)
            && key.is_preferred_to(known)
        {
            let accumulators = self.groups.remove(&key).expect("it was just found");
            self.groups.insert(key.clone(), accumulators);
        }
        let accumulators = self.groups.entry(key).or_insert_with(|| vec![Accumulator::default(); grouping.calls.len()]);
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
        if self.select.has_order() {
            self.sorted.insert(self.place(environment), value);
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
        Place { keys: order_keys(self.select, environment), tie: self.came }
    }

    /// Returns how many rows of the sorted answer are held.
    fn wanted(&self) -> Option<usize> {
        self.select.limit.map(|limit| limit.saturating_add(self.select.offset))
    }
}

/// Returns the keys of a row in the order, each with whether it descends.
pub(crate) fn order_keys(select: &Select, environment: Environment<'_>) -> Vec<(Option<Value>, bool)> {
    select.order.iter().map(|(key, descending)| (key.value(environment), *descending)).collect()
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
