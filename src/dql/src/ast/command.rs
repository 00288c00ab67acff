//! Statements that are about the store and not about documents: indexes, parameters, advice.

use super::{Expr, Source, Statement};
use crate::error::Span;

/// `CREATE INDEX [IF NOT EXISTS] name ON collection (path [ASC | DESC], …)`
#[derive(Clone, Debug)]
pub struct CreateIndex {
    /// IF NOT EXISTS was written.
    pub if_absent: bool,
    /// The name.
    pub name: String,
    /// The collection; no alias, no hint.
    pub source: Source,
    /// The paths, and whether each descends; never empty.
    pub keys: Vec<(Vec<String>, bool)>,
    /// Where the name is.
    pub span: Span,
}

/// `DROP INDEX [IF EXISTS] name ON collection`
#[derive(Clone, Debug)]
pub struct DropIndex {
    /// IF EXISTS was written.
    pub if_exists: bool,
    /// The name.
    pub name: String,
    /// The collection; no alias, no hint.
    pub source: Source,
    /// Where the name is.
    pub span: Span,
}

/// `ALTER SYSTEM …`
#[derive(Clone, Debug)]
pub enum AlterSystem {
    /// `RESET ALL`
    ResetAll,
    /// `SET name = expr`; without an expression `SET name = DEFAULT` and `RESET name`.
    Set(String, Option<Expr>, Span),
}

/// `SHOW …`
#[derive(Clone, Debug)]
pub enum Show {
    /// `SHOW ALL [LIKE | ILIKE pattern]`; whether case counts.
    All(Option<(String, super::Case)>),
    /// `SHOW name`
    One(String, Span),
}

/// `ADVISE [AND PROVISION] statement`
#[derive(Clone, Debug)]
pub struct Advise {
    /// The advised indexes are made.
    pub provision: bool,
    /// What to give advice for.
    pub statement: Box<Statement>,
}
