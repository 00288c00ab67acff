//! Building and deleting index rows, a step a commit.
//!
//! A step replaces the catalogue by one that is a little further, and says nothing of rows: whoever applies it, now or after
//! the next start, finds the documents between the two positions in its own store, which stands just before the commit. One
//! engine of a store makes steps, the one that may compact or has created the index; two would only lose races. Waiting
//! writes go first, but not for ever. A step that cannot be read yet has its blocks loaded while the pipeline goes on.

use dql::Index;
use store::{Key, KeyRange, ReadError, Store, Visit};

use super::catalogue::{Catalogue, Progress, RECORD};
use super::{Indexes, RowChange, key};
use crate::config::Role;
use crate::engine::Engine;
use crate::packed;
use crate::pipeline::Completion;
use crate::reboot::Repair;
use crate::view;

/// How much a step does at most: some milliseconds of work.
#[derive(Clone, Copy, Debug)]
pub struct StepSize {
    /// Documents that are read, tombstones included.
    pub documents: usize,
    /// Bytes of documents, after which it ends.
    pub bytes: usize,
    /// Rows that are deleted.
    pub rows: usize,
}

impl Default for StepSize {
    fn default() -> StepSize {
        StepSize { documents: 1_000, bytes: 512 * 1024, rows: 2_000 }
    }
}

/// Commits that go before a step when writes are always waiting.
const WAITED_MAX: usize = 16;

/// What a commit of its own will do.
pub struct Step {
    catalogue: Catalogue,
    rows: Vec<RowChange>,
}

/// How far documents are read.
enum Until<'a> {
    End,
    Key(&'a Key),
    StepEnds(StepSize),
}

impl<S: Store> Engine<S> {
    /// Says whether writes have gone first for long enough.
    pub(crate) fn step_is_overdue(&self) -> bool {
        self.indexes.waited >= WAITED_MAX && self.makes_steps()
    }

    fn makes_steps(&self) -> bool {
        let indexes = &self.indexes;
        // A Big Peer has its store alone.
        let alone = matches!(self.config.role, Role::BigPeer { .. });
        let drives = self.may_compact || indexes.creator || alone;
        let held = indexes.parked || indexes.refused || indexes.distrusted || self.repair != Repair::None;
        drives && !held && self.booted && indexes.catalogue.as_ref().is_some_and(Catalogue::is_unfinished)
    }

    /// Sends off the next step of building or deleting, if there is one and it can be read.
    pub(crate) fn make_step(&mut self) {
        if !self.makes_steps() || self.pipeline.committing.is_some() || self.pipeline.parked {
            return;
        }
        let Some(catalogue) = &self.indexes.catalogue else { return };
        match catalogue.step(&self.store, self.indexes.step) {
            Ok(step) => {
                let group = &mut self.pipeline.group;
                group.draft.put_meta(RECORD, Some(step.catalogue.encode()));
                group.draft.put_rows(step.rows);
                group.completions.push(Completion::IndexStep);
                self.submit();
            }
            Err(error) => match self.park_on(error) {
                Ok(()) => self.indexes.parked = true,
                Err(failure) => self.break_down(failure),
            },
        }
    }
}

impl Indexes {
    /// Returns how rows change when the catalogue is replaced at the present position of the store.
    pub fn rows_towards(&self, next: &Catalogue, store: &impl Store) -> Result<Vec<RowChange>, ReadError> {
        let catalogue = self.catalogue.as_ref().expect("the catalogue is read before anything is applied");
        catalogue.rows_towards(next, store)
    }
}

impl Catalogue {
    fn is_unfinished(&self) -> bool {
        !self.dropped.is_empty() || self.entries.iter().any(|entry| entry.progress != Progress::Built)
    }

