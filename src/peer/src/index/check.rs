//! What verification asks: whether the rows of every index are those of its documents, no more and no fewer.
//!
//! A walk in steps, so that nothing else waits for long and little is in memory at once. An index is summed up first: the rows
//! that its documents should have, then the rows that it has, both read in the order of their keys. Where the sums differ, or
//! commits came between again and again, every document's row is looked up, and then every row's document: a step sees one state
//! of the store, so that this is right whatever commits come between steps, but it reads blocks in no order.

use store::{BlockId, Key, KeyRange, ReadError, Store, Visit};
use value::{DocId, Seq, hash64};

use super::catalogue::{Catalogue, Entry, Progress, RECORD};
use super::key;
use crate::engine::Engine;
use crate::io::{Reply, Ticket};
use crate::packed;
use crate::view;

/// Findings that are told of one index; the others are counted.
const TOLD_MAX: usize = 10;
/// Sums that are begun again because of commits, before rows are looked up.
const SUMS_MAX: u32 = 3;
/// Rows that a step sums up.
const SUMMED_ROWS_MAX: usize = 2_000;
/// Rows that a step looks up; each may need a block of its own.
const LOOKED_UP_ROWS_MAX: usize = 200;
/// Bytes of rows and documents that a step reads.
const STEP_BYTES_MAX: usize = 1024 * 1024;

/// Something that is wrong with an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexFinding {
    /// `collection.index`, as in `system:indexes`.
    pub index: String,
    /// What is wrong.
    pub problem: String,
}

/// A comparison of all index rows with the documents, under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexWalk {
    stage: Stage,
    findings: Vec<IndexFinding>,
    rows: u64,
}

/// What comes next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Catalogue,
    /// The index whose number is the next after this one.
    Index(u64),
    Sum(Summing),
    LookUp(LookingUp),
    /// Rows from this key on, of which only the numbers matter.
    Strays(Key),
    Done,
}

/// An index that is summed up.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Summing {
    place: Place,
    sums_begun: u32,
    /// The position of the store at the beginning.
    at: Seq,
    wanted: Sum,
    found: Sum,
}

/// An index whose rows are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LookingUp {
    place: Place,
    problems: usize,
    rows: u64,
}

/// How far one index is walked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    number: u64,
    side: Side,
    /// The last key that was seen on this side.
    through: Key,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Documents,
    Rows,
}

/// Rows as one number, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    rows: u64,
    hashes: u64,
}

impl Sum {
    fn add(&mut self, key: &[u8], note: &[u8]) {
        self.rows += 1;
        self.hashes = self.hashes.wrapping_add(hash64(&[key, note].concat()));
    }
}

impl Place {
    fn start(number: u64) -> Place {
        Place { number, side: Side::Documents, through: Key::default() }
    }

    fn range(&self, entry: &Entry) -> KeyRange {
        let range = match self.side {
            Side::Documents => Key::documents(&entry.index.collection),
            Side::Rows => Key::index_rows(self.number),
        };
        if self.through == Key::default() { range } else { range.after(&self.through) }
    }

    /// Returns where the next step goes on after one that stopped at a key, or read to the end; `None` after the last.
    fn next(&self, stopped: Option<Key>) -> Option<Place> {
        match (stopped, self.side) {
            (Some(through), side) => Some(Place { number: self.number, side, through }),
            (None, Side::Documents) => Some(Place { number: self.number, side: Side::Rows, through: Key::default() }),
            (None, Side::Rows) => None,
        }
    }
}

impl IndexWalk {
    /// Says whether everything was walked.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Returns what was found so far; of one index ten findings at most, and how many more there are.
    pub fn findings(&self) -> &[IndexFinding] {
        &self.findings
    }

    /// Returns how many rows were compared.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Goes on for about 1 MiB. After an error nothing has changed; with the missing blocks it can be asked again.
    pub fn step(&mut self, store: &impl Store) -> Result<(), ReadError> {
        let catalogue = Catalogue::load(store)?;
        let find = |number| catalogue.entries.iter().find(|entry| entry.index.number == number);
        self.stage = match self.stage.clone() {
            Stage::Catalogue => {
                if let Some(record) = store.get(&Key::meta(RECORD))?
                    && let Err(error) = Catalogue::decode(&record)
                {
                    self.tell("indexes".to_owned(), format!("the catalogue cannot be read: {error}"));
                }
                Stage::Index(0)
            }
            Stage::Index(after) => {
                let numbers = catalogue.entries.iter().map(|entry| entry.index.number);
                match numbers.filter(|number| *number > after).min() {
                    Some(number) => Stage::Sum(Summing::begin(number, 1, store.applied())),
                    None => Stage::Strays(Key::index_row(0, &[])),
                }
            }
            Stage::Sum(summing) => match find(summing.place.number) {
                Some(entry) => self.sum(summing, entry, store)?,
                None => Stage::Index(summing.place.number),
            },
            Stage::LookUp(looking) => match find(looking.place.number) {
                Some(entry) => self.look_up(looking, entry, store)?,
                None => Stage::Index(looking.place.number),
            },
            Stage::Strays(from) => self.look_for_strays(from, &catalogue, store)?,
            Stage::Done => Stage::Done,
        };
        Ok(())
    }

