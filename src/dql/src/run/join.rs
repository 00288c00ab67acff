//! Runs joins: nested loops over what a reader finds, from left to right.
//!
//! For a join that is kept up to date the rows of single documents of the first side are made, and what was looked up for
//! them is told: whoever changes such a document changes their rows.

use value::{DocId, Object, Value};

use super::Flow;
use super::runner::{Counting, Reader, Request, Runner};
use crate::evaluate::{Around, Code};
use crate::live::{Found, Lookups};
use crate::needed::Needed;
use crate::plan::{Access, From, Join, Rows, Select, Side, Source, row_environment};

/// Takes the rows of a join.
type TakeRow<'t> = &'t mut dyn FnMut(&Object) -> Flow;
/// Is told where the partners of a row are looked for, and at which join.
type Told<'t> = &'t mut dyn FnMut(usize, &Access);

impl<R: Reader> Runner<'_, R> {
    /// Makes all rows.
    pub(super) fn join(&self, join: &Join, around: Around<'_>, take: TakeRow<'_>) -> Result<(), R::Stop> {
        for document in self.side(&join.first, &join.first.needed, None)? {
            if self.rows_of(join, document, around, take, &mut |_, _| ())? == Flow::Enough {
                break;
            }
        }
        Ok(())
    }

    /// Returns the rows of documents of the first side of a join for which WHERE is true: of those with some `_id`s, whether
    /// they are there or not, or of all; as far as a state can be made of them. The SELECT must be `Query::joined`.
    pub fn joined(&self, select: &Select, ids: Option<&[DocId]>) -> Result<Vec<Found>, R::Stop> {
        let From::Join(join) = &select.from else { return Ok(Vec::new()) };
        let mut needed = join.first.needed.clone();
        needed.join(&Needed::Named(vec!["_id".to_owned()]));
        let access = ids.map(|ids| Access::Ids(ids.iter().map(DocId::to_value).collect()));
        let (mut found, mut missing) = (Vec::new(), ids.map(<[DocId]>::to_vec).unwrap_or_default());
        let mut held = (0, 0);
        for document in self.side(&join.first, &needed, access)? {
            let Some(id) = document.get("_id").and_then(|id| DocId::new(id).ok()) else { continue };
            let (mut rows, mut lookups) = (Vec::new(), Lookups::default());
            let mut take = |row: &Object| {
                if Code::holds(select.filter.as_ref(), row, Around::default()) {
                    rows.push(row.clone());
                }
                Flow::Continue
            };
            self.rows_of(join, document, Around::default(), &mut take, &mut |place, access| {
                lookups.add(place, access)
            })?;
            found.push(Found::new(id, rows, lookups));
            // Nobody will keep more.
            if found.last().is_some_and(|last| !last.fits(&mut held)) {
                break;
            }
        }
        // Documents come in the order of their ids.
        missing.retain(|id| found.binary_search_by(|known: &Found| known.id().cmp(id)).is_err());
        found.extend(missing.into_iter().map(Found::nothing));
        Ok(found)
    }

    fn rows_of(
        &self,
        join: &Join,
        document: Object,
        around: Around<'_>,
        take: TakeRow<'_>,
        told: Told<'_>,
    ) -> Result<Flow, R::Stop> {
        let row: Object = [(join.first.alias.clone(), Value::Object(document))].into();
        self.join_rest(join, 0, row, around, take, told)
    }

    /// Finds the partners of a row at one join and those behind it.
    fn join_rest(
        &self,
        join: &Join,
        place: usize,
        mut row: Object,
        around: Around<'_>,
        take: TakeRow<'_>,
        told: Told<'_>,
    ) -> Result<Flow, R::Stop> {
        let Some(joined) = join.others.get(place) else { return Ok(take(&row)) };
        let access = joined.access(row_environment(&row, around));
        told(place, &access);
        let candidates = self.side(&joined.side, &joined.side.needed, Some(access))?;
        self.make(candidates.len().max(1))?;
        let mut found = false;
        for candidate in candidates {
            row.insert(joined.side.alias.clone(), Value::Object(candidate));
            if joined.on.is_true(row_environment(&row, around)) {
                found = true;
                if self.join_rest(join, place + 1, row.clone(), around, take, told)? == Flow::Enough {
                    return Ok(Flow::Enough);
                }
            }
        }
        row.remove(&joined.side.alias);
        if !found && joined.keeps {
            return self.join_rest(join, place + 1, row, around, take, told);
        }
        Ok(Flow::Continue)
    }

    /// Reads the documents of one side of a join.
    fn side(&self, side: &Side, needed: &Needed, access: Option<Access>) -> Result<Vec<Object>, R::Stop> {
        let source = match &side.rows {
            Rows::Collection(source) => source,
            Rows::Query(query) => {
                let rows = self.named(query)?;
                return Ok(rows.values.iter().filter_map(|row| row.as_object().cloned()).collect());
            }
        };
        // USE IDS says more than the condition.
        let access = access.filter(|_| source.access == Access::All);
        let other = access.map(|access| Source { access, ..source.clone() });
        let source = other.as_ref().unwrap_or(source);
        let mut documents: Vec<Object> = Vec::new();
        let request = Request { source, deciding: None, needed, whole: true, few: false };
        self.reader.read(request, &mut Counting { taker: &mut documents, runner: self, asks: false })?;
        Ok(documents)
    }
}
