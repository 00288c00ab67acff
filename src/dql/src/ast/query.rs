//! Queries as written: SELECT, what joins it to others, and where its rows come from.

use super::{Expr, Ids};
use crate::error::Span;

use super::FieldType;

/// `[WITH …] SELECT … [UNION …]`
#[derive(Clone, Debug)]
pub struct Query {
    /// WITH: named queries that those after them and the body can read like collections.
    pub with: Vec<Named>,
    /// The first operand.
    pub first: Body,
    /// The others, applied from left to right.
    pub rest: Vec<(SetOperator, Body)>,
    /// ORDER BY of the whole; empty where there is one operand, which has its own.
    pub order: Vec<Order>,
    /// LIMIT of the whole.
    pub limit: Option<Expr>,
    /// OFFSET of the whole.
    pub offset: Option<Expr>,
}

/// `name AS (query)`
#[derive(Clone, Debug)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Where the name is.
    pub span: Span,
    /// What it stands for.
    pub query: Query,
}

/// An operand of a set operator.
#[derive(Clone, Debug)]
pub enum Body {
    /// A query in parentheses.
    Query(Box<Query>),
    /// A SELECT.
    Select(Box<Select>),
}

/// How two queries become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOperator {
    /// `EXCEPT`
    Except,
    /// `INTERSECT`
    Intersect,
    /// `UNION`
    Union,
    /// `UNION ALL`
    UnionAll,
}

impl SetOperator {
    /// Returns the operator's text.
    pub fn text(self) -> &'static str {
        match self {
            SetOperator::Except => "EXCEPT",
            SetOperator::Intersect => "INTERSECT",
            SetOperator::Union => "UNION",
            SetOperator::UnionAll => "UNION ALL",
        }
    }
}

/// `SELECT [DISTINCT] … FROM … JOIN … WHERE … GROUP BY … HAVING … ORDER BY … LIMIT … OFFSET …`
#[derive(Clone, Debug)]
pub struct Select {
    /// Where the word SELECT is.
    pub span: Span,
    /// The place of DISTINCT.
    pub distinct: Option<Span>,
    /// What a row holds; never empty.
    pub projection: Vec<Projection>,
    /// The collection; absent in `SELECT 1 + 1`.
    pub from: Option<Source>,
    /// JOIN, in the order of writing.
    pub joins: Vec<Join>,
    /// WHERE.
    pub filter: Option<Expr>,
    /// GROUP BY.
    pub group: Vec<Expr>,
    /// HAVING.
    pub having: Option<Expr>,
    /// ORDER BY.
    pub order: Vec<Order>,
    /// LIMIT.
    pub limit: Option<Expr>,
    /// OFFSET.
    pub offset: Option<Expr>,
}

/// `[INNER | LEFT | RIGHT] JOIN source ON condition`
#[derive(Clone, Debug)]
pub struct Join {
    /// Which side is kept whole.
    pub kind: JoinKind,
    /// What is joined.
    pub source: Source,
    /// ON.
    pub on: Expr,
}

/// Which side of a join keeps the rows that find no partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// Neither.
    Inner,
    /// What stands left of it.
    Left,
    /// What stands right of it.
    Right,
}

impl JoinKind {
    /// Returns the words of the language.
    pub fn text(self) -> &'static str {
        match self {
            JoinKind::Inner => "JOIN",
            JoinKind::Left => "LEFT JOIN",
            JoinKind::Right => "RIGHT JOIN",
        }
    }
}

/// One item of a projection.
#[derive(Clone, Debug)]
pub enum Projection {
    /// `*`
    All(Span),
    /// `alias.*`
    AllOf(String, Span),
    /// `expr [AS name]`
    Expr(Expr, Option<String>, Span),
    /// `MISSING name`: leaves out a field that an earlier `alias.*` brought.
    Without(String),
}

/// One key of ORDER BY.
#[derive(Clone, Debug)]
pub struct Order {
    /// The key.
    pub expr: Expr,
    /// DESC was written.
    pub descending: bool,
}

/// A collection as a statement names it, or a query in its place.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name; `system:name` for a system collection; empty where a query stands.
    pub collection: String,
    /// `FROM (SELECT …) alias`
    pub query: Option<Box<Query>>,
    /// The declared types, nested MAP declarations flattened.
    pub types: Vec<(Vec<String>, FieldType)>,
    /// AS.
    pub alias: Option<String>,
    /// USE IDS.
    pub ids: Option<Ids>,
    /// USE INDEX: the name, and its place; an empty name forbids indexes.
    pub index: Option<(String, Span)>,
    /// USE DIRECTIVES, written as an object.
    pub directives: Option<(Expr, Span)>,
    /// Where the name is.
    pub span: Span,
}