    fn sum(&mut self, mut summing: Summing, entry: &Entry, store: &impl Store) -> Result<Stage, ReadError> {
        let number = summing.place.number;
        if store.applied() != summing.at {
            return Ok(match summing.sums_begun < SUMS_MAX {
                true => Stage::Sum(Summing::begin(number, summing.sums_begun + 1, store.applied())),
                false => Stage::LookUp(LookingUp { place: Place::start(number), problems: 0, rows: 0 }),
            });
        }
        let wanted = Wanted::of(entry);
        let stopped =
            slice(store, &summing.place.range(entry), SUMMED_ROWS_MAX, |key, bytes| match summing.place.side {
                Side::Documents => {
                    if let Some((key, note)) = wanted.row(key, bytes) {
                        summing.wanted.add(key.as_bytes(), &note);
                    }
                }
                Side::Rows => summing.found.add(key, bytes),
            })?;
        Ok(match summing.place.next(stopped) {
            Some(place) => Stage::Sum(Summing { place, ..summing }),
            None if summing.wanted == summing.found => {
                self.rows += summing.found.rows;
                Stage::Index(number)
            }
            None => Stage::LookUp(LookingUp { place: Place::start(number), problems: 0, rows: 0 }),
        })
    }

    fn look_up(&mut self, mut looking: LookingUp, entry: &Entry, store: &impl Store) -> Result<Stage, ReadError> {
        let wanted = Wanted::of(entry);
        let mut lookups = LookUps { store, missing: Vec::new(), failed: None };
        let mut problems: Vec<String> = Vec::new();
        let mut rows = 0;
        let side = looking.place.side;
        let stopped = slice(store, &looking.place.range(entry), LOOKED_UP_ROWS_MAX, |key, bytes| match side {
            Side::Documents => problems.extend(wanted.document_problem(&mut lookups, key, bytes)),
            Side::Rows => {
                rows += 1;
                problems.extend(wanted.row_problem(&mut lookups, key, bytes));
            }
        })?;
        lookups.finish()?;
        looking.rows += rows;
        let name = entry_name(entry);
        for problem in problems {
            looking.problems += 1;
            if looking.problems <= TOLD_MAX {
                self.tell(name.clone(), problem);
            }
        }
        Ok(match looking.place.next(stopped) {
            Some(place) => Stage::LookUp(LookingUp { place, ..looking }),
            None => {
                if let Some(more) = looking.problems.checked_sub(TOLD_MAX).filter(|more| *more > 0) {
                    self.tell(name, format!("{more} more of its rows are not as they should be"));
                }
                self.rows += looking.rows;
                Stage::Index(looking.place.number)
            }
        })
    }

    /// Takes one index whose rows are there; every index has a step of its own.
    fn look_for_strays(&mut self, from: Key, catalogue: &Catalogue, store: &impl Store) -> Result<Stage, ReadError> {
        let range = KeyRange::new(from, Key::index_rows(u64::MAX).end);
        let rows = store.range(&range, 1)?;
        let Some(store::Parsed::IndexRow { index, .. }) = rows.first().and_then(|(first, _)| first.parse()) else {
            return Ok(Stage::Done);
        };
        let known = catalogue.entries.iter().any(|entry| entry.index.number == index)
            || catalogue.dropped.iter().any(|dropped| dropped.number == index);
        if !known {
            self.tell(format!("index {index}"), "there are rows of this number, and no index has it".to_owned());
        }
        Ok(Key::index_rows(index).end.map_or(Stage::Done, Stage::Strays))
    }

    fn tell(&mut self, index: String, problem: String) {
        self.findings.push(IndexFinding { index, problem });
    }
}

impl Summing {
    fn begin(number: u64, sums_begun: u32, at: Seq) -> Summing {
        Summing { place: Place::start(number), sums_begun, at, wanted: Sum::default(), found: Sum::default() }
    }
}

/// What the rows of an index have to be.
struct Wanted<'a> {
    entry: &'a Entry,
    needed: dql::Needed,
    /// Bytes of a document's key before the `_id`.
    prefix: usize,
}

