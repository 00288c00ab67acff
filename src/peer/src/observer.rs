//! Live queries: which changes can affect which answers, and when an application is told.
//!
//! A plain SELECT is kept up to date: the changes of each commit go into its state (`dql::Live`) at once, whether its
//! application is ready or not, so that no document is read again. A join learns from them which of its rows have to be made
//! anew before its next answer (`dql::LiveJoin`). Other queries, and those whose state would be too large,
//! are marked by changes of what they read, and evaluated from scratch. Either way an application is told when it is ready
//! and its answer differs from the last one it was told; states in between are never seen.
//!
//! Invariants: the cost of a commit that touches no observer is one look at the fields that any predicate over the collection
//! looks at, and one or two evaluations of each predicate; nothing else is decoded, but for joins and sub-queries over the
//! collection the fields that they read. What nobody knows - changes that another tab
//! wrote into the store, a repair - throws states away, and they are made anew by a scan. See `docs/dql.md`, Live queries.

use std::rc::Rc;

use dql::{Effect, Found, Live, LiveJoin, Needed, Plan, Query, Read, Select};
use value::{CollectionName, DocId, Object, SmallMap, Value, Writer, cbor, hash64, order};

use crate::draft::Change;
use crate::io::ObserverId;
use crate::packed::{Packed, typed};
use crate::statement::{Prepared, types_of};
use crate::system::SYSTEM;

/// One live query.
#[derive(Debug)]
pub struct Observer {
    /// Its SELECT.
    pub prepared: Rc<Prepared>,
    /// What it reads.
    reads: Vec<Read>,
    /// It reads one collection, and its WHERE can be asked about one document alone.
    is_filtered: bool,
    keeping: Keeping,
    /// The application took the last answer.
    ready: bool,
    /// The answer may differ from the last.
    marked: bool,
    told: Told,
}

/// How an answer is known.
#[derive(Debug)]
enum Keeping {
    /// It is a join whose rows are kept up to date.
    Join(Box<LiveJoin>),
    /// It is evaluated from scratch.
    Nothing,
    /// It is kept up to date.
    State(Live),
    /// It will be, after a scan.
    Unread,
}

/// What a scan has made of a query; nothing where it would be too large to be kept.
#[derive(Debug)]
pub enum Scanned {
    /// The state of a plain SELECT.
    Documents(Option<Live>),
    /// The state of a join.
    Join(Option<LiveJoin>),
}

/// What the application was told last.
#[derive(Debug)]
enum Told {
    Hash(u64),
    Nothing,
    Rows(Vec<Rc<Value>>),
}

/// A change as observers look at it: the fields of the document that their predicates need, where it is live.
#[derive(Debug)]
pub struct Seen<'a> {
    change: &'a Change,
    before: Option<Object>,
    after: Option<Object>,
    /// No predicate can tell before from after.
    looks_the_same: bool,
}

/// Which fields the predicates of all observers look at, by collection.
#[derive(Debug, Default)]
pub struct Watched(SmallMap<CollectionName, Needed>);

impl Watched {
    /// Gathers them.
    pub fn of(observers: &SmallMap<ObserverId, Observer>) -> Watched {
        let mut watched = SmallMap::new();
        for read in observers.values().flat_map(|observer| &observer.reads) {
            watched.or_insert_with(read.collection.clone(), || Needed::Named(Vec::new()));
        }
        for observer in observers.values() {
            if let Some((select, read)) = filtered(&observer.prepared).zip(observer.reads.first())
                && let Some(needed) = watched.get_mut(&read.collection)
            {
                needed.join(&select.filter_needs());
            }
        }
        Watched(watched)
    }

    /// Decodes what observers look at of each change that any of them may care for.
    pub fn look<'a>(&self, changes: &'a [Change]) -> Vec<Seen<'a>> {
        let seen = |change: &'a Change| {
            let needed = self.0.get(&change.collection)?;
            let fields = |packed: &Packed| packed.fields(&change.id, needed);
            let (before, after) = (fields(&change.before), fields(&change.after));
            let looks_the_same =
                before.as_ref().zip(after.as_ref()).is_some_and(|(a, b)| order::identical_objects(a, b));
            (before.is_some() || after.is_some()).then_some(Seen { change, before, after, looks_the_same })
        };
        changes.iter().filter_map(seen).collect()
    }
}

