//! The statement as written: what the parser makes, the printer writes and the planner reads.
//!
//! Operators of one level are one [`Expr::Chain`], so that a thousand terms joined by OR are one node and not a thousand
//! levels; nesting is bounded by the parser (`DEPTH_MAX` there), and everything that recurses over a tree stands on that.
//!
//! Invariants: a tree holds no value of a parameter and knows no document; it may hold statements that have no plan.

mod command;
mod query;

use value::Value;

use crate::error::Span;
use crate::function::{Aggregate, Function};
use crate::iteration::Iteration;

pub use command::{Advise, AlterSystem, CreateIndex, DropIndex, Show};
pub use query::{Body, Join, JoinKind, Named, Order, Projection, Query, Select, SetOperator, Source};

/// A statement.
#[derive(Clone, Debug)]
pub enum Statement {
    /// `ADVISE …`
    Advise(Advise),
    /// `ALTER SYSTEM …`
    AlterSystem(AlterSystem),
    /// `CREATE INDEX …`
    CreateIndex(CreateIndex),
    /// `DELETE FROM …`
    Delete(Removal),
    /// `/*+ {…} */ statement`: directives for the whole statement.
    Directed(Expr, Box<Statement>),
    /// `DROP INDEX …`
    DropIndex(DropIndex),
    /// `EVICT FROM …`
    Evict(Removal),
    /// `EXPLAIN …`
    Explain(Box<Statement>),
    /// `INSERT INTO …`
    Insert(Insert),
    /// `PROFILE …`
    Profile(Box<Statement>),
    /// `SELECT …`
    Select(Query),
    /// `SHOW …`
    Show(Show),
    /// `UPDATE …`
    Update(Update),
}

/// The hint USE IDS.
#[derive(Clone, Debug)]
pub enum Ids {
    /// `USE IDS LIST expr`: an array.
    Array(Expr, Span),
    /// `USE IDS expr, …`
    Each(Vec<Expr>, Span),
}

/// The CRDT type that a statement declares for a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// A register: one value, last writer wins.
    Register,
    /// A map: fields merge one by one.
    Map,
    /// A counter that can be set and restarted.
    Counter,
    /// The older counter, increments only.
    PnCounter,
    /// The token of an attachment.
    Attachment,
    /// Collaborative text.
    Text,
    /// Collaborative list.
    List,
    /// Collaborative XML tree.
    Xml,
}

impl FieldType {
    /// All types.
    pub const ALL: [FieldType; 8] = [
        FieldType::Register,
        FieldType::Map,
        FieldType::Counter,
        FieldType::PnCounter,
        FieldType::Attachment,
        FieldType::Text,
        FieldType::List,
        FieldType::Xml,
    ];

    /// Returns the word of the language.
    pub fn name(self) -> &'static str {
        match self {
            FieldType::Register => "REGISTER",
            FieldType::Map => "MAP",
            FieldType::Counter => "COUNTER",
            FieldType::PnCounter => "PN_COUNTER",
            FieldType::Attachment => "ATTACHMENT",
            FieldType::Text => "TEXT",
            FieldType::List => "LIST",
            FieldType::Xml => "XML",
        }
    }
}

impl Statement {
    /// Returns the kind of the statement, in lower case.
    pub fn kind(&self) -> &'static str {
        match self {
            Statement::Advise(_) => "advise",
            Statement::AlterSystem(_) => "alter system",
            Statement::CreateIndex(_) => "create index",
            Statement::Delete(_) => "delete",
            Statement::Directed(_, inner) => inner.kind(),
            Statement::DropIndex(_) => "drop index",
            Statement::Evict(_) => "evict",
            Statement::Explain(_) => "explain",
            Statement::Insert(_) => "insert",
            Statement::Profile(_) => "profile",
            Statement::Select(_) => "select",
            Statement::Show(_) => "show",
            Statement::Update(_) => "update",
        }
    }
}

/// `INSERT INTO c [INITIAL] DOCUMENTS (…), … ON ID CONFLICT …`
#[derive(Clone, Debug)]
pub struct Insert {
    /// The collection; no alias, no hint.
    pub source: Source,
    /// INITIAL was written.
    pub initial: bool,
    /// Each an object or an array of objects; empty where a query stands.
    pub documents: Vec<(Expr, Span)>,
    /// `INSERT INTO c SELECT …`
    pub query: Option<Box<Query>>,
    /// What happens to a document whose `_id` exists.
    pub policy: ConflictPolicy,
    /// RETURNING.
    pub returning: Vec<Projection>,
}

