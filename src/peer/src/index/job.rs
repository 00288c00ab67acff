//! Creating and dropping indexes: jobs of the pipeline that replace the catalogue.

use dql::{Index, IndexKey};
use store::{Durability, Store};
use value::{CollectionName, ErrorCode, Failure};

use super::catalogue::{Catalogue, FIELDS_MAX, INDEXES_MAX, NAME_BYTES_MAX, RECORD};
use crate::engine::Engine;
use crate::io::{Reply, Ticket};
use crate::pipeline::{Completion, Job, stronger};

/// An index that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexDefinition {
    /// Its collection.
    pub collection: CollectionName,
    /// Its name, unique in the collection.
    pub name: String,
    /// The fields that order it.
    pub keys: Vec<IndexKey>,
}

/// What becomes of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexChange {
    /// It is made; the reply comes before it is built.
    Create {
        /// What it is.
        definition: IndexDefinition,
        /// One of that name is left as it is.
        if_not_exists: bool,
    },
    /// It goes.
    Drop {
        /// Its collection.
        collection: CollectionName,
        /// Its name.
        name: String,
        /// There need not be one.
        if_exists: bool,
    },
}

/// A change of the catalogue that waits for its turn.
#[derive(Debug)]
pub struct IndexJob {
    /// Of the reply.
    pub ticket: Ticket,
    /// What is asked.
    pub change: IndexChange,
    /// What it must survive.
    pub durability: Durability,
}

impl<S: Store> Engine<S> {
    /// Takes a change of the catalogue into the pipeline. Reply: `Rows`, without any.
    pub(crate) fn change_index(&mut self, job: IndexJob) {
        match &self.broken {
            Some(failure) => {
                let failure = failure.clone();
                self.reply(job.ticket, Err(failure));
            }
            None => self.pipeline.jobs.push_back(Job::Index(job)),
        }
    }

    /// Adds a change of the catalogue to the group, which is otherwise empty.
    pub(crate) fn evaluate_index(&mut self, job: &IndexJob) {
        let stamp = self.stamp();
        let known = self.indexes.catalogue.as_ref().expect("the catalogue is read before a job is evaluated");
        let mut catalogue = known.clone();
        // A stamp was never used before, not even when a catalogue was lost.
        let number = stamp.hlc.0.max(known.greatest_number() + 1);
        let changed = change(&mut catalogue, &job.change, number);
        let group = &mut self.pipeline.group;
        if let Ok(true) = changed {
            group.draft.put_meta(RECORD, Some(catalogue.encode()));
            group.durability = stronger(group.durability, job.durability);
            self.indexes.creator = true;
        }
        let wrote = changed.as_ref().is_ok_and(|changed| *changed);
        let result = changed.map(|_| Reply::Rows { rows: Vec::new(), mutated: Vec::new(), commit: None });
        group.completions.push(Completion::Reply { ticket: job.ticket, result, wrote });
    }

    /// Adds to the group of a repair that all indexes are built again.
    pub(crate) fn begin_indexes_again(&mut self) {
        let number = self.stamp().hlc.0;
        let Some(known) = &self.indexes.catalogue else { return };
        if known.entries.is_empty() {
            return;
        }
        let mut catalogue = known.clone();
        catalogue.begin_again(number.max(known.greatest_number() + 1));
        self.pipeline.group.draft.put_meta(RECORD, Some(catalogue.encode()));
    }
}

/// Changes a catalogue; says whether it did.
fn change(catalogue: &mut Catalogue, change: &IndexChange, number: u64) -> Result<bool, Failure> {
    match change {
        IndexChange::Create { definition: IndexDefinition { collection, name, keys }, if_not_exists } => {
            if catalogue.find(collection, name).is_some() {
                let message = format!(
                    "collection {collection} has an index {name} already; drop it first, or write IF NOT EXISTS"
                );
                return if *if_not_exists { Ok(false) } else { Err(exists(message)) };
            }
            check(catalogue, collection, name, keys)?;
            let index = Index { collection: collection.clone(), name: name.clone(), number, keys: keys.clone() };
            catalogue.add(index);
            Ok(true)
        }
        IndexChange::Drop { collection, name, if_exists } => match catalogue.find(collection, name) {
            Some(place) => {
                catalogue.remove(place);
                Ok(true)
            }
            None if *if_exists => Ok(false),
            None => {
                let message = format!("collection {collection} has no index {name}; see system:indexes");
                Err(Failure::new(ErrorCode::QueryIndexNotFound, message))
            }
        },
    }
}

fn check(catalogue: &Catalogue, collection: &CollectionName, name: &str, keys: &[IndexKey]) -> Result<(), Failure> {
    let limit = |message: String| Err(Failure::new(ErrorCode::QueryIndexLimit, message));
    if keys.is_empty() || keys.len() > FIELDS_MAX {
        return limit(format!("an index has 1 to {FIELDS_MAX} fields, and this one has {}", keys.len()));
    }
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return limit(format!("the name of an index has 1 to {NAME_BYTES_MAX} bytes"));
    }
    let same = catalogue.entries.iter().filter(|entry| entry.index.collection == *collection);
    if same.count() >= INDEXES_MAX {
        return limit(format!(
            "a collection has at most {INDEXES_MAX} indexes; drop one that {collection} does not need"
        ));
    }
    let twice = |place: usize| keys[..place].iter().any(|key| key.path == keys[place].path);
    match (0..keys.len()).find(|place| twice(*place) || keys[*place].path.is_empty()) {
        Some(place) => {
            let message = format!("field {} of index {name} is empty or named twice", place + 1);
            Err(Failure::new(ErrorCode::QueryInvalid, message))
        }
        None => Ok(()),
    }
}

fn exists(message: String) -> Failure {
    Failure::new(ErrorCode::QueryIndexExists, message)
}
