//! Bound expressions and their evaluation on one document.
//!
//! In goes a [`Code`] (an expression whose names, parameters and functions the planner has resolved) and an [`Environment`];
//! out comes a value or nothing, which is MISSING. What cannot be computed - a wrong type, an overflow, a division by zero -
//! is MISSING too, so evaluation has no errors.
//!
//! Invariants: no panic and no allocation beyond the result; no result text over `DOCUMENT_BYTES_MAX`; nothing is computed
//! that is not finite. Source: reference 2.3.

pub(crate) mod arithmetic;
mod cast;
pub(crate) mod date;
mod function;
mod iteration;
mod json;
mod matcher;
mod parts;
pub(crate) mod pattern;
mod subquery;

use std::borrow::Cow;
use std::cell::Cell;

use value::order;
use value::{Object, Value};

use crate::ast::{Absence, Case, Negation, Operator};
use crate::function::Function;
use crate::iteration::Iteration;
pub(crate) use date::Host;
pub(crate) use matcher::Matcher;

pub(crate) use subquery::{Answerer, Answers, Subquery, SubqueryKind};

/// The result of an expression; `None` is MISSING.
pub(crate) type Answer<'a> = Option<Cow<'a, Value>>;

/// An expression ready to be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Code {
    Array(Vec<Code>),
    Between(Box<[Code; 3]>, Negation),
    Case {
        subject: Option<Box<Code>>,
        branches: Vec<(Code, Code)>,
        otherwise: Option<Box<Code>>,
    },
    Chain(Box<Code>, Vec<(Operator, Code)>),
    Constant(Option<Value>),
    /// The whole document.
    Document,
    /// A field of the document by the names from its root.
    Field(Vec<String>),
    Function(Function, Vec<Code>),
    In(Box<[Code; 2]>, Negation),
    Is(Box<Code>, Absence, Negation),
    Iteration(Box<Iteration<Code>>),
    Like {
        operands: Box<[Code; 2]>,
        escape: Option<char>,
        case: Case,
        negation: Negation,
    },
    /// Whether a text matches a pattern that does not change.
    Matches(Box<Code>, Matcher, Negation),
    /// What an index or a name, computed by the second, takes from the first.
    Member(Box<Code>, Vec<Code>),
    Negate(Box<Code>),
    Not(Box<Code>),
    Object(Vec<(String, Code)>),
    /// An expression over the row of a query around this one, so many levels out.
    Outer(usize, Box<Code>),
    /// SIMILAR TO with a pattern that is computed.
    Similar(Box<[Code; 2]>, Negation),
    /// A key or an aggregate of the group, or what a window function came to.
    Slot(usize),
    /// A query in the expression.
    Subquery(Subquery),
    /// A variable of an iteration around, see `iteration::variable`.
    Variable(usize),
    /// A function that asks the host for zones.
    Zoned(Function, Vec<Code>, Host),
}

/// What an expression may look at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Environment<'a> {
    pub document: Option<&'a Object>,
    /// Some fields of the document in its place.
    pub fields: Option<FieldRow<'a>>,
    /// The keys and then the aggregates of a group, or what the window functions came to.
    pub slots: &'a [Option<Value>],
    pub around: Around<'a>,
    /// The variables of the innermost iteration.
    pub frame: Option<&'a iteration::Frame<'a>>,
    /// What the iterations may still do, once there is one.
    pub budget: Option<&'a Cell<iteration::Budget>>,
}

/// Some fields of a document, side by side: what a caller has at hand without the document.
#[derive(Clone, Copy, Debug)]
pub struct FieldRow<'a> {
    /// The names at the top of the document; `_id` may be one of them.
    pub names: &'a [String],
    /// The values in the same order; `None` where the document has none.
    pub values: &'a [Option<Value>],
}

impl<'a> FieldRow<'a> {
    fn field(self, path: &[String]) -> Option<&'a Value> {
        let (first, rest) = path.split_first()?;
        let place = self.names.iter().position(|name| name == first)?;
        rest.iter().try_fold(self.values.get(place)?.as_ref()?, |value, name| value.as_object()?.get(name))
    }
}

