//! A query inside an expression: its one value, its list of values, or whether it has rows.
//!
//! The query is run by an [`Answerer`], which remembers what does not depend on the row around.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use value::Value;

use super::{Answer, Code, Environment, truth};
use crate::aggregate::Key;
use crate::ast::Negation;
use crate::plan::Query;

/// A query as part of an expression.
#[derive(Clone, Debug)]
pub(crate) struct Subquery {
    pub kind: SubqueryKind,
    pub query: Rc<Query>,
    /// It looks at the row around it, so its answer differs from row to row.
    pub correlated: bool,
}

/// What an expression takes from a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubqueryKind {
    /// Whether there is a row.
    Exists,
    /// All values, after IN.
    List,
    /// The value of the first row; MISSING if there is none.
    Scalar,
}

/// Two sub-queries are one only if they are the same: equal texts may be bound in different places.
impl PartialEq for Subquery {
    fn eq(&self, other: &Subquery) -> bool {
        self.kind == other.kind && Rc::ptr_eq(&self.query, &other.query)
    }
}

/// Runs sub-queries.
pub(crate) trait Answerer {
    /// Returns the rows; `None` if they cannot be read now, which the answerer remembers as the reason to stop.
    fn answer(&self, subquery: &Subquery, outer: Environment<'_>) -> Option<Rc<Answers>>;
}

/// The rows of a sub-query.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Of a row with one column its value, else the row.
    pub values: Vec<Value>,
    sorted: OnceCell<BTreeSet<Key>>,
}

impl Answers {
    pub fn new(values: Vec<Value>) -> Answers {
        Answers { values, sorted: OnceCell::new() }
    }

    fn contains(&self, value: &Value) -> bool {
        let key = |value: &Value| Key(vec![Some(value.clone())]);
        self.sorted.get_or_init(|| self.values.iter().map(key).collect()).contains(&key(value))
    }
}

impl Subquery {
    fn answers(&self, environment: Environment<'_>) -> Option<Rc<Answers>> {
        environment.around.answerer?.answer(self, environment)
    }

    pub fn evaluate<'a>(&self, environment: Environment<'_>) -> Answer<'a> {
        let answers = self.answers(environment)?;
        match self.kind {
            SubqueryKind::Exists => truth(!answers.values.is_empty()),
            SubqueryKind::List => Some(Cow::Owned(Value::Array(answers.values.clone()))),
            SubqueryKind::Scalar => answers.values.first().cloned().map(Cow::Owned),
        }
    }

    /// `value [NOT] IN (query)`
    pub fn holds<'a>(&self, value: &Code, negation: Negation, environment: Environment<'_>) -> Answer<'a> {
        let value = value.evaluate(environment)?;
        let found = self.answers(environment)?.contains(&value);
        truth(found != (negation == Negation::Negated))
    }
}
