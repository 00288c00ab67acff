//! The plan of SELECT.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::rc::Rc;

use value::{ErrorCode, Object};

use super::access::{Finder, Known, Served, covers, serves};
use super::join::plan_join;
use super::source::{Hints, plan_way, query_of};
use super::{Access, IndexScan, Join, KeyBounds, Query, Source, WindowCall, scope};
use crate::aggregate::Call;
use crate::ast::{self, Expr, Projection, Step};
use crate::bind::{Binder, Names, Scope};
use crate::context::{Context, Index};
use crate::error::{DqlError, Span};
use crate::evaluate::arithmetic::whole_count;
use crate::evaluate::{Around, Code, Environment};
use crate::needed::Needed;
use crate::run::SelectRun;
use std::ops::Bound;

/// A SELECT with its arguments in place.
#[derive(Clone, Debug)]
pub struct Select {
    pub(crate) from: From,
    pub(crate) filter: Option<Code>,
    pub(crate) projection: Vec<Item>,
    pub(crate) distinct: bool,
    pub(crate) grouping: Option<Grouping>,
    pub(crate) windows: Vec<WindowCall>,
    /// The keys, and whether each descends.
    pub(crate) order: Vec<(Code, bool)>,
    /// The documents come in the order of the keys.
    pub(crate) is_ordered: bool,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
    /// The indexes that may be used where the way depends on the row around or on a sub-query.
    pub(crate) indexes: Vec<Index>,
}

/// Where the rows come from.
#[derive(Clone, Debug)]
pub(crate) enum From {
    Collection(Source),
    Join(Box<Join>),
    /// There is no FROM: one row without fields.
    Nothing,
    Query(Rc<Query>),
}

/// One item of a row.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// All fields of the document.
    All,
    /// All fields of one document of a join.
    AllOf(String),
    /// A computed field.
    Field(String, Code),
    /// A field left out.
    Without(String),
}

/// GROUP BY and the aggregates; without keys all rows are one group.
#[derive(Clone, Debug)]
pub(crate) struct Grouping {
    pub keys: Vec<Code>,
    pub calls: Vec<Call>,
    pub having: Option<Code>,
}

impl Select {
    /// Returns the collection, where there is just one.
    pub fn source(&self) -> Option<&Source> {
        match &self.from {
            From::Collection(source) => Some(source),
            From::Join(_) | From::Nothing | From::Query(_) => None,
        }
    }

    /// Starts a run over documents.
    pub fn start(&self) -> SelectRun<'_> {
        SelectRun::new(self, Around::default())
    }

    /// Says whether WHERE is true for a document. It looks at nothing else: not at USE IDS, which is in the source, and not
    /// at LIMIT. A sub-query in it is MISSING.
    pub fn matches(&self, object: &Object) -> bool {
        Code::holds(self.filter.as_ref(), object, Around::default())
    }

    /// Says whether there are no windows and no sub-queries: the answer depends on the documents of FROM alone, each by itself.
    pub(crate) fn is_plain(&self) -> bool {
        self.windows.is_empty() && !self.codes().any(has_subquery)
    }

    /// Says whether the answer is the number of documents of the collection.
    pub(crate) fn counts_all(&self) -> bool {
        let [Item::Field(_, Code::Slot(0))] = self.projection.as_slice() else { return false };
        let counts = self.grouping.as_ref().is_some_and(|grouping| {
            grouping.keys.is_empty()
                && grouping.having.is_none()
                && matches!(grouping.calls.as_slice(), [call] if call.argument.is_none())
        });
        let whole = self.source().is_some_and(|source| source.access == Access::All);
        counts && whole && self.filter.is_none() && self.limit != Some(0) && self.offset == 0
    }

    /// Returns every expression of the statement, but for those of joins.
    pub(crate) fn codes(&self) -> impl Iterator<Item = &Code> + Clone {
        let items = self.projection.iter().filter_map(|item| match item {
            Item::Field(_, code) => Some(code),
            Item::All | Item::AllOf(_) | Item::Without(_) => None,
        });
        let grouped = self.grouping.iter().flat_map(|grouping| {
            let arguments = grouping.calls.iter().filter_map(|call| call.argument.as_ref());
            grouping.keys.iter().chain(arguments).chain(&grouping.having)
        });
        let windows = self.windows.iter().flat_map(|window| {
            let order = window.order.iter().map(|(key, _)| key);
            window.argument.iter().chain(&window.partition).chain(order)
        });
        let order = self.order.iter().map(|(key, _)| key);
        self.filter.iter().chain(items).chain(grouped).chain(windows).chain(order)
    }

    /// Says whether a row is made of computed fields only.
    fn has_computed_items(&self) -> bool {
        self.projection.iter().all(|item| matches!(item, Item::Field(..) | Item::Without(_)))
    }

    /// Returns the fields that any part of the statement looks at.
    pub fn needed(&self) -> Needed {
        if self.grouping.is_none() && !self.has_computed_items() {
            return Needed::All;
        }
        Needed::of(self.codes())
    }

    /// Returns the fields that WHERE looks at.
    pub fn filter_needs(&self) -> Needed {
        Needed::of(self.filter.iter())
    }

    /// Returns the fields that decide whether a document is of use to a run: those of WHERE, and of ORDER BY where LIMIT
    /// follows. See `SelectRun::wants`.
    pub fn deciding(&self) -> Needed {
        let order = self.order.iter().map(|(key, _)| key).filter(|_| self.limit.is_some() && !self.is_ordered);
        Needed::of(self.filter.iter().chain(order))
    }

    /// Says whether a run may have enough before it has seen all documents.
    pub fn stops_early(&self) -> bool {
        self.limit.is_some()
            && (self.order.is_empty() || self.is_ordered)
            && self.grouping.is_none()
            && self.windows.is_empty()
    }

    /// Says whether there is a LIMIT or an OFFSET, so that a document that leaves can let another in.
    pub fn has_limit(&self) -> bool {
        self.limit.is_some() || self.offset > 0
    }

    /// Says whether rows are put into an order.
    pub fn has_order(&self) -> bool {
        !self.order.is_empty() && !self.is_ordered
    }

    /// Says whether rows are groups and not documents.
    pub fn has_aggregates(&self) -> bool {
        self.grouping.is_some()
    }

    /// Says whether equal rows are one.
    pub fn is_distinct(&self) -> bool {
        self.distinct
    }

    /// Says whether each row is a whole document: `SELECT *`.
    pub fn has_whole_documents(&self) -> bool {
        matches!(self.projection.as_slice(), [Item::All]) && !self.distinct
    }
}