/// What lies around a query while it runs.
#[derive(Clone, Copy, Default)]
pub struct Around<'a> {
    /// The row of the query around this one.
    pub(crate) outer: Option<&'a Environment<'a>>,
    /// Who answers sub-queries; without, their values are MISSING.
    pub(crate) answerer: Option<&'a dyn Answerer>,
}

impl std::fmt::Debug for Around<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Around").field("outer", &self.outer.is_some()).finish_non_exhaustive()
    }
}

impl Environment<'_> {
    /// Returns the document, or as much of it as is at hand.
    pub fn object(&self) -> Object {
        let Some(row) = self.fields else { return self.document.cloned().unwrap_or_default() };
        let mut object = Object::new();
        for (name, value) in row.names.iter().zip(row.values) {
            if let Some(value) = value {
                object.insert(name.clone(), value.clone());
            }
        }
        object
    }
}

impl Code {
    /// Evaluates the expression.
    pub fn evaluate<'a>(&'a self, environment: Environment<'a>) -> Answer<'a> {
        let answer = self.answer(environment);
        match environment.budget {
            None => answer,
            Some(budget) => iteration::charged(answer, budget),
        }
    }

    #[inline(always)]
    fn answer<'a>(&'a self, environment: Environment<'a>) -> Answer<'a> {
        match self {
            Code::Array(items) => array(items, environment),
            Code::Between(operands, negation) => between(operands, *negation, environment),
            Code::Case { subject, branches, otherwise } => {
                match case(subject.as_deref(), branches, environment).or(otherwise.as_deref()) {
                    Some(chosen) => chosen.evaluate(environment),
                    None => Some(Cow::Owned(Value::Null)),
                }
            }
            Code::Chain(first, rest) => chain(first, rest, environment),
            Code::Constant(value) => value.as_ref().map(Cow::Borrowed),
            Code::Document => environment.document.map(|document| Cow::Owned(Value::Object(document.clone()))),
            Code::Field(path) => match environment.fields {
                None => field(environment.document?, path).map(Cow::Borrowed),
                Some(row) => row.field(path).map(Cow::Borrowed),
            },
            Code::Function(function, arguments) => function::call(*function, arguments, environment),
            Code::In(operands, negation) => match &operands[1] {
                Code::Subquery(list) => list.holds(&operands[0], *negation, environment),
                _ => is_in(operands, *negation, environment),
            },
            Code::Is(operand, absence, negation) => {
                let value = operand.evaluate(environment);
                let is = match absence {
                    Absence::Missing => value.is_none(),
                    Absence::Null => matches!(value.as_deref(), Some(Value::Null)),
                };
                truth(is != (*negation == Negation::Negated))
            }
            Code::Iteration(iteration) => iteration::iterate(iteration, environment),
            Code::Like { operands, escape, case, negation } => {
                let (text, pattern) = (operands[0].evaluate(environment)?, operands[1].evaluate(environment)?);
                let like = pattern::matches(text.as_str()?, pattern.as_str()?, *escape, *case);
                truth(like != (*negation == Negation::Negated))
            }
            Code::Matches(operand, matcher, negation) => {
                let is = matcher.is_match(operand.evaluate(environment)?.as_str()?);
                truth(is != (*negation == Negation::Negated))
            }
            Code::Member(base, steps) => member(base, steps, environment),
            Code::Negate(operand) => arithmetic::negate(&*operand.evaluate(environment)?).map(Cow::Owned),
            Code::Not(operand) => Truth::of(&operand.evaluate(environment)).not().answer(),
            Code::Object(fields) => object(fields, environment),
            Code::Outer(levels, code) => {
                let outer = (0..*levels).try_fold(&environment, |inner, _| inner.around.outer)?;
                code.value(*outer).map(Cow::Owned)
            }
            Code::Similar(operands, negation) => {
                let (text, pattern) = (operands[0].evaluate(environment)?, operands[1].evaluate(environment)?);
                let is = Matcher::similar(pattern.as_str()?).ok()?.is_match(text.as_str()?);
                truth(is != (*negation == Negation::Negated))
            }
            Code::Slot(slot) => environment.slots.get(*slot)?.as_ref().map(Cow::Borrowed),
            Code::Subquery(subquery) => subquery.evaluate(environment),
            Code::Variable(index) => iteration::variable(*index, environment),
            Code::Zoned(function, arguments, host) => function::dated(*function, arguments, environment, &*host.0),
        }
    }

