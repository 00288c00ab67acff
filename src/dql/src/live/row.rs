//! Rows that are documents: in their order, as many as can be shown soon.

use std::collections::BTreeMap;
use std::rc::Rc;

use value::{DocId, Value, order};

use super::{Effect, Look, weight};
use crate::aggregate::Key;
use crate::evaluate::Environment;
use crate::plan::{Access, Select};
use crate::run::{Place, order_keys, project};

/// Rows that are held beyond those that LIMIT shows, at least; as many again where LIMIT shows more.
const RESERVE: usize = 32;

/// Rows by their place; with LIMIT the first of them.
#[derive(Debug)]
pub(super) struct Rows {
    sorted: BTreeMap<Place<DocId>, Rc<Value>>,
    bytes: usize,
    /// How many LIMIT and OFFSET ask for.
    wanted: Option<usize>,
    /// All rows are held. Otherwise those that are not come after the last that is.
    whole: bool,
    /// A scan finds the rows in their order, but for equal keys.
    scanned_in_order: bool,
}

impl Rows {
    pub fn new(select: &Select) -> Rows {
        let by_key = select.order.is_empty() && !matches!(select.source().map(|s| &s.access), Some(Access::Index(_)));
        Rows {
            sorted: BTreeMap::new(),
            bytes: 0,
            wanted: select.limit.map(|limit| limit.saturating_add(select.offset)),
            whole: true,
            scanned_in_order: select.is_ordered || by_key,
        }
    }

    pub fn look(&mut self, select: &Select, environment: Environment<'_>) -> Look {
        let Some((last, _)) = self.sorted.last_key_value().filter(|_| self.is_full()) else { return Look::Take };
        let place = last.compare_keys(&order_keys(&select.order, environment));
        // Documents that come in the order of their keys come after all equal ones.
        if place.is_lt() || self.scanned_in_order && select.order.is_empty() {
            self.whole = false;
            return if self.scanned_in_order { Look::Enough } else { Look::Skip };
        }
        Look::Take
    }

    /// Says whether fewer rows are held than are wanted, though there are more.
    pub fn is_short(&self) -> bool {
        !self.whole && self.wanted.is_some_and(|wanted| self.sorted.len() < wanted)
    }

    pub fn change(
        &mut self,
        select: &Select,
        id: DocId,
        before: Option<Environment<'_>>,
        after: Option<Environment<'_>>,
    ) -> Effect {
        let place = |environment| Place { keys: order_keys(&select.order, environment), tie: id.clone() };
        let (was, is) = (before.map(place), after.map(place));
        let row = after.map(|environment| Value::Object(project(&select.projection, environment)));
        let mut effect = Effect::None;
        if let Some(was) = was.filter(|was| !self.is_beyond(was)) {
            if is.as_ref() == Some(&was) {
                let Some(known) = self.sorted.get_mut(&was) else { return Effect::Stale };
                if let Some(row) = row.filter(|row| !order::identical(row, known)) {
                    self.bytes = self.bytes + weight(&row) - weight(known);
                    *known = Rc::new(row);
                    return Effect::Touched;
                }
                return Effect::None;
            }
            let Some(row) = self.sorted.remove(&was) else { return Effect::Stale };
            self.bytes -= weight(&row);
            effect = Effect::Touched;
        }
        if let (Some(is), Some(row)) = (is, row)
            && !self.is_beyond(&is)
        {
            self.bytes += weight(&row);
            self.sorted.insert(is, Rc::new(row));
            effect = Effect::Touched;
            if let Some((_, row)) = (self.sorted.len() > self.room()).then(|| self.sorted.pop_last()).flatten() {
                self.bytes -= weight(&row);
                self.whole = false;
            }
        }
        effect
    }

    /// Returns how many rows are held, and roughly how many bytes they take.
    pub fn held(&self) -> (usize, usize) {
        (self.sorted.len(), self.bytes)
    }

    pub fn rows(&self) -> impl Iterator<Item = &Rc<Value>> {
        self.sorted.values()
    }

    /// Says whether a place is among those that are not held.
    fn is_beyond(&self, place: &Place<DocId>) -> bool {
        !self.whole && self.sorted.last_key_value().is_none_or(|(last, _)| place > last)
    }

    fn is_full(&self) -> bool {
        self.sorted.len() >= self.room()
    }

    fn room(&self) -> usize {
        self.wanted.map_or(usize::MAX, |wanted| wanted.saturating_add(wanted.max(RESERVE)))
    }
}

/// Distinct rows: of the documents with equal rows the first is shown, and the others wait.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    equals: BTreeMap<Key, BTreeMap<DocId, Member>>,
    sorted: BTreeMap<Place<DocId>, Rc<Value>>,
    held: usize,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Member {
    keys: Vec<(Option<Value>, bool)>,
    row: Rc<Value>,
}

impl Distinct {
    pub fn change(
        &mut self,
        select: &Select,
        id: DocId,
        before: Option<Environment<'_>>,
        after: Option<Environment<'_>>,
    ) -> Effect {
        let row = |environment| Value::Object(project(&select.projection, environment));
        let mut effect = Effect::None;
        if let Some(row) = before.map(row) {
            let key = Key(vec![Some(row)]);
            let Some(members) = self.equals.get_mut(&key) else { return Effect::Stale };
            let is_first = members.first_key_value().is_some_and(|(first, _)| *first == id);
            let Some(member) = members.remove(&id) else { return Effect::Stale };
            self.held -= 1;
            if is_first {
                self.sorted.remove(&Place { keys: member.keys, tie: id.clone() });
                if let Some((id, next)) = members.first_key_value() {
                    self.sorted.insert(Place { keys: next.keys.clone(), tie: id.clone() }, Rc::clone(&next.row));
                }
                effect = Effect::Touched;
            }
            if members.is_empty() {
                self.equals.remove(&key);
                self.bytes -= 2 * key.0.iter().flatten().map(weight).sum::<usize>();
            }
        }
        if let Some(environment) = after {
            let row = row(environment);
            let keys = order_keys(&select.order, environment);
            let members = self.equals.entry(Key(vec![Some(row.clone())])).or_default();
            if members.is_empty() {
                self.bytes += 2 * weight(&row);
            }
            let first = members.first_key_value();
            let shared = first.filter(|(_, member)| order::identical(&member.row, &row)).map(|(_, member)| &member.row);
            let row = shared.map_or_else(|| Rc::new(row), Rc::clone);
            if first.is_none_or(|(first, _)| id < *first) {
                if let Some((first, member)) = first {
                    self.sorted.remove(&Place { keys: member.keys.clone(), tie: first.clone() });
                }
                self.sorted.insert(Place { keys: keys.clone(), tie: id.clone() }, Rc::clone(&row));
                effect = Effect::Touched;
            }
            members.insert(id, Member { keys, row });
            self.held += 1;
        }
        effect
    }

    /// Returns how many documents are held, and roughly how many bytes their rows take.
    pub fn held(&self) -> (usize, usize) {
        (self.held, self.bytes)
    }

    pub fn rows(&self) -> impl Iterator<Item = &Rc<Value>> {
        self.sorted.values()
    }
}
