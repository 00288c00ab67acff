//! Live queries: which changes can affect which answers, and when an application is told.
//!
//! A change marks the observers whose predicate matches the document before or after it. A marked observer is evaluated
//! when its application is ready for an answer, and told when the answer differs from the last one; states in between are
//! never seen.

use std::rc::Rc;

use dql::{Needed, Plan, Select};
use value::{CollectionName, Value, Writer, cbor, hash64};

use crate::draft::Change;
use crate::packed::Packed;
use crate::statement::Prepared;

/// One live query.
#[derive(Debug)]
pub struct Observer {
    /// Its SELECT.
    pub prepared: Rc<Prepared>,
    /// The collections that it reads.
    collections: Vec<CollectionName>,
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
        let deciding = plain(&prepared).map_or(Needed::All, Select::deciding);
        let collections = prepared.plan.collections();
        Observer { prepared, collections, deciding, ready: true, marked: true, told: None }
    }

    /// Takes note of a commit's changes.
    pub fn mark(&mut self, changes: &[Change]) {
        if self.marked {
            return;
        }
        let select = plain(&self.prepared);
        let read = changes.iter().filter(|change| self.collections.contains(&change.collection));
        self.marked = read.into_iter().any(|change| {
            // Of a join or a sub-query nobody knows which documents count.
            let Some(select) = select else { return true };
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

/// Returns the SELECT over the documents of one collection that a statement is, if it is one.
fn plain(prepared: &Prepared) -> Option<&Select> {
    match &prepared.plan {
        Plan::Select(query) => query.plain(),
        _ => None,
    }
}
