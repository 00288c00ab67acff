//! A join that is kept up to date.
//!
//! Its rows are held by the document of the first side that they begin with, beside what was looked up to make them. A change
//! on the first side makes that document dirty; a change on another side makes those dirty that have looked up a document
//! like the changed one, as it was or as it is. When the answer is wanted, the rows of dirty documents are made anew, and the
//! difference goes into the state of a live query whose documents are the rows. So nothing is read for a commit, and for an
//! answer only the partners of what a commit can have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use value::{DocId, Object, Value, order};

use super::{Effect, HELD_BYTES_MAX, HELD_MAX, Live, weight};
use crate::aggregate::Key;
use crate::evaluate::field;
use crate::plan::{Access, Select};

/// The rows that begin with one document of the first side.
#[derive(Debug)]
pub struct Found {
    id: DocId,
    rows: Vec<Object>,
    lookups: Lookups,
    /// Of the rows, roughly.
    bytes: usize,
}

impl Found {
    pub(crate) fn new(id: DocId, rows: Vec<Object>, lookups: Lookups) -> Found {
        let bytes = rows.iter().flat_map(|row| row.values()).map(weight).sum();
        Found { id, rows, lookups, bytes }
    }

    /// A document that is not there.
    pub(crate) fn nothing(id: DocId) -> Found {
        Found::new(id, Vec::new(), Lookups::default())
    }

    pub(crate) fn id(&self) -> &DocId {
        &self.id
    }

    /// Says whether a state can be made of this beside what is held so far, and adds it.
    pub(crate) fn fits(&self, held: &mut (usize, usize)) -> bool {
        held.0 += self.rows.len() + self.lookups.lookups.len();
        held.1 += self.bytes;
        !self.lookups.unknown && held.0 <= HELD_MAX && held.1 <= HELD_BYTES_MAX
    }
}

/// Where partners were looked for.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    lookups: Vec<Lookup>,
    /// Partners were looked for in a way that cannot be followed back.
    unknown: bool,
}

/// At which join documents were looked for, and which fields of theirs had to have which values.
#[derive(Debug)]
struct Lookup {
    place: usize,
    fields: Vec<Vec<String>>,
    values: Key,
}

impl Lookups {
    pub(crate) fn add(&mut self, place: usize, access: &Access) {
        let mut add = |fields: Vec<Vec<String>>, values| {
            // Without a value to be found by, every document would be a partner of all.
            self.unknown |= fields.is_empty();
            self.lookups.push(Lookup { place, fields, values: Key(values) });
        };
        match access {
            Access::All => self.unknown = true,
            Access::Ids(ids) => {
                ids.iter().for_each(|id| add(vec![vec!["_id".to_owned()]], vec![Some(id.clone())]));
            }
            Access::Index(scan) => {
                for bounds in &scan.bounds {
                    // The rest of a range is no value to be found by.
                    let keys = &scan.index.keys[..bounds.equal.len()];
                    add(keys.iter().map(|key| key.path.clone()).collect(), bounds.equal.clone());
                }
            }
            // What all of them find, the first of them finds.
            Access::Intersection(accesses) => accesses.iter().take(1).for_each(|access| self.add(place, access)),
            Access::Union(accesses) => accesses.iter().for_each(|access| self.add(place, access)),
        }
    }
}

/// The state of a join. The SELECT is handed in again with each call, and is always the same.
#[derive(Debug)]
pub struct LiveJoin {
    live: Live,
    firsts: BTreeMap<DocId, First>,
    /// The fields by which documents are looked up, with their joins; lookups name them by number.
    shapes: Vec<(usize, Vec<Vec<String>>)>,
    /// What was looked up, and by whom.
    lookers: BTreeSet<(usize, Key, DocId)>,
    /// Documents of the first side whose rows may have changed, each once.
    dirty: Vec<DocId>,
    /// How many rows and lookups are held, and roughly how many bytes the rows take.
    held: (usize, usize),
}

/// What is held of a document of the first side.
#[derive(Debug, Default)]
struct First {
    rows: Vec<Object>,
    lookups: Vec<(usize, Key)>,
    /// What `Found::fits` has added.
    held: (usize, usize),
    is_dirty: bool,
}

impl LiveJoin {
    /// Starts with the rows of all documents; `None` where they are too many, or where what was looked up for them cannot be
    /// followed back. The SELECT must be `Query::joined`.
    pub fn new(select: &Select, found: Vec<Found>) -> Option<LiveJoin> {
        let mut join = LiveJoin {
            live: Live::new(select),
            firsts: BTreeMap::new(),
            shapes: Vec::new(),
            lookers: BTreeSet::new(),
            dirty: Vec::new(),
            held: (0, 0),
        };
        join.settle(select, found).then_some(join)
    }

