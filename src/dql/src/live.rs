//! A live query: the answer of a plain SELECT, kept up to date change by change.
//!
//! In go the documents once, as a scan finds them, and then each change of a document: as it was and as it is, with the
//! fields that the statement needs. Out comes whether the answer may have changed, and the answer itself, in which rows that
//! did not change are the same allocation as before.
//!
//! Invariants: the answer is the one that a fresh evaluation over the collection would give, value by value and form by
//! form; equal places are decided by the order of the documents' keys. Nothing is kept that cannot be shown soon: with LIMIT
//! only the wanted rows and a reserve, with aggregates no rows at all. What cannot be known from that is `Effect::Stale`, and
//! the state is thrown away and made anew by a scan. `docs/dql.md`, Live queries.

mod group;
mod join;
mod row;
mod tally;
mod values;

use std::collections::BTreeSet;
use std::rc::Rc;

use value::{DocId, Object, Value};

use crate::evaluate::{Around, Code, Environment};
use crate::needed::Needed;
use crate::plan::{Access, Select};
use group::Groups;
pub(crate) use join::Lookups;
pub use join::{Found, LiveJoin};
use row::{Distinct, Rows};

/// Most rows, groups and values that a live query holds. Beyond, evaluating again is the lesser evil.
const HELD_MAX: usize = 50_000;
/// Most bytes that its rows take, roughly.
const HELD_BYTES_MAX: usize = 32 << 20;

/// The state of one live query. The SELECT is handed in again with each call, and is always the same.
#[derive(Debug)]
pub struct Live {
    state: State,
    /// The documents that USE IDS or the predicate names.
    ids: Option<BTreeSet<DocId>>,
    /// Changes since the size was last looked at.
    unsized_changes: u32,
}

#[derive(Debug)]
enum State {
    Distinct(Distinct),
    Groups(Groups),
    /// LIMIT 0.
    Nothing,
    Rows(Rows),
}

/// What a change did to the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing.
    None,
    /// It may be another; look at it.
    Touched,
    /// It cannot be told without a scan.
    Stale,
    /// The state is too large to be kept.
    TooLarge,
}

/// Whether a scan's document is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Neither it nor any that follows.
    Enough,
    /// It is not.
    Skip,
    /// It is.
    Take,
}

impl Live {
    /// Starts without documents. The SELECT must be `Query::plain`, or rows of a join are its documents.
    pub fn new(select: &Select) -> Live {
        let state = match &select.grouping {
            _ if select.limit == Some(0) => State::Nothing,
            Some(_) => State::Groups(Groups::default()),
            None if select.distinct => State::Distinct(Distinct::default()),
            None => State::Rows(Rows::new(select)),
        };
        let ids = match select.source().map(|source| &source.access) {
            Some(Access::Ids(ids)) => Some(ids.iter().filter_map(|id| DocId::new(id).ok()).collect()),
            _ => None,
        };
        Live { state, ids, unsized_changes: 0 }
    }

    /// Returns the fields from which `look` decides.
    pub fn deciding(select: &Select) -> Needed {
        let by_place = select.limit.is_some() && select.grouping.is_none() && !select.distinct;
        let order = select.order.iter().map(|(key, _)| key).filter(|_| by_place);
        Needed::of(select.filter.iter().chain(order))
    }

    /// Says whether the answer is a number that is known without reading: give it to `take_count` instead of a scan.
    pub fn is_count(select: &Select) -> bool {
        select.counts_all()
    }

    /// Takes the number of all documents.
    pub fn take_count(&mut self, count: u64) {
        if let State::Groups(groups) = &mut self.state {
            groups.take_count(count);
        }
    }

    /// Says whether a document that a scan has found is wanted.
    pub fn look(&mut self, select: &Select, object: &Object) -> Look {
        match &mut self.state {
            State::Nothing => Look::Enough,
            _ if !Code::holds(select.filter.as_ref(), object, Around::default()) => Look::Skip,
            State::Rows(rows) => rows.look(select, environment(object)),
            State::Distinct(_) | State::Groups(_) => Look::Take,
        }
    }

    /// Takes a document of a scan that `look` wanted.
    pub fn take(&mut self, select: &Select, id: DocId, object: &Object) -> Effect {
        let effect = self.turn(select, id, None, Some(object));
        self.weigh(effect)
    }

    /// Says whether a document can be in the answer, from its `_id` alone.
    pub fn may_hold(&self, id: &DocId) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(id))
    }

    /// Takes a change: a document with its needed fields as it was and as it is, where WHERE is true for it.
    pub fn change(&mut self, select: &Select, id: &DocId, before: Option<&Object>, after: Option<&Object>) -> Effect {
        if !self.may_hold(id) {
            return Effect::None;
        }
        let effect = self.turn(select, id.clone(), before, after);
        let effect = self.weigh(effect);
        match &self.state {
            State::Rows(rows) if effect < Effect::Stale && rows.is_short() => Effect::Stale,
            State::Distinct(_) | State::Groups(_) | State::Nothing | State::Rows(_) => effect,
        }
    }

    fn turn(&mut self, select: &Select, id: DocId, before: Option<&Object>, after: Option<&Object>) -> Effect {
        let (before, after) = (before.map(environment), after.map(environment));
        match &mut self.state {
            State::Distinct(distinct) => distinct.change(select, id, before, after),
            State::Groups(groups) => groups.change(select, before, after),
            State::Nothing => Effect::None,
            State::Rows(rows) => rows.change(select, id, before, after),
        }
    }

    /// Looks at the size now and then: counting what groups hold takes a walk over them.
    fn weigh(&mut self, effect: Effect) -> Effect {
        self.unsized_changes += 1;
        if self.unsized_changes < 1_024 {
            return effect;
        }
        self.unsized_changes = 0;
        if self.is_too_large() { Effect::TooLarge } else { effect }
    }

    /// Says whether more is held than should be kept.
    pub fn is_too_large(&self) -> bool {
        let (held, bytes) = match &self.state {
            State::Distinct(distinct) => distinct.held(),
            State::Groups(groups) => (groups.held(), 0),
            State::Nothing => (0, 0),
            State::Rows(rows) => rows.held(),
        };
        held > HELD_MAX || bytes > HELD_BYTES_MAX
    }

    /// Returns the answer.
    pub fn answer(&mut self, select: &Select) -> Vec<Rc<Value>> {
        let limit = select.limit.unwrap_or(usize::MAX);
        match &mut self.state {
            State::Distinct(distinct) => distinct.rows().skip(select.offset).take(limit).cloned().collect(),
            State::Groups(groups) => groups.answer(select),
            State::Nothing => Vec::new(),
            State::Rows(rows) => rows.rows().skip(select.offset).take(limit).cloned().collect(),
        }
    }
}

/// Returns roughly how many bytes a value takes in memory.
fn weight(value: &Value) -> usize {
    let inside = match value {
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Bool(_) | Value::Float(_) | Value::Int(_) | Value::Null => 0,
        Value::Bytes(bytes) => bytes.len(),
        Value::Object(fields) => fields.iter().map(|(name, value)| 40 + name.len() + weight(value)).sum(),
        Value::Str(text) => text.len(),
    };
    inside + 40
}

fn environment(object: &Object) -> Environment<'_> {
    Environment { document: Some(object), ..Environment::default() }
}
