//! Which way to the documents: by `_id`, through an index, or all of them.
//!
//! In goes a predicate and the indexes of the collection, out comes an [`Access`] that finds at least every document for
//! which the predicate is true; the predicate is checked again on each. By rule and without statistics: most fields that
//! are compared for equality, then a range, then an order that is asked for.
//!
//! The same rules serve the inner side of a join and a sub-query that looks at the row around it, where a value is known
//! only when they run. Source: reference 2.8.

use value::Value;

use super::condition::{Interval, Intervals, conditions};
use super::source::{Access, Hints, IndexScan, KeyBounds, Source, canonical};
use crate::context::{Context, Index};
use crate::error::DqlError;
use crate::evaluate::{Code, Environment};
use std::ops::Bound;

/// How many ranges of one index a scan reads at most.
const BOUNDS_MAX: usize = 1000;

/// Looks for a way.
pub(crate) struct Finder<'a> {
    /// In a join, the name under which the documents stand in the row.
    pub prefix: Option<&'a str>,
    pub indexes: &'a [Index],
    pub known: Known<'a>,
    /// How many scans are intersected or united at most.
    pub scans_max: usize,
}

/// What is known of the values that a field is compared with.
#[derive(Clone, Copy)]
pub(crate) enum Known<'a> {
    /// All that does not depend on the document: only the kind of access is asked for.
    Assumed,
    /// Constants.
    Constants,
    /// What can be computed from a row.
    Row(Environment<'a>),
}

/// An index and the part of it that a predicate asks for.
struct Candidate<'a> {
    index: &'a Index,
    bounds: Vec<KeyBounds>,
    /// How many of the first fields are compared for equality.
    equal: usize,
    ranged: bool,
}

