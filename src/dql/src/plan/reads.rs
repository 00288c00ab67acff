//! Which fields of which collections an answer depends on, so that other changes need not be looked at.

use value::CollectionName;

use super::{Access, Body, From, Query, Rows, Select, Side, Source, has_subquery};
use crate::evaluate::Code;
use crate::needed::Needed;

/// What a query reads of the documents of a collection.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// The collection.
    pub collection: CollectionName,
    /// The fields; which documents there are counts in any case.
    pub needed: Needed,
    /// Types are declared, which the stored fields do not show.
    pub typed: bool,
}

impl Query {
    /// Returns all reads, those of sub-queries too; a collection that is read twice is listed twice.
    pub fn reads(&self) -> Vec<Read> {
        let mut reads = Vec::new();
        collect(self, &mut reads);
        reads
    }

    /// Returns the SELECT over one collection that the query is, if its WHERE can be asked about one document alone.
    pub fn filtered(&self) -> Option<&Select> {
        let stands_alone =
            |select: &&Select| select.source().is_some() && !select.filter.as_ref().is_some_and(has_subquery);
        self.select().filter(stands_alone)
    }

    /// Returns the SELECT over joined collections that the query is, if its rows depend on nothing else and the `Read`s are
    /// its sides in their order: no sub-query, no window, no hint of ids, no declared type.
    pub fn joined(&self) -> Option<&Select> {
        let is_plain = |side: &Side| match &side.rows {
            Rows::Collection(source) => source.access == Access::All && source.types.is_empty(),
            Rows::Query(_) => false,
        };
        let stands_alone = |select: &&Select| match &select.from {
            From::Join(join) => {
                select.is_plain()
                    && is_plain(&join.first)
                    && join.others.iter().all(|joined| is_plain(&joined.side) && !has_subquery(&joined.on))
            }
            From::Collection(_) | From::Nothing | From::Query(_) => false,
        };
        self.select().filter(stands_alone)
    }
}

fn collect(query: &Query, reads: &mut Vec<Read>) {
    match &query.body {
        Body::Select(select) => collect_select(select, reads),
        Body::Set(set) => {
            let queries = std::iter::once(&set.first).chain(set.rest.iter().map(|(_, query)| query));
            queries.for_each(|query| collect(query, reads));
            set.order.iter().for_each(|(key, _)| collect_code(key, reads));
        }
    }
}

fn collect_select(select: &Select, reads: &mut Vec<Read>) {
    match &select.from {
        From::Collection(source) => reads.push(read(source, select.needed())),
        From::Join(join) => {
            let side = |side: &Side, reads: &mut Vec<Read>| match &side.rows {
                Rows::Collection(source) => reads.push(read(source, side.needed.clone())),
                Rows::Query(query) => collect(query, reads),
            };
            side(&join.first, reads);
            for joined in &join.others {
                side(&joined.side, reads);
                collect_code(&joined.on, reads);
            }
        }
        From::Nothing => {}
        From::Query(query) => collect(query, reads),
    }
    select.codes().for_each(|code| collect_code(code, reads));
}

fn collect_code(code: &Code, reads: &mut Vec<Read>) {
    match code {
        Code::Subquery(subquery) => collect(&subquery.query, reads),
        _ => code.each_part(&mut |part| collect_code(part, reads)),
    }
}

fn read(source: &Source, needed: Needed) -> Read {
    Read { collection: source.collection.clone(), needed, typed: !source.types.is_empty() }
}