    /// Returns a catalogue that is a step further, and the rows that go with it. Something must be unfinished.
    fn step(&self, store: &impl Store, size: StepSize) -> Result<Step, ReadError> {
        let mut next = self.clone();
        let mut rows = Vec::new();
        let unbuilt = |entry: &&super::catalogue::Entry| entry.progress != Progress::Built;
        if let Some(first) = self.entries.iter().find(unbuilt) {
            let mut end = None;
            // Indexes of one collection that stand at the same place go on together.
            for entry in &mut next.entries {
                let Progress::Building(from) = &entry.progress else { continue };
                if entry.index.collection != first.index.collection || entry.progress != first.progress {
                    continue;
                }
                let until = match &end {
                    None => Until::StepEnds(size),
                    Some(Progress::Built) => Until::End,
                    Some(Progress::Building(through)) => Until::Key(through),
                };
                let (found, progress) = rows_of(store, &entry.index, from, until)?;
                entry.documents += found.len() as u64;
                rows.extend(found);
                entry.progress = end.get_or_insert(progress).clone();
            }
        } else if let Some(dropped) = next.dropped.first_mut() {
            let range = rows_after(dropped.number, &dropped.through);
            let keys: Vec<Key> = store.range(&range, size.rows)?.into_iter().map(|(key, _)| key).collect();
            match keys.last() {
                Some(last) if keys.len() == size.rows => dropped.through = last.clone(),
                _ => _ = next.dropped.remove(0),
            }
            rows.extend(keys.into_iter().map(|key| (key, None)));
        }
        Ok(Step { catalogue: next, rows })
    }

    fn rows_towards(&self, next: &Catalogue, store: &impl Store) -> Result<Vec<RowChange>, ReadError> {
        let mut rows = Vec::new();
        for entry in &next.entries {
            let before = self.entries.iter().find(|before| before.index.number == entry.index.number);
            let from = match before.map(|before| &before.progress) {
                Some(Progress::Built) => continue,
                Some(Progress::Building(from)) => from.clone(),
                None => Key::default(),
            };
            let until = match &entry.progress {
                Progress::Building(through) if *through <= from => continue,
                Progress::Building(through) => Until::Key(through),
                Progress::Built => Until::End,
            };
            rows.extend(rows_of(store, &entry.index, &from, until)?.0);
        }
        for dropped in &self.dropped {
            let mut range = rows_after(dropped.number, &dropped.through);
            if let Some(after) = next.dropped.iter().find(|after| after.number == dropped.number) {
                range.end = Some(after.through.successor());
            }
            if !range.is_empty() {
                rows.extend(store.range(&range, usize::MAX)?.into_iter().map(|(key, _)| (key, None)));
            }
        }
        Ok(rows)
    }
}

/// Returns the rows of the documents behind a key, and how far the index is built with them.
fn rows_of(
    store: &impl Store,
    index: &Index,
    from: &Key,
    until: Until<'_>,
) -> Result<(Vec<RowChange>, Progress), ReadError> {
    let mut range = Key::documents(&index.collection);
    let prefix = range.start.as_bytes().len();
    if *from != Key::default() {
        range = range.after(from);
    }
    if let Until::Key(through) = until {
        range.end = Some(through.successor());
    }
    let (documents_max, bytes_max) = match until {
        Until::StepEnds(size) => (size.documents, size.bytes),
        Until::End | Until::Key(_) => (usize::MAX, usize::MAX),
    };
    let needed = key::needed(std::iter::once(index));
    let (mut rows, mut documents, mut bytes) = (Vec::new(), 0, 0);
    let mut outcome = Ok(Progress::Built);
    store.visit(&range, &mut |document, stored| {
        documents += 1;
        bytes += stored.len();
        let id = value::DocId::from_stored(&document[prefix..]);
        match view::split(stored) {
            Ok((_, packed)) => {
                // A document that cannot be read has no row, as in every commit that touches it.
                if let Some(object) = packed::fields(packed, &needed, || id.clone()).ok().flatten() {
                    let (key, note) = key::row(index, &object, &id);
                    rows.push((key, Some(note)));
                }
            }
            Err(error) => {
                outcome = Err(error);
                return Visit::Stop;
            }
        }
        if documents >= documents_max || bytes >= bytes_max {
            outcome = Ok(Progress::Building(Key::from_bytes(document.to_vec())));
            return Visit::Stop;
        }
        Visit::Continue
    })?;
    Ok((rows, outcome?))
}

fn rows_after(number: u64, through: &Key) -> KeyRange {
    let rows = Key::index_rows(number);
    if *through == Key::default() { rows } else { rows.after(through) }
}