impl Finder<'_> {
    /// Returns the way to the documents for which a predicate can be true.
    pub fn find(&self, predicate: Option<&Code>) -> Access {
        let Some(predicate) = predicate else { return Access::All };
        if let Code::Chain(first, rest) = predicate
            && matches!(rest.first(), Some((crate::ast::Operator::Or, _)))
        {
            return self.find_any(std::iter::once(&**first).chain(rest.iter().map(|(_, branch)| branch)));
        }
        let fields = conditions(self, predicate);
        if let Some((_, intervals)) = fields.iter().find(|(path, _)| *path == ["_id"])
            && let Some(points) = intervals.points()
        {
            return Access::Ids(canonical(points.into_iter().flatten().collect()));
        }
        if fields.iter().any(|(_, intervals)| intervals.0.is_empty()) {
            return Access::Ids(Vec::new());
        }
        let mut candidates: Vec<Candidate<'_>> =
            self.indexes.iter().filter_map(|index| candidate(index, &fields)).collect();
        // Stable: of equals, the index that was made first.
        candidates.sort_by_key(|candidate| {
            std::cmp::Reverse((candidate.equal, candidate.ranged, usize::MAX - candidate.index.keys.len()))
        });
        let mut candidates = candidates.into_iter();
        let Some(best) = candidates.next() else { return self.find_inside(predicate) };
        let others = candidates.filter(|other| other.is_apart(&best) && best.equal == 1 && other.equal == 1);
        let mut all = vec![best.access()];
        // A second index pays only where both are compared for equality: its rows are read, its documents are not.
        for other in others.take(self.scans_max.saturating_sub(1)) {
            let apart = all
                .iter()
                .all(|known| !matches!(known, Access::Index(scan) if scan.index.keys[0] == other.index.keys[0]));
            if apart {
                all.push(other.access());
            }
        }
        if all.len() == 1 { all.remove(0) } else { Access::Intersection(all) }
    }

    /// AND with an OR in it that every branch of finds.
    fn find_inside(&self, predicate: &Code) -> Access {
        let Code::Chain(first, rest) = predicate else { return Access::All };
        if !matches!(rest.first(), Some((crate::ast::Operator::And, _))) {
            return Access::All;
        }
        let parts = std::iter::once(&**first).chain(rest.iter().map(|(_, part)| part));
        let is_or = |part: &&Code| matches!(part, Code::Chain(_, rest) if matches!(rest.first(), Some((crate::ast::Operator::Or, _))));
        let found = parts.filter(is_or).map(|part| self.find(Some(part))).find(|access| *access != Access::All);
        found.unwrap_or(Access::All)
    }

    /// Returns the way to the documents for which any branch can be true.
    fn find_any<'c>(&self, branches: impl Iterator<Item = &'c Code>) -> Access {
        let (mut ids, mut scans) = (Vec::new(), Vec::new());
        for branch in branches {
            match self.find(Some(branch)) {
                Access::All => return Access::All,
                Access::Ids(found) => ids.extend(found),
                Access::Union(found) => scans.extend(found),
                scan @ (Access::Index(_) | Access::Intersection(_)) => scans.push(scan),
            }
        }
        if !ids.is_empty() || scans.is_empty() {
            scans.insert(0, Access::Ids(canonical(ids)));
        }
        match scans.len() {
            1 => scans.remove(0),
            count if count > self.scans_max.max(UNION_MAX) => Access::All,
            _ => Access::Union(scans),
        }
    }

    /// Returns the field that an expression is, as a path in the document.
    pub fn field<'c>(&self, code: &'c Code) -> Option<&'c [String]> {
        let Code::Field(path) = code else { return None };
        match self.prefix {
            None => Some(path),
            Some(prefix) if path[0] == prefix && path.len() > 1 => Some(&path[1..]),
            Some(_) => None,
        }
    }

    /// Returns the value of an expression that does not depend on the document; `None` if it does.
    pub fn value(&self, code: &Code) -> Option<Option<Value>> {
        if let Code::Constant(value) = code {
            return Some(value.clone());
        }
        if self.depends(code) {
            return None;
        }
        match self.known {
            Known::Assumed => Some(Some(Value::Int(0))),
            Known::Constants => None,
            Known::Row(environment) => Some(code.value(environment)),
        }
    }

    fn depends(&self, code: &Code) -> bool {
        match code {
            Code::Field(path) => self.prefix.is_none_or(|prefix| path[0] == prefix),
            Code::Document | Code::Slot(_) => true,
            Code::Subquery(subquery) => subquery.correlated,
            _ => !code.all_parts(&mut |part| !self.depends(part)),
        }
    }
}

/// How many scans one OR is made of at most.
const UNION_MAX: usize = 64;

/// Returns what an index can do for conditions on some fields; nothing if its first field is not among them.
fn candidate<'a>(index: &'a Index, fields: &[(&[String], Intervals)]) -> Option<Candidate<'a>> {
    let of = |path: &[String]| fields.iter().find(|(known, _)| *known == path).map(|(_, intervals)| intervals);
    let mut prefixes: Vec<Vec<Option<Value>>> = vec![Vec::new()];
    let mut equal = 0;
    let mut range = None;
    for key in &index.keys {
        let Some(intervals) = of(&key.path) else { break };
        match intervals.points().filter(|points| points.len() * prefixes.len() <= BOUNDS_MAX) {
            Some(points) => {
                let extend = |prefix: &Vec<Option<Value>>, point: &Option<Value>| {
                    let mut longer = prefix.clone();
                    longer.push(point.clone());
                    longer
                };
                prefixes =
                    prefixes.iter().flat_map(|prefix| points.iter().map(move |point| extend(prefix, point))).collect();
                equal += 1;
            }
            None => {
                range = Some(intervals).filter(|intervals| intervals.0.len() * prefixes.len() <= BOUNDS_MAX);
                break;
            }
        }
    }
    if equal == 0 && range.is_none() {
        return None;
    }
    let whole = Intervals(vec![Interval { low: Bound::Unbounded, high: Bound::Unbounded }]);
    let ranges = range.unwrap_or(&whole);
    let bounds = prefixes.iter().flat_map(|prefix| {
        ranges.0.iter().map(|interval| KeyBounds {
            equal: prefix.clone(),
            low: interval.low.clone(),
            high: interval.high.clone(),
        })
    });
    Some(Candidate { index, bounds: bounds.collect(), equal, ranged: range.is_some() })
}

