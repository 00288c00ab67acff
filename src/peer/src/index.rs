//! Indexes: what they are called and cover, their rows, and how statements read them. `docs/storage.md` has the layout.
//!
//! An index is local to its store and shared by the tabs. Its definition and how far it is built is one small record, the
//! *catalogue*, replaced by commits of the log. Its rows are never in the log: whoever applies a commit derives them from the
//! documents before and after it, and gives them to the store in the same batch. Every tab and every boot derives the same.
//!
//! Building goes through the documents in the order of their keys, a step a commit; the catalogue says through which key.
//! Documents up to there keep their rows from then on, those behind it come with their step. Dropping goes the same way.
//!
//! Invariants: a record that replaces the catalogue changes no documents; a number is never used again; an index is read only
//! when it is built, known, and no block was lost since. Who may not read it walks the collection instead, with the same
//! answer.

use store::{Batch, Key, ReadError, Store};
use value::SmallMap;

mod build;
mod catalogue;
mod check;
mod count;
mod job;
mod key;
mod scan;

pub use catalogue::{Catalogue, IndexListing};
pub use check::{IndexFinding, IndexWalk};
pub use job::{IndexChange, IndexDefinition, IndexJob};

use build::StepSize;
use catalogue::RECORD;
use count::Counts;

use crate::columns::Columns;
use crate::draft::{Change, Draft};
use crate::reboot::REPAIRED;

/// What an engine knows of its indexes.
#[derive(Debug, Default)]
pub struct Indexes {
    /// The catalogue at the position of the store; `None` until it is read.
    catalogue: Option<Catalogue>,
    /// Those that can be read, for planning.
    ready: Vec<dql::Index>,
    /// Counts how often those have changed.
    generation: u64,
    /// A block was lost: rows may be missing until the catalogue is replaced.
    distrusted: bool,
    /// The next step waits for blocks.
    pub(crate) parked: bool,
    /// The last step could not be written; it is tried again after a commit that could.
    pub(crate) refused: bool,
    /// An index was created here, and nobody else was seen to build it.
    pub(crate) creator: bool,
    /// Commits that were let go first since the last step.
    pub(crate) waited: usize,
    counts: Counts,
    /// Fields that statements look at again and again.
    pub(crate) columns: Columns,
    step: StepSize,
}

impl Indexes {
    /// Makes steps of at most so many documents or rows.
    pub fn set_step(&mut self, documents: usize) {
        self.step = StepSize { documents, rows: documents, ..StepSize::default() };
    }

    /// Says whether the catalogue is known.
    pub fn is_known(&self) -> bool {
        self.catalogue.is_some()
    }

    /// Returns the indexes that can be read.
    pub fn ready(&self) -> &[dql::Index] {
        &self.ready
    }

    /// Returns a number that changes whenever `ready` does.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns all indexes with how far they are built.
    pub fn listed(&self) -> Vec<IndexListing> {
        self.catalogue.as_ref().map(|catalogue| catalogue.listed(&self.counts)).unwrap_or_default()
    }

    /// Reads the catalogue from the store.
    pub fn load(&mut self, store: &impl Store) -> Result<(), ReadError> {
        self.set(Catalogue::load(store)?);
        Ok(())
    }

    /// The store has moved by itself: nothing is known until the catalogue is read again.
    pub fn forget(&mut self) {
        self.catalogue = None;
        self.read_none();
    }

    /// Rows may be missing: nothing is read until the indexes were begun again.
    pub fn distrust(&mut self) {
        self.distrusted = true;
        self.read_none();
    }

    /// No index is read any more, and nothing that was counted or kept of documents.
    fn read_none(&mut self) {
        self.ready.clear();
        self.generation += 1;
        self.counts.forget();
        self.columns.forget();
    }

    /// Says whether the rows of an index are all there.
    pub fn is_readable(&self, number: u64) -> bool {
        self.ready.iter().any(|index| index.number == number)
    }

    /// Adds to the batch of a commit how its documents' index rows change.
    pub fn maintain(&self, draft: &Draft, batch: &mut Batch) {
        let catalogue = self.catalogue.as_ref().expect("the catalogue is read before anything is applied");
        catalogue.maintain(draft, batch);
    }

    /// Takes a commit that the store has applied.
    pub fn published(&mut self, changes: &[Change], metas: &SmallMap<String, Option<Vec<u8>>>) {
        self.counts.published(changes);
        self.columns.published(changes);
        self.refused = false;
        self.waited += 1;
        if metas.contains_key(&REPAIRED.to_owned()) {
            self.distrusted = false;
        }
        if let Some(record) = metas.get(&RECORD.to_owned()) {
            self.waited = 0;
            self.set(Catalogue::read(record.as_deref()));
        }
    }

    fn set(&mut self, catalogue: Catalogue) {
        self.generation += 1;
        self.ready = if self.distrusted { Vec::new() } else { catalogue.built() };
        self.catalogue = Some(catalogue);
    }
}

/// Checks a small record, if it is the catalogue; others are read by whoever keeps them.
pub fn check_record(name: &str, bytes: &[u8]) -> Result<(), value::DecodeError> {
    if name == RECORD { Catalogue::decode(bytes).map(drop) } else { Ok(()) }
}

/// Returns the catalogue that a record brings, if it brings one.
pub fn brought(metas: &[(String, Option<Vec<u8>>)]) -> Option<Catalogue> {
    let (_, record) = metas.iter().rev().find(|(name, _)| name == RECORD)?;
    Some(Catalogue::read(record.as_deref()))
}

/// A change of index rows: the key, and the note or that it is deleted.
pub type RowChange = (Key, Option<Vec<u8>>);