/// Says whether an expression needs more than its own row.
pub(crate) fn has_subquery(code: &Code) -> bool {
    matches!(code, Code::Outer(..) | Code::Subquery(_)) || !code.all_parts(&mut |part| !has_subquery(part))
}

pub(super) fn plan_select(
    select: &ast::Select,
    args: &Object,
    context: &Context<'_>,
    names: Names<'_>,
) -> Result<Select, DqlError> {
    let mut binder = Binder::new(args, context, Scope::Nothing("a SELECT without FROM"));
    binder.names = names;
    let mut from = plan_from(select, &mut binder)?;
    let filter = binder.bind_optional(select.filter.as_ref())?;
    let keys = binder.bind_all(&select.group)?;
    binder.calls = Some((keys.len(), Vec::new()));
    binder.windows = Some(Vec::new());
    let projection = plan_projection(&select.projection, select.from.is_some(), &mut binder)?;
    let windows = binder.windows.take();
    let mut having = binder.bind_optional(select.having.as_ref())?;
    binder.windows = windows;
    binder.items = projection;
    let mut order = plan_order(&select.order, &mut binder)?;
    let mut projection = std::mem::take(&mut binder.items);
    let windows = binder.windows.take().unwrap_or_default();
    let calls = binder.calls.take().map_or(Vec::new(), |(_, calls)| calls);

    let grouped = !keys.is_empty() || !calls.is_empty() || having.is_some();
    if grouped && !windows.is_empty() {
        return Err(DqlError::unsupported("window functions over groups; group in a sub-query", select.span));
    }
    if grouped {
        for item in &mut projection {
            match item {
                Item::All | Item::AllOf(_) => {
                    return Err(DqlError::invalid("* cannot stand with aggregates or GROUP BY", select.span));
                }
                Item::Field(_, code) => group_slots(code, &keys, select.span)?,
                Item::Without(_) => {}
            }
        }
        let rest = having.iter_mut().chain(order.iter_mut().map(|(code, _)| code));
        rest.into_iter().try_for_each(|code| group_slots(code, &keys, select.span))?;
    }
    let mut way = None;
    if let (From::Collection(source), Some(written)) = (&mut from, &select.from) {
        let (plan, indexes, hints) = plan_way(written, filter.as_ref(), args, context)?;
        *source = plan;
        way = Some((indexes, hints));
    }
    let mut plan = Select {
        from,
        filter,
        projection,
        distinct: select.distinct.is_some(),
        grouping: grouped.then_some(Grouping { keys, calls, having }),
        windows,
        order,
        is_ordered: false,
        limit: plan_count(select.limit.as_ref(), "LIMIT", args, context)?,
        offset: plan_count(select.offset.as_ref(), "OFFSET", args, context)?.unwrap_or(0),
        indexes: Vec::new(),
    };
    plan.finish(way);
    Ok(plan)
}

