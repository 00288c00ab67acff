//! Groups with aggregates that rows can leave again.

use std::collections::BTreeMap;
use std::rc::Rc;

use value::{Value, order};

use super::Effect;
use super::tally::Tally;
use crate::aggregate::Key;
use crate::evaluate::Environment;
use crate::plan::{Grouping, Select};
use crate::run::SelectRun;
use crate::sum::Turn;

/// All groups by their keys.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: BTreeMap<Key, Group>,
    /// The last answer; rows that are the same again are shared with it.
    answer: Vec<Rc<Value>>,
}

#[derive(Debug)]
struct Group {
    /// The forms of its key, and how many documents have each.
    forms: Vec<(Vec<Option<Value>>, u64)>,
    tallies: Vec<Tally>,
    /// Its key and its aggregates, until they change.
    slots: Option<Vec<Option<Value>>>,
}

impl Groups {
    pub fn take_count(&mut self, count: u64) {
        if count > 0 {
            let group = Group { forms: vec![(Vec::new(), count)], tallies: vec![Tally::of_count(count)], slots: None };
            self.groups.insert(Key(Vec::new()), group);
        }
    }

    pub fn change(
        &mut self,
        select: &Select,
        before: Option<Environment<'_>>,
        after: Option<Environment<'_>>,
    ) -> Effect {
        let Some(grouping) = &select.grouping else { return Effect::None };
        let mut effect = Effect::None;
        // What comes goes first, so that the reserve of least and greatest values is not used up for nothing.
        if let Some(environment) = after {
            effect = effect.max(self.turn(grouping, environment, Turn::Add));
        }
        if let Some(environment) = before {
            effect = effect.max(self.turn(grouping, environment, Turn::Remove));
        }
        effect
    }

    fn turn(&mut self, grouping: &Grouping, environment: Environment<'_>, turn: Turn) -> Effect {
        let key = Key(grouping.keys.iter().map(|key| key.value(environment)).collect());
        if turn == Turn::Add && !self.groups.contains_key(&key) {
            let tallies = grouping.calls.iter().map(Tally::new).collect();
            self.groups.insert(Key(key.0.clone()), Group { forms: Vec::new(), tallies, slots: None });
        }
        let Some(group) = self.groups.get_mut(&key) else { return Effect::Stale };
        group.slots = None;
        let form = group.forms.iter().position(|(form, _)| is_same(form, &key.0));
        match (form, turn) {
            (Some(form), _) => turn.count(&mut group.forms[form].1),
            (None, Turn::Add) => group.forms.push((key.0.clone(), 1)),
            (None, Turn::Remove) => return Effect::Stale,
        }
        group.forms.retain(|(_, count)| *count > 0);
        if group.forms.is_empty() {
            self.groups.remove(&key);
            return Effect::Touched;
        }
        let mut effect = Effect::Touched;
        for (tally, call) in group.tallies.iter_mut().zip(&grouping.calls) {
            if let Some(value) = call.value(environment) {
                effect = effect.max(tally.turn(call, value, turn));
            }
        }
        effect
    }

    pub fn held(&self) -> usize {
        self.groups.values().map(|group| 1 + group.tallies.iter().map(Tally::held).sum::<usize>()).sum()
    }

    pub fn answer(&mut self, select: &Select) -> Vec<Rc<Value>> {
        let Some(grouping) = &select.grouping else { return Vec::new() };
        let slots = self.groups.values_mut().map(|group| group.slots(grouping));
        let rows = SelectRun::of_groups(select, slots);
        let known = std::mem::take(&mut self.answer);
        let shared = |(place, row): (usize, Value)| match known.get(place) {
            Some(known) if order::identical(known, &row) => Rc::clone(known),
            _ => Rc::new(row),
        };
        self.answer = rows.into_iter().enumerate().map(shared).collect();
        self.answer.clone()
    }
}

impl Group {
    fn slots(&mut self, grouping: &Grouping) -> Vec<Option<Value>> {
        if let Some(slots) = &self.slots {
            return slots.clone();
        }
        let mut forms = self.forms.iter().map(|(form, _)| form);
        let mut slots = forms.next().cloned().unwrap_or_default();
        for form in forms {
            let (form, shown) = (Key(form.clone()), Key(slots.clone()));
            if form.is_preferred_to(&shown) {
                slots = form.0;
            }
        }
        slots.extend(self.tallies.iter().zip(&grouping.calls).map(|(tally, call)| tally.result(call)));
        self.slots = Some(slots.clone());
        slots
    }
}

fn is_same(a: &[Option<Value>], b: &[Option<Value>]) -> bool {
    a.iter().zip(b).all(|pair| match pair {
        (Some(a), Some(b)) => order::identical(a, b),
        (a, b) => a.is_none() && b.is_none(),
    })
}
