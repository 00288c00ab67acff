//! Values in their order, equal ones counted, each form apart; all of them, or those next to one end.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use value::{Value, order};

use super::Effect;
use crate::sum::Turn;

/// Values that are held next to an end.
const HELD: usize = 64;

/// A multiset of values.
#[derive(Debug)]
pub(super) struct Values {
    counts: BTreeMap<Exact, u64>,
    /// The end that is looked at; nothing where all values are.
    towards: Option<End>,
    /// All values are held. Otherwise those that are not lie beyond the last that is.
    whole: bool,
}

/// An end of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Greatest,
    Least,
}

/// A value, told apart from equal ones of another form.
#[derive(Clone, Debug)]
struct Exact(Value);

impl Ord for Exact {
    fn cmp(&self, other: &Exact) -> Ordering {
        order::compare_exactly(&self.0, &other.0)
    }
}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Exact) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Exact {
    fn eq(&self, other: &Exact) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Exact {}

impl Values {
    pub fn all() -> Values {
        Values { counts: BTreeMap::new(), towards: None, whole: true }
    }

    pub fn towards(end: End) -> Values {
        Values { towards: Some(end), ..Values::all() }
    }

    /// Takes a value in or out. Stale: what is held does not tell the end any more.
    pub fn turn(&mut self, value: Value, turn: Turn) -> Effect {
        let value = Exact(value);
        if !self.whole && self.is_beyond(&value) {
            return Effect::None;
        }
        match turn {
            Turn::Add => *self.counts.entry(value).or_insert(0) += 1,
            Turn::Remove => {
                let Some(count) = self.counts.get_mut(&value) else { return Effect::Stale };
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&value);
                }
            }
        }
        if self.counts.is_empty() && !self.whole {
            return Effect::Stale;
        }
        if let Some(end) = self.towards.filter(|_| self.counts.len() > HELD) {
            match end {
                End::Greatest => self.counts.pop_first(),
                End::Least => self.counts.pop_last(),
            };
            self.whole = false;
        }
        Effect::Touched
    }

    fn is_beyond(&self, value: &Exact) -> bool {
        match self.towards {
            Some(End::Greatest) => self.counts.first_key_value().is_some_and(|(first, _)| value < first),
            Some(End::Least) => self.counts.last_key_value().is_some_and(|(last, _)| value > last),
            None => false,
        }
    }

    /// Returns the value at the end, in its preferred form.
    pub fn end(&self) -> Option<&Value> {
        if self.towards != Some(End::Greatest) {
            return self.counts.keys().next().map(|Exact(value)| value);
        }
        let (Exact(greatest), _) = self.counts.last_key_value()?;
        let equal = self.counts.keys().rev().take_while(|Exact(value)| order::equal(value, greatest));
        equal.last().map(|Exact(value)| value)
    }

    /// Returns the values, of equal ones the preferred form.
    pub fn distinct(&self) -> impl Iterator<Item = &Value> {
        let mut last: Option<&Value> = None;
        self.counts
            .keys()
            .map(|Exact(value)| value)
            .filter(move |value| !last.replace(value).is_some_and(|last| order::equal(last, value)))
    }

    /// Returns how many values there are, equal ones included.
    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Returns the value at a place in the order.
    pub fn at(&self, place: u64) -> Option<&Value> {
        let mut before = 0;
        let mut found = self.counts.iter().filter(|(_, count)| {
            before += **count;
            before > place
        });
        found.next().map(|(Exact(value), _)| value)
    }

    pub fn held(&self) -> usize {
        self.counts.len()
    }
}