/// Plans FROM but for the way to the documents, and tells the binder which names there are.
fn plan_from(select: &ast::Select, binder: &mut Binder<'_>) -> Result<From, DqlError> {
    let Some(source) = &select.from else { return Ok(From::Nothing) };
    if !select.joins.is_empty() {
        return Ok(From::Join(Box::new(plan_join(select, source, binder, binder.names)?)));
    }
    binder.scope = scope(source);
    Ok(match query_of(source, binder.args, binder.context, binder.names)? {
        Some(query) => From::Query(query),
        // The way to the documents is found when WHERE is known.
        None => From::Collection(Source::of(source, binder.context)?),
    })
}

fn plan_order(order: &[ast::Order], binder: &mut Binder<'_>) -> Result<Vec<(Code, bool)>, DqlError> {
    order.iter().map(|key| Ok((binder.bind(&key.expr)?, key.descending))).collect()
}

impl Select {
    /// Chooses what depends on the whole statement: how much of an index is enough, and what each side of a join is for.
    fn finish(&mut self, way: Option<(Vec<Index>, Hints)>) {
        if let From::Join(join) = &self.from {
            let mut join = join.clone();
            if self.has_computed_items() || self.grouping.is_some() {
                join.need(&self.codes().collect::<Vec<_>>());
            }
            self.from = From::Join(join);
        }
        let (From::Collection(source), Some((indexes, hints))) = (&self.from, way) else { return };
        let mut access = source.access.clone();
        if self.orders_first_of_equals() {
            // Which of the documents with equal rows is the first must not depend on the index: they come by their keys.
            if let Access::Index(_) = access {
                access = Access::Intersection(vec![access]);
            }
            if let From::Collection(source) = &mut self.from {
                source.access = access;
            }
            return;
        }
        let sorts = !self.order.is_empty() && self.grouping.is_none() && self.windows.is_empty();
        if let Some(scan) = self.whole_scan(&access, &indexes, sorts, &hints) {
            access = Access::Index(scan);
        }
        if let Access::Index(scan) = &mut access {
            scan.covering = self.is_covered(&scan.index);
            let served = if sorts { serves(scan, &self.order) } else { Served::Not };
            scan.reverse = served == Served::Backwards;
            self.is_ordered = served != Served::Not;
        }
        if let From::Collection(source) = &mut self.from {
            source.access = access;
        }
        self.indexes = indexes;
    }

    /// Says whether the place of a distinct row depends on which of the documents with that row comes first.
    fn orders_first_of_equals(&self) -> bool {
        let is_shown = |key: &Code| {
            let shows = |item: &Item| match item {
                Item::All => true,
                Item::Field(_, code) => code == key,
                Item::AllOf(_) | Item::Without(_) => false,
            };
            self.projection.iter().any(shows)
        };
        self.distinct && self.grouping.is_none() && !self.order.iter().all(|(key, _)| is_shown(key))
    }

    /// Returns an index to read as a whole: in the wanted order up to a limit, or instead of larger documents.
    fn whole_scan(&self, access: &Access, indexes: &[Index], sorts: bool, hints: &Hints) -> Option<IndexScan> {
        let whole = |index: &Index| IndexScan {
            index: index.clone(),
            bounds: vec![KeyBounds { equal: Vec::new(), low: Bound::Unbounded, high: Bound::Unbounded }],
            reverse: false,
            covering: false,
        };
        let ordered = || indexes.iter().map(whole).find(|scan| sorts && serves(scan, &self.order) != Served::Not);
        match access {
            Access::All if self.limit.is_some() && (self.filter.is_none() || hints.prefers_order) => ordered(),
            Access::Index(scan) if hints.prefers_order && serves(scan, &self.order) == Served::Not => ordered(),
            Access::All if self.counts_all() => None,
            // What the row around asks for is found when it is known.
            Access::All if self.usual_access(indexes) != Access::All => None,
            Access::All => indexes.iter().find(|index| self.is_covered(index)).map(whole),
            Access::Ids(_) | Access::Index(_) | Access::Intersection(_) | Access::Union(_) => None,
        }
    }

    fn is_covered(&self, index: &Index) -> bool {
        (self.grouping.is_some() || self.has_computed_items()) && covers(index, self.codes())
    }