/// What INSERT does with a document whose `_id` exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConflictPolicy {
    /// The statement fails and changes nothing.
    #[default]
    Fail,
    /// The document is skipped.
    Nothing,
    /// Every supplied field is written.
    Update,
    /// Only the supplied fields that differ are written.
    UpdateLocalDiff,
}

/// `UPDATE c APPLY … SET … UNSET … WHERE …`
#[derive(Clone, Debug)]
pub struct Update {
    /// The collection; no alias.
    pub source: Source,
    /// APPLY.
    pub apply: Vec<(Target, Application)>,
    /// SET.
    pub set: Vec<(Target, Expr)>,
    /// UNSET.
    pub unset: Vec<Target>,
    /// WHERE.
    pub filter: Option<Expr>,
    /// RETURNING.
    pub returning: Vec<Projection>,
}

/// The field that a mutation changes.
#[derive(Clone, Debug)]
pub struct Target {
    /// The names from the document's root; never empty.
    pub path: Vec<String>,
    /// Where it is written.
    pub span: Span,
}

/// What APPLY does to a counter, a text, a list or an XML.
#[derive(Clone, Debug)]
pub enum Application {
    /// `INCREMENT BY n`
    Increment(Expr),
    /// `PN_INCREMENT BY n`
    PnIncrement(Expr),
    /// `RESTART [WITH n]`
    Restart(Option<Expr>),
    /// `SPLICE (start, delete [, insert])`: two or three expressions.
    Splice(Vec<Expr>),
}

/// `DELETE FROM` and `EVICT FROM`
#[derive(Clone, Debug)]
pub struct Removal {
    /// The collection.
    pub source: Source,
    /// WHERE.
    pub filter: Option<Expr>,
    /// LIMIT.
    pub limit: Option<Expr>,
    /// RETURNING.
    pub returning: Vec<Projection>,
}

/// An expression.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields of a variant are named in the text of the variant")]
pub enum Expr {
    /// `COUNT(*)` (no argument), `SUM(DISTINCT x)`
    Aggregate { function: Aggregate, distinct: bool, argument: Option<Box<Expr>>, span: Span },
    /// `[a, b]`
    Array(Vec<Expr>),
    /// `a [NOT] BETWEEN low AND high`; the three in this order.
    Between(Box<[Expr; 3]>, Negation),
    /// `CASE [subject] WHEN … THEN … ELSE … END`
    Case { subject: Option<Box<Expr>>, branches: Vec<(Expr, Expr)>, otherwise: Option<Box<Expr>> },
    /// Operators of one level, applied from left to right.
    Chain(Box<Expr>, Vec<(Operator, Expr)>),
    /// `EXISTS (query)`
    Exists(Box<Query>, Span),
    /// `name(a, b)`
    Function(Function, Vec<Expr>),
    /// `a [NOT] IN list`: the list is an array literal or any expression.
    In(Box<[Expr; 2]>, Negation),
    /// `a IS [NOT] NULL`
    Is(Box<Expr>, Absence, Negation),
    /// A quantifier or a comprehension.
    Iteration(Box<Iteration<Expr>>),
    /// `a [NOT] LIKE pattern [ESCAPE c]`
    Like { operands: Box<[Expr; 2]>, escape: Option<char>, case: Case, negation: Negation },
    /// A constant.
    Literal(Value),
    /// `missing`
    Missing,
    /// A name: a field, an alias, a collection.
    Name(String, Span),
    /// `-a`
    Negate(Box<Expr>),
    /// `NOT a`
    Not(Box<Expr>),
    /// `{'a': b}`
    Object(Vec<(String, Expr)>),
    /// `:name`
    Parameter(String, Span),
    /// `a.b[0]`: a base and what is taken from it, never nothing.
    Path(Box<Expr>, Vec<Step>),
    /// `(query)`: the value of its first row; after IN, the values of all its rows.
    Query(Box<Query>, Span),
    /// `a [NOT] SIMILAR TO pattern`
    Similar(Box<[Expr; 2]>, Negation),
    /// `ROW_NUMBER() OVER (PARTITION BY … ORDER BY …)`
    Window(Box<Window>),
}