impl<'a> Wanted<'a> {
    fn of(entry: &'a Entry) -> Wanted<'a> {
        let needed = key::needed(std::iter::once(&entry.index));
        let prefix = Key::documents(&entry.index.collection).start.as_bytes().len();
        Wanted { entry, needed, prefix }
    }

    /// Returns the row of a stored document; none of a tombstone, or of a document that the build has not reached.
    fn row(&self, document: &[u8], stored: &[u8]) -> Option<(Key, Vec<u8>)> {
        let covered = self.entry.progress == Progress::Built || self.entry.covers(&Key::from_bytes(document.to_vec()));
        let id = DocId::from_stored(document.get(self.prefix..).filter(|_| covered)?);
        // A document that cannot be read is a finding of its own.
        let (_, doc) = view::split(stored).ok()?;
        let object = packed::fields(doc, &self.needed, || id.clone()).ok()??;
        Some(key::row(&self.entry.index, &object, &id))
    }

    fn document_problem(
        &self,
        lookups: &mut LookUps<'_, impl Store>,
        document: &[u8],
        stored: &[u8],
    ) -> Option<String> {
        let (key, note) = self.row(document, stored)?;
        let problem = match lookups.get(&key)? {
            None => "there is no row",
            Some(found) if found != note => "there is a wrong note in the row",
            Some(_) => return None,
        };
        let id = DocId::from_stored(document.get(self.prefix..)?);
        Some(format!("{problem} of document {:?}", id.to_value()))
    }

    fn row_problem(&self, lookups: &mut LookUps<'_, impl Store>, row: &[u8], note: &[u8]) -> Option<String> {
        let id = key::id_of(&self.entry.index, row, note).ok().and_then(|id| DocId::from_bytes(id).ok());
        let Some(id) = id else { return Some("a row cannot be read".to_owned()) };
        let document = Key::document(&self.entry.index.collection, &id);
        let stored = lookups.get(&document)?;
        let wanted = stored.and_then(|stored| self.row(document.as_bytes(), &stored));
        let is_wanted = wanted.is_some_and(|(key, _)| key.as_bytes() == row);
        (!is_wanted).then(|| format!("there is a row too many of document {:?}", id.to_value()))
    }
}

/// Reads of single keys that name all missing blocks together.
struct LookUps<'a, S> {
    store: &'a S,
    missing: Vec<BlockId>,
    failed: Option<ReadError>,
}

impl<S: Store> LookUps<'_, S> {
    /// Returns what is there; `None` when it cannot be read now, which `finish` tells.
    fn get(&mut self, key: &Key) -> Option<Option<Vec<u8>>> {
        match self.store.get(key) {
            Ok(found) => Some(found),
            Err(ReadError::NotResident(blocks)) => {
                self.missing.extend(blocks);
                None
            }
            Err(error) => {
                self.failed.get_or_insert(error);
                None
            }
        }
    }

    fn finish(mut self) -> Result<(), ReadError> {
        self.missing.sort_unstable();
        self.missing.dedup();
        match (self.failed, self.missing.is_empty()) {
            (Some(error), _) => Err(error),
            (None, false) => Err(ReadError::NotResident(self.missing)),
            (None, true) => Ok(()),
        }
    }
}

/// Shows rows of a range until a step is full; returns the last key then, and `None` at the end of the range.
fn slice(
    store: &impl Store,
    range: &KeyRange,
    rows_max: usize,
    mut show: impl FnMut(&[u8], &[u8]),
) -> Result<Option<Key>, ReadError> {
    let (mut rows, mut bytes, mut last) = (0, 0, None);
    store.visit(range, &mut |key, value| {
        show(key, value);
        rows += 1;
        bytes += key.len() + value.len();
        if rows < rows_max && bytes < STEP_BYTES_MAX {
            return Visit::Continue;
        }
        last = Some(Key::from_bytes(key.to_vec()));
        Visit::Stop
    })?;
    Ok(last)
}

fn entry_name(entry: &Entry) -> String {
    format!("{}.{}", entry.index.collection, entry.index.name)
}

impl<S: Store> Engine<S> {
    /// Returns what is wrong with the index rows of the store. `read` brings blocks that are not in memory.
    ///
    /// For tools and tests: it reads everything in one go.
    pub fn check_indexes(
        &mut self,
        mut read: impl FnMut(&[BlockId]) -> Vec<Option<Vec<u8>>>,
    ) -> Result<Vec<IndexFinding>, ReadError> {
        let mut walk = IndexWalk::default();
        while !walk.is_done() {
            match walk.step(&self.store) {
                Err(ReadError::NotResident(blocks)) => {
                    let found = read(&blocks);
                    for (block, bytes) in blocks.into_iter().zip(found) {
                        self.store.admit(block, bytes)?;
                    }
                }
                answer => answer?,
            }
        }
        Ok(walk.findings)
    }

    pub(crate) fn walk_indexes(&mut self, ticket: Ticket, walk: Box<IndexWalk>) {
        match &self.broken {
            Some(failure) => {
                let failure = failure.clone();
                self.reply(ticket, Err(failure));
            }
            None => self.index_walks.push((ticket, walk)),
        }
    }

    /// Takes a step of every walk that waits.
    pub(crate) fn run_index_walks(&mut self) {
        if !self.booted || self.parked {
            return;
        }
        for (ticket, mut walk) in std::mem::take(&mut self.index_walks) {
            match walk.step(&self.store) {
                Ok(()) => self.reply(ticket, Ok(Reply::IndexesWalked(walk))),
                Err(error) => match self.park_on(error) {
                    Ok(()) => {
                        self.index_walks.push((ticket, walk));
                        self.parked = true;
                    }
                    Err(failure) => self.reply(ticket, Err(failure)),
                },
            }
        }
    }
}