    /// Returns what kind of access `access` will find.
    fn usual_access(&self, indexes: &[Index]) -> Access {
        let filter = self.filter.as_ref().filter(|filter| has_subquery(filter));
        Finder { prefix: None, indexes, known: Known::Assumed, scans_max: 1 }.find(filter)
    }

    /// Returns the way to the documents where it depends on the row around, or on a sub-query.
    pub(crate) fn access(&self, around: Around<'_>) -> Option<Access> {
        let written = self.source().is_some_and(|source| source.access == Access::All);
        if !written || !self.filter.as_ref().is_some_and(has_subquery) {
            return None;
        }
        let environment = Environment { document: None, around, ..Environment::default() };
        let finder = |known| Finder { prefix: None, indexes: &self.indexes, known, scans_max: 1 };
        let filter = self.filter.as_ref();
        Some(finder(Known::Row(environment)).find(filter))
    }
}

pub(super) fn plan_projection(
    items: &[Projection],
    has_source: bool,
    binder: &mut Binder<'_>,
) -> Result<Vec<Item>, DqlError> {
    let written = items;
    let mut items: Vec<Item> = Vec::new();
    let mut names: BTreeSet<Cow<'_, str>> = BTreeSet::new();
    let mut computed = 0;
    for item in written {
        items.push(match item {
            Projection::All(span) if written.len() > 1 => {
                return Err(DqlError::invalid("* cannot stand with other items; alias.* can", *span));
            }
            Projection::All(span) if !has_source => {
                return Err(DqlError::invalid("* needs a collection to take documents from", *span));
            }
            Projection::All(_) => Item::All,
            Projection::AllOf(alias, span) if !binder.is_qualifier(alias) => {
                return Err(DqlError::invalid("there is no such alias in FROM", *span));
            }
            Projection::AllOf(alias, _) if matches!(binder.scope, Scope::Joined(_)) => Item::AllOf(alias.clone()),
            Projection::AllOf(..) => Item::All,
            Projection::Expr(expr, alias, span) => {
                let name = alias.as_deref().or_else(|| own_name(expr)).map_or_else(
                    || {
                        computed += 1;
                        Cow::Owned(["($", &i32::to_string(&computed), ")"].concat())
                    },
                    Cow::Borrowed,
                );
                let shown = name.to_string();
                if !names.insert(name) {
                    return Err(DqlError::invalid("two items have this name; give one another with AS", *span));
                }
                Item::Field(shown, binder.bind(expr)?)
            }
            Projection::Without(name) => Item::Without(name.clone()),
        });
    }
    Ok(items)
}

/// Returns the name of an item that is a path: its last name.
fn own_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Name(name, _) => Some(name),
        Expr::Path(_, steps) => match steps.last() {
            Some(Step::Name(name)) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// Replaces the keys of a group by their slots; a field outside of keys and aggregates has no one value in a group.
fn group_slots(code: &mut Code, keys: &[Code], span: Span) -> Result<(), DqlError> {
    if let Some(slot) = keys.iter().position(|key| key == code) {
        *code = Code::Slot(slot);
        return Ok(());
    }
    match code {
        Code::Field(path) => {
            let message = ["the field ", &path.join("."), " is neither in GROUP BY nor in an aggregate"].concat();
            Err(DqlError::invalid(&message, span))
        }
        Code::Subquery(subquery) if subquery.correlated => {
            Err(DqlError::unsupported("a sub-query that looks at a row of a group", span))
        }
        Code::Document => Err(DqlError::invalid("a document is neither in GROUP BY nor in an aggregate", span)),
        _ => code.parts_mut().into_iter().try_for_each(|part| group_slots(part, keys, span)),
    }
}

/// Reads the number of LIMIT or OFFSET.
pub(super) fn plan_count(
    expr: Option<&Expr>,
    part: &'static str,
    args: &Object,
    context: &Context<'_>,
) -> Result<Option<usize>, DqlError> {
    let Some(expr) = expr else { return Ok(None) };
    let (code, span, invalid) = match expr {
        Expr::Parameter(_, span) => {
            (Binder::new(args, context, Scope::Nothing(part)), Some(*span), ErrorCode::QueryArgumentsInvalid)
        }
        _ => (Binder::new(args, context, Scope::Nothing(part)), None, ErrorCode::QueryInvalid),
    };
    let mut binder = code;
    let count = match binder.bind(expr)? {
        Code::Constant(Some(value)) => value.as_int().and_then(whole_count),
        _ => None,
    };
    match count {
        Some(count) => Ok(Some(count)),
        None => Err(DqlError::new(invalid, [part, " takes an integer that is not negative"].concat(), span)),
    }
}
