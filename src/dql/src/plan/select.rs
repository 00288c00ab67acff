//! The plan of SELECT.

use value::{ErrorCode, Object};

use super::{Source, plan_source, scope};
use crate::aggregate::Call;
use crate::ast::{self, Expr, Projection, Step};
use crate::bind::{Binder, Scope};
use crate::context::Context;
use crate::error::{DqlError, Span};
use crate::evaluate::Code;
use crate::needed::Needed;
use crate::run::SelectRun;

/// A SELECT with its arguments in place.
#[derive(Clone, Debug)]
pub struct Select {
    pub(crate) source: Option<Source>,
    pub(crate) filter: Option<Code>,
    pub(crate) projection: Vec<Item>,
    pub(crate) distinct: bool,
    pub(crate) grouping: Option<Grouping>,
    /// The keys, and whether each descends.
    pub(crate) order: Vec<(Code, bool)>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
}

/// One item of a row.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// All fields of the document.
    All,
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
    /// Returns the collection; nothing for a SELECT without FROM, which is finished without a push.
    pub fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// Starts a run over documents.
    pub fn start(&self) -> SelectRun<'_> {
        SelectRun::new(self)
    }

    /// Says whether WHERE is true for a document. It looks at nothing else: not at USE IDS, which is in the source, and not
    /// at LIMIT.
    pub fn matches(&self, object: &Object) -> bool {
        Code::holds(self.filter.as_ref(), object)
    }

    /// Returns the fields that any part of the statement looks at.
    pub fn needed(&self) -> Needed {
        let computed = |item: &Item| matches!(item, Item::Field(..) | Item::Without(_));
        if self.grouping.is_none() && !self.projection.iter().all(computed) {
            return Needed::All;
        }
        let items = self.projection.iter().filter_map(|item| match item {
            Item::Field(_, code) => Some(code),
            Item::All | Item::Without(_) => None,
        });
        let grouped = self.grouping.iter().flat_map(|grouping| {
            let arguments = grouping.calls.iter().filter_map(|call| call.argument.as_ref());
            grouping.keys.iter().chain(arguments)
        });
        let order = self.order.iter().map(|(key, _)| key);
        Needed::of(self.filter.iter().chain(items).chain(grouped).chain(order))
    }

    /// Returns the fields that decide whether a document is of use to a run: those of WHERE, and of ORDER BY where LIMIT
    /// follows. See `SelectRun::wants`.
    pub fn deciding(&self) -> Needed {
        let order = self.order.iter().map(|(key, _)| key).filter(|_| self.limit.is_some());
        Needed::of(self.filter.iter().chain(order))
    }

    /// Says whether a run may have enough before it has seen all documents.
    pub fn stops_early(&self) -> bool {
        self.limit.is_some() && self.order.is_empty() && self.grouping.is_none()
    }

    /// Says whether there is a LIMIT or an OFFSET, so that a document that leaves can let another in.
    pub fn has_limit(&self) -> bool {
        self.limit.is_some() || self.offset > 0
    }

    /// Says whether there is an ORDER BY.
    pub fn has_order(&self) -> bool {
        !self.order.is_empty()
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

pub(super) fn plan_select(select: &ast::Select, args: &Object, context: &Context<'_>) -> Result<Select, DqlError> {
    let names = select.from.as_ref().map_or(Scope::Nothing("a SELECT without FROM"), scope);
    let mut binder = Binder::new(args, context, names);
    let filter = binder.bind_optional(select.filter.as_ref())?;
    let keys = binder.bind_all(&select.group)?;
    binder.calls = Some((keys.len(), Vec::new()));
    let mut projection = plan_projection(select, &mut binder)?;
    let mut having = binder.bind_optional(select.having.as_ref())?;
    binder.aliases = projection.iter().filter_map(alias_of).collect();
    let mut order = Vec::new();
    for key in &select.order {
        order.push((binder.bind(&key.expr)?, key.descending));
    }
    let calls = binder.calls.take().map_or(Vec::new(), |(_, calls)| calls);

    let grouped = !keys.is_empty() || !calls.is_empty() || having.is_some();
    if grouped {
        for item in &mut projection {
            match item {
                Item::All => return Err(DqlError::invalid("* cannot stand with aggregates or GROUP BY", select.span)),
                Item::Field(_, code) => group_slots(code, &keys, select.span)?,
                Item::Without(_) => {}
            }
        }
        let rest = having.iter_mut().chain(order.iter_mut().map(|(code, _)| code));
        rest.into_iter().try_for_each(|code| group_slots(code, &keys, select.span))?;
    }
    let source = match &select.from {
        Some(source) => Some(plan_source(source, filter.as_ref(), args, context)?),
        None => None,
    };
    Ok(Select {
        source,
        filter,
        projection,
        distinct: select.distinct.is_some(),
        grouping: grouped.then_some(Grouping { keys, calls, having }),
        order,
        limit: plan_count(select.limit.as_ref(), "LIMIT", args, context)?,
        offset: plan_count(select.offset.as_ref(), "OFFSET", args, context)?.unwrap_or(0),
    })
}

fn plan_projection(select: &ast::Select, binder: &mut Binder<'_>) -> Result<Vec<Item>, DqlError> {
    let mut items: Vec<Item> = Vec::new();
    let mut computed = 0;
    for item in &select.projection {
        items.push(match item {
            Projection::All(span) if select.projection.len() > 1 => {
                return Err(DqlError::invalid("* cannot stand with other items; alias.* can", *span));
            }
            Projection::All(span) if select.from.is_none() => {
                return Err(DqlError::invalid("* needs a collection to take documents from", *span));
            }
            Projection::All(_) => Item::All,
            Projection::AllOf(alias, span) if !binder.is_qualifier(alias) => {
                return Err(DqlError::invalid("there is no such alias in FROM", *span));
            }
            Projection::AllOf(..) => Item::All,
            Projection::Expr(expr, alias, span) => {
                let name = alias.clone().or_else(|| own_name(expr)).unwrap_or_else(|| {
                    computed += 1;
                    ["($", &i32::to_string(&computed), ")"].concat()
                });
                if items.iter().any(|item| matches!(item, Item::Field(known, _) if *known == name)) {
                    return Err(DqlError::invalid("two items have this name; give one another with AS", *span));
                }
                Item::Field(name, binder.bind(expr)?)
            }
            Projection::Without(name) => Item::Without(name.clone()),
        });
    }
    Ok(items)
}

/// Returns the name of an item that is a path: its last name.
fn own_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Name(name, _) => Some(name.clone()),
        Expr::Path(_, steps) => match steps.last() {
            Some(Step::Name(name)) => Some(name.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn alias_of(item: &Item) -> Option<(String, Code)> {
    match item {
        Item::Field(name, code) => Some((name.clone(), code.clone())),
        Item::All | Item::Without(_) => None,
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
        Code::Constant(Some(value)) => value.as_int().and_then(|int| usize::try_from(int).ok()),
        _ => None,
    };
    match count {
        Some(count) => Ok(Some(count)),
        None => Err(DqlError::new(invalid, [part, " takes an integer that is not negative"].concat(), span)),
    }
}