/// A function over the rows around a row.
#[derive(Clone, Debug)]
pub struct Window {
    /// Which.
    pub function: WindowFunction,
    /// What is aggregated; nothing for numbers of rows and `COUNT(*)`.
    pub argument: Option<Expr>,
    /// PARTITION BY.
    pub partition: Vec<Expr>,
    /// ORDER BY.
    pub order: Vec<Order>,
    /// Where it is written.
    pub span: Span,
}

/// What OVER computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowFunction {
    /// An aggregate; with ORDER BY, of the rows up to this one and its equals.
    Aggregate(Aggregate),
    /// `DENSE_RANK()`: as RANK without gaps.
    DenseRank,
    /// `RANK()`: 1 and how many rows come before the first of the row's equals.
    Rank,
    /// `ROW_NUMBER()`: 1, 2, …
    RowNumber,
}

impl WindowFunction {
    /// Returns the function's name.
    pub fn name(self) -> &'static str {
        match self {
            WindowFunction::Aggregate(aggregate) => aggregate.name(),
            WindowFunction::DenseRank => "DENSE_RANK",
            WindowFunction::Rank => "RANK",
            WindowFunction::RowNumber => "ROW_NUMBER",
        }
    }
}

/// Whether NOT stands in an operator such as NOT IN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negation {
    /// With NOT.
    Negated,
    /// Without.
    Plain,
}

/// Whether LIKE tells upper from lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// ILIKE
    Insensitive,
    /// LIKE
    Sensitive,
}

/// What IS asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// No value.
    Missing,
    /// The value null.
    Null,
}

/// What is taken from a value.
#[derive(Clone, Debug)]
pub enum Step {
    /// `[expr]`: an item by number or a field by name.
    Index(Expr),
    /// `.name`
    Name(String),
}

/// An operator between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `AND`
    And,
    /// `||`
    Concat,
    /// `/`
    Divide,
    /// `=`
    Equal,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `*`
    Multiply,
    /// `!=`
    NotEqual,
    /// `OR`
    Or,
    /// `%`
    Remainder,
    /// `<<`
    ShiftLeft,
    /// `>>`
    ShiftRight,
    /// `-`
    Subtract,
    /// `XOR`
    Xor,
}

/// Binding levels, loosest first. Source: reference 2.2.
pub(crate) mod level {
    pub const OR: u8 = 1;
    pub const XOR: u8 = 2;
    pub const AND: u8 = 3;
    pub const NOT: u8 = 4;
    pub const IS: u8 = 5;
    pub const LIKE: u8 = 6;
    pub const COMPARISON: u8 = 7;
    pub const CONCAT: u8 = 8;
    pub const SHIFT: u8 = 9;
    pub const SUM: u8 = 10;
    pub const PRODUCT: u8 = 11;
    pub const UNARY: u8 = 12;
    pub const PRIMARY: u8 = 13;
}

impl Operator {
    /// Returns the operator's text.
    pub fn text(self) -> &'static str {
        match self {
            Operator::Add => "+",
            Operator::And => "AND",
            Operator::Concat => "||",
            Operator::Divide => "/",
            Operator::Equal => "=",
            Operator::Greater => ">",
            Operator::GreaterEqual => ">=",
            Operator::Less => "<",
            Operator::LessEqual => "<=",
            Operator::Multiply => "*",
            Operator::NotEqual => "!=",
            Operator::Or => "OR",
            Operator::Remainder => "%",
            Operator::ShiftLeft => "<<",
            Operator::ShiftRight => ">>",
            Operator::Subtract => "-",
            Operator::Xor => "XOR",
        }
    }

    pub(crate) fn level(self) -> u8 {
        match self {
            Operator::Or => level::OR,
            Operator::Xor => level::XOR,
            Operator::And => level::AND,
            Operator::Equal
            | Operator::Greater
            | Operator::GreaterEqual
            | Operator::Less
            | Operator::LessEqual
            | Operator::NotEqual => level::COMPARISON,
            Operator::Concat => level::CONCAT,
            Operator::ShiftLeft | Operator::ShiftRight => level::SHIFT,
            Operator::Add | Operator::Subtract => level::SUM,
            Operator::Divide | Operator::Multiply | Operator::Remainder => level::PRODUCT,
        }
    }
}
