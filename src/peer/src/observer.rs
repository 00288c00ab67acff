//! Live queries: which changes can affect which answers, and when an application is told.
//!
//! A change marks the observers whose predicate matches the document before or after it. A marked observer is evaluated
//! when its application is ready for an answer, and told when the answer differs from the last one; states in between are
//! never seen.

use std::rc::Rc;

use dql::{Needed, Plan, Select};
use value::{Value, Writer, cbor, hash64};

use crate::draft::Change;
use crate::packed::Packed;
use crate::statement::Prepared;

/// One live query.
#[derive(Debug)]
pub struct Observer {
    /// Its SELECT.
    pub prepared: Rc<Prepared>,
    /// The fields that its predicate looks at, and perhaps more.
    deciding: Needed,
    /// The application took the last answer.
    ready: bool,
    /// The answer may have changed since the last evaluation.
    marked: bool,
    /// Hash of the last answer; `None` before the first.
    told: Option<u64>,
}

impl Observer {
    /// Starts with a first evaluation due.
    pub fn new(prepared: Rc<Prepared>) -> Observer {
        let deciding = match &prepared.plan {
            Plan::Select(select) => select.deciding(),
            _ => Needed::All,
        };
        Observer { prepared, deciding, ready: true, marked: true, told: None }
    }

    /// Returns the SELECT.
    pub fn select(&self) -> &Select {
        match &self.prepared.plan {
            Plan::Select(select) => select,
            _ => panic!("an observer is only made of a SELECT"),
        }
    }

    /// Takes note of a commit's changes.
    pub fn mark(&mut self, changes: &[Change]) {
        if self.marked {
            return;
        }
        let select = self.select();
        let Some(source) = select.source() else { return };
        self.marked = changes.iter().filter(|change| change.collection == source.collection).any(|change| {
            let matches = |packed: &Packed| {
                packed.fields(&change.id, &self.deciding).is_some_and(|object| select.matches(&object))
            };
            matches(&change.before) || matches(&change.after)
        });
    }

    /// Takes note that anything may have changed.
    pub fn mark_anyway(&mut self) {
        self.marked = true;
    }

    /// The application took its answer.
    pub fn ready(&mut self) {
        self.ready = true;
    }

    /// Says whether it should be evaluated now.
    pub fn is_due(&self) -> bool {
        self.ready && self.marked
    }

    /// Takes an evaluated answer; returns whether the application must be told.
    pub fn evaluated(&mut self, rows: &[Value]) -> bool {
        self.marked = false;
        let mut bytes = Writer::new();
        rows.iter().for_each(|row| cbor::encode_into(row, &mut bytes));
        let hash = Some(hash64(&bytes.finish()));
        if self.told == hash {
            return false;
        }
        self.told = hash;
        self.ready = false;
        true
    }
}