    /// Says whether the expression is true; false, null and missing are not.
    pub fn is_true(&self, environment: Environment<'_>) -> bool {
        matches!(self.evaluate(environment).as_deref(), Some(Value::Bool(true)))
    }

    /// Says whether a predicate is true for a document; without one it is.
    pub fn holds(predicate: Option<&Code>, object: &Object, around: Around<'_>) -> bool {
        let environment = Environment { document: Some(object), around, ..Environment::default() };
        predicate.is_none_or(|predicate| predicate.is_true(environment))
    }

    /// Evaluates the expression to an owned value.
    pub fn value(&self, environment: Environment<'_>) -> Option<Value> {
        self.evaluate(environment).map(Cow::into_owned)
    }
}

fn truth<'a>(is: bool) -> Answer<'a> {
    Some(Cow::Owned(Value::Bool(is)))
}

/// Returns a field of a document by the names from its root.
pub(crate) fn field<'a>(document: &'a Object, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(document.get(first)?, |value, name| value.as_object()?.get(name))
}

/// The four outcomes of a condition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Truth {
    False,
    Missing,
    Null,
    True,
}

impl Truth {
    #[inline(always)]
    fn of(answer: &Answer<'_>) -> Truth {
        match answer.as_deref() {
            Some(Value::Bool(true)) => Truth::True,
            Some(Value::Bool(false)) => Truth::False,
            Some(Value::Null) => Truth::Null,
            _ => Truth::Missing,
        }
    }

    fn not(self) -> Truth {
        match self {
            Truth::False => Truth::True,
            Truth::True => Truth::False,
            unknown @ (Truth::Missing | Truth::Null) => unknown,
        }
    }

    /// AND with `decisive` false, OR with `decisive` true: the decisive operand wins, then missing, then null.
    fn join(self, other: Truth, decisive: Truth) -> Truth {
        if self == decisive || other == decisive {
            decisive
        } else if self == Truth::Missing || other == Truth::Missing {
            Truth::Missing
        } else if self == Truth::Null || other == Truth::Null {
            Truth::Null
        } else {
            self
        }
    }

    fn xor(self, other: Truth) -> Truth {
        match self {
            Truth::True if matches!(other, Truth::True | Truth::False) => other.not(),
            Truth::False => other,
            Truth::Null if other == Truth::Missing => other,
            Truth::Missing | Truth::Null => self,
            Truth::True => other,
        }
    }

    fn answer<'a>(self) -> Answer<'a> {
        match self {
            Truth::False => truth(false),
            Truth::Missing => None,
            Truth::Null => Some(Cow::Owned(Value::Null)),
            Truth::True => truth(true),
        }
    }
}

fn chain<'a>(first: &'a Code, rest: &'a [(Operator, Code)], environment: Environment<'a>) -> Answer<'a> {
    let mut left = first.evaluate(environment);
    for (operator, right) in rest {
        left = match operator {
            Operator::And | Operator::Or => {
                let decisive = if *operator == Operator::And { Truth::False } else { Truth::True };
                let before = Truth::of(&left);
                if before == decisive {
                    return decisive.answer();
                }
                before.join(Truth::of(&right.evaluate(environment)), decisive).answer()
            }
            Operator::Xor => Truth::of(&left).xor(Truth::of(&right.evaluate(environment))).answer(),
            _ => {
                let right = right.evaluate(environment);
                match (left, right) {
                    (Some(left), Some(right)) => operate(*operator, left, &right),
                    _ => None,
                }
            }
        };
    }
    left
}