impl Candidate<'_> {
    fn access(&self) -> Access {
        Access::Index(IndexScan {
            index: self.index.clone(),
            bounds: self.bounds.clone(),
            reverse: false,
            covering: false,
        })
    }

    /// Says whether the first field of this index is none that another one uses.
    fn is_apart(&self, other: &Candidate<'_>) -> bool {
        other.index.keys[..other.equal].iter().all(|key| key.path != self.index.keys[0].path)
    }
}

/// Returns the indexes that a statement may use for a source.
pub(crate) fn usable(context: &Context<'_>, source: &Source, hints: &Hints) -> Result<Vec<Index>, DqlError> {
    let of_collection = || context.indexes.iter().filter(|index| index.collection == source.collection);
    if let Some((names, span)) = &hints.indexes {
        for name in names {
            if !name.is_empty() && !of_collection().any(|index| index.name == *name) {
                let message =
                    ["there is no index ", name, " on ", source.collection.as_str(), " that is ready"].concat();
                return Err(DqlError::not_found(&message, *span));
            }
        }
    }
    // Declared types show other values than those in the index.
    if !source.types.is_empty() {
        return Ok(Vec::new());
    }
    let allowed = |index: &&Index| hints.indexes.as_ref().is_none_or(|(names, _)| names.contains(&index.name));
    Ok(of_collection().filter(allowed).cloned().collect())
}

/// How an index can serve ORDER BY.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Served {
    Backwards,
    Forwards,
    Not,
}

/// Says whether a scan yields rows in the wanted order.
pub(crate) fn serves(scan: &IndexScan, order: &[(Code, bool)]) -> Served {
    let keys = &scan.index.keys;
    let fixed = match scan.bounds.as_slice() {
        [only] => only.equal.len(),
        many if many.iter().all(|bounds| bounds.equal.is_empty()) => 0,
        // Several first values: the order starts anew with each.
        _ => return Served::Not,
    };
    let is_fixed = |code: &Code| keys[..fixed].iter().any(|key| matches!(code, Code::Field(path) if *path == key.path));
    let wanted: Vec<&(Code, bool)> = order.iter().filter(|(code, _)| !is_fixed(code)).collect();
    let rest = &keys[fixed..];
    let (mut forwards, mut backwards) = (wanted.len() <= rest.len(), wanted.len() <= rest.len());
    for ((code, descending), key) in wanted.iter().zip(rest) {
        let same_field = matches!(code, Code::Field(path) if *path == key.path);
        forwards &= same_field && *descending == key.descending;
        backwards &= same_field && *descending != key.descending;
    }
    match (forwards, backwards) {
        (true, _) => Served::Forwards,
        (_, true) => Served::Backwards,
        _ => Served::Not,
    }
}

/// Says whether the fields of an index and `_id` are all that expressions look at.
pub(crate) fn covers<'a>(index: &Index, mut codes: impl Iterator<Item = &'a Code>) -> bool {
    fn covered(index: &Index, code: &Code) -> bool {
        match code {
            Code::Field(path) => path[0] == "_id" || index.keys.iter().any(|key| key.path == *path),
            Code::Document => false,
            Code::Subquery(subquery) => !subquery.correlated,
            _ => code.all_parts(&mut |part| covered(index, part)),
        }
    }
    codes.all(|code| covered(index, code))
}

/// Returns the fields that a predicate compares for equality, and those it compares otherwise.
pub(super) fn wishes(predicate: Option<&Code>) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let finder = Finder { prefix: None, indexes: &[], known: Known::Constants, scans_max: 1 };
    let fields = predicate.map(|predicate| conditions(&finder, predicate)).unwrap_or_default();
    let (equal, ranged): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(_, intervals)| intervals.points().is_some());
    let paths = |fields: Vec<(&[String], Intervals)>| fields.into_iter().map(|(path, _)| path.to_vec()).collect();
    (paths(equal), paths(ranged))
}