    /// Takes note of a changed document of a side, with the fields that the statement looks at, as it was and as it is:
    /// nothing is touched, or rows may have changed, or so many that all have to be made anew.
    pub fn touch(&mut self, side: usize, id: &DocId, before: Option<&Object>, after: Option<&Object>) -> Effect {
        let Some(place) = side.checked_sub(1) else {
            return self.mark([id.clone()]);
        };
        let mut touched = Vec::new();
        for (number, (_, fields)) in self.shapes.iter().enumerate().filter(|(_, (joined, _))| *joined == place) {
            for object in [before, after].into_iter().flatten() {
                let value = |path: &Vec<String>| match path.as_slice() {
                    [name] if name == "_id" => Some(id.to_value()),
                    path => field(object, path).cloned(),
                };
                // No id is before the empty one.
                let least = (number, Key(fields.iter().map(value).collect()), DocId::from_stored(&[]));
                let same = self.lookers.range(&least..).take_while(|looker| looker.0 == least.0 && looker.1 == least.1);
                touched.extend(same.map(|looker| looker.2.clone()));
            }
        }
        self.mark(touched)
    }

    fn mark(&mut self, ids: impl IntoIterator<Item = DocId>) -> Effect {
        let mut effect = Effect::None;
        for id in ids {
            effect = Effect::Touched;
            let first = self.firsts.entry(id.clone()).or_default();
            if !std::mem::replace(&mut first.is_dirty, true) {
                self.dirty.push(id);
            }
        }
        if self.dirty.len() > HELD_MAX { Effect::Stale } else { effect }
    }

    /// Returns the documents of the first side whose rows have to be made anew, for `Runner::joined`.
    pub fn dirty(&self) -> &[DocId] {
        &self.dirty
    }

    /// Takes the rows of all dirty documents, made anew; `false` when the state cannot be kept any longer.
    pub fn settle(&mut self, select: &Select, found: Vec<Found>) -> bool {
        self.dirty.clear();
        let mut effect = Effect::None;
        for found in found {
            let id = found.id.clone();
            let old = self.forget(&id);
            let mut held = self.held;
            if !found.fits(&mut held) {
                return false;
            }
            for number in 0..old.rows.len().max(found.rows.len()) {
                let (before, after) = (old.rows.get(number), found.rows.get(number));
                if before.zip(after).is_none_or(|(before, after)| !order::identical_objects(before, after)) {
                    effect = effect.max(self.live.change(select, &row_id(&id, number), before, after));
                }
            }
            self.remember(found, (held.0 - self.held.0, held.1 - self.held.1));
        }
        match effect {
            Effect::None | Effect::Touched => true,
            Effect::Stale => self.start_again(select),
            Effect::TooLarge => false,
        }
    }

    /// Returns the answer. No document may be dirty.
    pub fn answer(&mut self, select: &Select) -> Vec<Rc<Value>> {
        self.live.answer(select)
    }

    /// Puts all rows into a new state: the old one has let go of rows that it would have to show now.
    fn start_again(&mut self, select: &Select) -> bool {
        let mut live = Live::new(select);
        for (id, first) in &self.firsts {
            for (number, row) in first.rows.iter().enumerate() {
                if live.take(select, row_id(id, number), row) == Effect::TooLarge {
                    return false;
                }
            }
        }
        self.live = live;
        true
    }

    fn forget(&mut self, id: &DocId) -> First {
        let first = self.firsts.remove(id).unwrap_or_default();
        for (shape, values) in &first.lookups {
            self.lookers.remove(&(*shape, values.clone(), id.clone()));
        }
        self.held = (self.held.0 - first.held.0, self.held.1 - first.held.1);
        first
    }

    fn remember(&mut self, found: Found, held: (usize, usize)) {
        let Found { id, rows, lookups, .. } = found;
        let mut first = First { rows, lookups: Vec::with_capacity(lookups.lookups.len()), held, is_dirty: false };
        for Lookup { place, fields, values } in lookups.lookups {
            let shape = (place, fields);
            let number = self.shapes.iter().position(|known| *known == shape).unwrap_or_else(|| {
                self.shapes.push(shape);
                self.shapes.len() - 1
            });
            if self.lookers.insert((number, values.clone(), id.clone())) {
                first.lookups.push((number, values));
            }
        }
        if held != (0, 0) {
            self.held = (self.held.0 + held.0, self.held.1 + held.1);
            self.firsts.insert(id, first);
        }
    }
}

/// Names a row so that rows come in the order of the first side's documents, and those of one document in the order in
/// which they were found.
fn row_id(first: &DocId, number: usize) -> DocId {
    DocId::from_stored(&[first.as_bytes(), &(number as u32).to_be_bytes()].concat())
}