impl Observer {
    /// Starts with a first evaluation due.
    pub fn new(prepared: Rc<Prepared>) -> Observer {
        let reads = match &*prepared.plan {
            Plan::Select(query) => query.reads(),
            _ => Vec::new(),
        };
        let system = reads.iter().any(|read| read.collection.as_str().starts_with(SYSTEM));
        let has_state = |query: &Query| query.plain().is_some() || query.joined().is_some();
        let is_kept = !system && query(&prepared).is_some_and(has_state);
        let keeping = if is_kept { Keeping::Unread } else { Keeping::Nothing };
        let is_filtered = filtered(&prepared).is_some();
        Observer { prepared, reads, is_filtered, keeping, ready: true, marked: true, told: Told::Nothing }
    }

    /// Takes note of a commit's changes.
    pub fn take(&mut self, seen: &[Seen<'_>]) {
        let prepared = Rc::clone(&self.prepared);
        let select = if self.is_filtered { select(&prepared) } else { None };
        for seen in seen {
            // Once marked, an answer that is not kept up to date learns nothing more.
            if self.marked && !matches!(self.keeping, Keeping::Join(_) | Keeping::State(_)) {
                return;
            }
            for place in 0..self.reads.len() {
                if self.reads[place].collection == seen.change.collection {
                    self.take_one(select, place, seen);
                }
            }
        }
    }

    fn take_one(&mut self, select: Option<&Select>, place: usize, seen: &Seen<'_>) {
        // The first read is of the SELECT itself, others are of its sub-queries; those of a join are its sides.
        let select = select.filter(|_| place == 0);
        let read = &self.reads[place];
        let change = seen.change;
        let matches = |object: &Option<Object>| {
            object.as_ref().is_some_and(|object| read.typed || select.is_none_or(|select| select.matches(object)))
        };
        let was = matches(&seen.before);
        let is = if seen.looks_the_same { was } else { matches(&seen.after) };
        if !was && !is {
            return;
        }
        if let Keeping::State(live) = &self.keeping
            && !live.may_hold(&change.id)
        {
            return;
        }
        let types = select.filter(|_| read.typed).and_then(Select::source).map(|source| types_of(&source.types));
        let fields = |packed: &Packed| match &types {
            // Of what is read beside others the declared types are not known here, and anything may have changed.
            None if read.typed => packed.fields(&change.id, &Needed::All),
            None => packed.fields(&change.id, &read.needed),
            Some(types) => typed(packed.bytes(), types, || change.id.clone())
                .ok()
                .flatten()
                .filter(|object| select.is_none_or(|select| select.matches(object))),
        };
        let before = was.then(|| fields(&change.before)).flatten();
        let after = is.then(|| fields(&change.after)).flatten();
        let anything = read.typed && types.is_none();
        match (&before, &after) {
            (None, None) => return,
            (Some(before), Some(after)) if !anything && order::identical_objects(before, after) => return,
            _ => {}
        }
        if let Keeping::Join(join) = &mut self.keeping {
            match join.touch(place, &change.id, before.as_ref(), after.as_ref()) {
                Effect::None => return,
                Effect::Stale | Effect::TooLarge => self.keeping = Keeping::Unread,
                Effect::Touched => {}
            }
            self.marked = true;
            return;
        }
        let (Keeping::State(live), Some(select)) = (&mut self.keeping, select) else {
            self.marked = true;
            return;
        };
        match live.change(select, &change.id, before.as_ref(), after.as_ref()) {
            Effect::None => return,
            Effect::Stale => self.keeping = Keeping::Unread,
            Effect::TooLarge => self.keeping = Keeping::Nothing,
            Effect::Touched => {}
        }
        self.marked = true;
    }

    /// Takes note that anything may have changed.
    pub fn mark_anyway(&mut self) {
        self.marked = true;
        if let Keeping::Join(_) | Keeping::State(_) = self.keeping {
            self.keeping = Keeping::Unread;
        }
    }

    /// The application took its answer.
    pub fn ready(&mut self) {
        self.ready = true;
    }

    /// Says whether its answer should be looked at now.
    pub fn is_due(&self) -> bool {
        self.ready && self.marked
    }

    /// Returns the SELECT whose documents have to be read before the answer is kept up to date.
    pub fn unread(&self) -> Option<&Select> {
        select(&self.prepared).filter(|_| matches!(self.keeping, Keeping::Unread))
    }

    /// Says whether its answer is kept up to date now.
    #[cfg(test)]
    pub fn is_kept(&self) -> bool {
        matches!(self.keeping, Keeping::Join(_) | Keeping::State(_))
    }

    /// Takes what a scan has made.
    pub fn keep(&mut self, kept: Scanned) {
        self.keeping = match kept {
            Scanned::Documents(Some(live)) => Keeping::State(live),
            Scanned::Join(Some(join)) => Keeping::Join(Box::new(join)),
            Scanned::Documents(None) | Scanned::Join(None) => Keeping::Nothing,
        };
    }

    /// Returns the join whose rows are kept, and the documents whose rows have to be made anew before there is an answer.
    pub fn dirty(&self) -> Option<(&Select, &[DocId])> {
        match &self.keeping {
            Keeping::Join(join) => Some((select(&self.prepared)?, join.dirty())).filter(|(_, dirty)| !dirty.is_empty()),
            Keeping::Nothing | Keeping::State(_) | Keeping::Unread => None,
        }
    }

    /// Takes rows that were made anew.
    pub fn settle(&mut self, found: Vec<Found>) {
        if let (Keeping::Join(join), Some(select)) = (&mut self.keeping, select(&self.prepared))
            && !join.settle(select, found)
        {
            self.keeping = Keeping::Nothing;
        }
    }

    /// Returns the answer, if it is kept up to date and the application must be told.
    pub fn kept(&mut self) -> Option<Option<Vec<Rc<Value>>>> {
        let select = select(&self.prepared)?;
        let rows = match &mut self.keeping {
            Keeping::Join(join) => join.answer(select),
            Keeping::State(live) => live.answer(select),
            Keeping::Nothing | Keeping::Unread => return None,
        };
        self.marked = false;
        let is_same = match &self.told {
            Told::Hash(hash) => *hash == hash_of(rows.iter().map(Rc::as_ref)),
            Told::Nothing => false,
            Told::Rows(told) => {
                let same = |(a, b): (&Rc<Value>, &Rc<Value>)| Rc::ptr_eq(a, b) || order::identical(a, b);
                told.len() == rows.len() && told.iter().zip(&rows).all(same)
            }
        };
        self.told = Told::Rows(rows.clone());
        self.ready = is_same;
        Some((!is_same).then_some(rows))
    }

    /// Takes an answer that was evaluated from scratch; returns whether the application must be told.
    pub fn evaluated(&mut self, rows: &[Value]) -> bool {
        self.marked = false;
        let hash = hash_of(rows.iter());
        let is_same = match &self.told {
            Told::Hash(told) => *told == hash,
            Told::Nothing => false,
            Told::Rows(told) => hash_of(told.iter().map(Rc::as_ref)) == hash,
        };
        self.told = Told::Hash(hash);
        self.ready = is_same;
        !is_same
    }
}

fn hash_of<'a>(rows: impl Iterator<Item = &'a Value>) -> u64 {
    let mut bytes = Writer::new();
    rows.for_each(|row| cbor::encode_into(row, &mut bytes));
    hash64(&bytes.finish())
}

/// Returns the query that a statement is, if it is one.
fn query(prepared: &Prepared) -> Option<&Query> {
    match &*prepared.plan {
        Plan::Select(query) => Some(query),
        _ => None,
    }
}

/// Returns the SELECT that a statement is, if it is one.
fn select(prepared: &Prepared) -> Option<&Select> {
    query(prepared).and_then(Query::select)
}

/// Returns the SELECT over one collection that a statement is, if its predicate looks at nothing else.
fn filtered(prepared: &Prepared) -> Option<&Select> {
    query(prepared).and_then(Query::filtered)
}