/// Applies an operator to two values that are there.
#[inline(always)]
fn operate<'a>(operator: Operator, left: Cow<'a, Value>, right: &Value) -> Answer<'a> {
    let compared = || order::comparable(&left, right).then(|| order::compare(&left, right));
    match operator {
        Operator::Equal => truth(compared()?.is_eq()),
        Operator::Greater => truth(compared()?.is_gt()),
        Operator::GreaterEqual => truth(compared()?.is_ge()),
        Operator::Less => truth(compared()?.is_lt()),
        Operator::LessEqual => truth(compared()?.is_le()),
        Operator::NotEqual => truth(compared()?.is_ne()),
        Operator::Concat => {
            let Value::Str(mut text) = left.into_owned() else { return None };
            function::append(&mut text, right.as_str()?)?;
            Some(Cow::Owned(Value::Str(text)))
        }
        Operator::Add
        | Operator::Divide
        | Operator::Multiply
        | Operator::Remainder
        | Operator::ShiftLeft
        | Operator::ShiftRight
        | Operator::Subtract => arithmetic::compute(operator, &left, right).map(Cow::Owned),
        Operator::And | Operator::Or | Operator::Xor => None,
    }
}

fn between<'a>(operands: &'a [Code; 3], negation: Negation, environment: Environment<'a>) -> Answer<'a> {
    let [value, low, high] = operands;
    let value = value.evaluate(environment)?;
    let side = |bound: &Code, operator: Operator| {
        let bound = bound.evaluate(environment);
        Truth::of(&bound.and_then(|bound| operate(operator, Cow::Borrowed(&value), &bound)))
    };
    let is = side(low, Operator::GreaterEqual).join(side(high, Operator::LessEqual), Truth::False);
    if negation == Negation::Negated { is.not().answer() } else { is.answer() }
}

/// IN: missing only if the value is missing or the list is no array; an item of another type is just not equal.
fn is_in<'a>(operands: &'a [Code; 2], negation: Negation, environment: Environment<'a>) -> Answer<'a> {
    let value = operands[0].evaluate(environment)?;
    let equal = |item: &Value| order::equal(&value, item);
    let found = if let Code::Array(items) = &operands[1] {
        items.iter().any(|item| item.evaluate(environment).is_some_and(|item| equal(&item)))
    } else {
        operands[1].evaluate(environment)?.as_array()?.iter().any(equal)
    };
    truth(found != (negation == Negation::Negated))
}

/// Returns the branch that applies.
fn case<'a>(subject: Option<&Code>, branches: &'a [(Code, Code)], environment: Environment<'_>) -> Option<&'a Code> {
    let Some(subject) = subject else {
        return branches.iter().find(|(when, _)| when.is_true(environment)).map(|(_, then)| then);
    };
    let subject = subject.evaluate(environment)?;
    let applies = |when: &Code| when.evaluate(environment).is_some_and(|value| order::equal(&subject, &value));
    branches.iter().find(|(when, _)| applies(when)).map(|(_, then)| then)
}

fn member<'a>(base: &'a Code, steps: &'a [Code], environment: Environment<'a>) -> Answer<'a> {
    let mut value = base.evaluate(environment)?;
    for step in steps {
        let step = step.evaluate(environment)?;
        value = match value {
            Cow::Borrowed(value) => Cow::Borrowed(take(value, &step)?),
            Cow::Owned(value) => Cow::Owned(take(&value, &step)?.clone()),
        };
    }
    Some(value)
}

fn take<'v>(value: &'v Value, step: &Value) -> Option<&'v Value> {
    match value {
        Value::Array(items) => items.get(usize::try_from(step.as_int()?).ok()?),
        Value::Object(fields) => fields.get(step.as_str()?),
        Value::Bool(_) | Value::Bytes(_) | Value::Float(_) | Value::Int(_) | Value::Null | Value::Str(_) => None,
    }
}

/// A missing item becomes null, so that the others keep their places.
fn array<'a>(items: &'a [Code], environment: Environment<'a>) -> Answer<'a> {
    let values = items.iter().map(|item| item.value(environment).unwrap_or(Value::Null));
    Some(Cow::Owned(Value::Array(values.collect())))
}

/// A missing field is left out.
fn object<'a>(fields: &'a [(String, Code)], environment: Environment<'a>) -> Answer<'a> {
    // Inserted one by one: collecting sorts first, and each sort is kilobytes of code.
    let mut object = Object::new();
    for (name, code) in fields {
        if let Some(value) = code.value(environment) {
            object.insert(name.clone(), value);
        }
    }
    Some(Cow::Owned(Value::Object(object)))
}
