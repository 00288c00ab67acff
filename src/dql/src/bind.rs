//! Expressions as written to expressions that can be evaluated: names, parameters and aggregates are resolved.
//!
//! In goes an [`Expr`], out comes a [`Code`] without parameters, where what is constant is a constant.
//!
//! Invariants: no document is read; every parameter is looked up once and remembered (a subscription's identity is its text
//! and the arguments it uses); an aggregate stands only where the caller collects aggregates.

mod function;
mod iteration;
use std::cell::Cell;
use std::rc::Rc;

use value::{ErrorCode, Object, Value};

use crate::aggregate::Call;
use crate::ast::{self, Expr, Step};
use crate::context::Context;
use crate::error::{DqlError, Span};
use crate::evaluate::{Code, Environment, Subquery, SubqueryKind};
use crate::plan::{Item, Query, WindowCall, plan_query};

/// What the names in an expression mean.
pub(crate) struct Binder<'a> {
    pub args: &'a Object,
    pub context: &'a Context<'a>,
    /// The arguments that were used.
    pub used: Object,
    pub scope: Scope,
    /// What is known from the statement around.
    pub names: Names<'a>,
    /// The items of the projection, while ORDER BY is bound.
    pub items: Vec<Item>,
    /// The variables of the iterations around, two for each: the place and the value.
    locals: Vec<String>,
    /// The aggregates found so far, and the number of the slot of the first; `None` where there may be none.
    pub calls: Option<(usize, Vec<Call>)>,
    /// The window functions found so far; `None` where there may be none.
    pub windows: Option<Vec<WindowCall>>,
}

/// What a query can name beside its own sources.
#[derive(Clone, Copy, Default)]
pub(crate) struct Names<'a> {
    /// The queries around it, innermost first.
    pub outer: Option<&'a Outer<'a>>,
    /// The queries of WITH; later ones hide earlier ones.
    pub with: &'a [(String, Rc<Query>)],
}

/// A query around another.
pub(crate) struct Outer<'a> {
    pub scope: &'a Scope,
    pub next: Option<&'a Outer<'a>>,
    /// The inner query names something of it, or of a query around it.
    pub used: Cell<bool>,
}

/// Where a field comes from.
pub(crate) enum Scope {
    /// A collection, by its alias or its own name.
    Collection { name: String, alias: Option<String> },
    /// A join: a row holds one document for each of these names.
    Joined(Vec<String>),
    /// Nowhere; the part of the statement, for the message.
    Nothing(&'static str),
}

impl<'a> Binder<'a> {
    pub fn new(args: &'a Object, context: &'a Context<'a>, scope: Scope) -> Binder<'a> {
        Binder {
            args,
            context,
            used: Object::new(),
            scope,
            names: Names::default(),
            items: Vec::new(),
            locals: Vec::new(),
            calls: None,
            windows: None,
        }
    }

    /// Resolves an expression.
    pub fn bind(&mut self, expr: &Expr) -> Result<Code, DqlError> {
        let code = match expr {
            Expr::Aggregate { span, .. } => return self.aggregate(expr, *span),
            Expr::Array(items) => Code::Array(self.bind_all(items)?),
            Expr::Between(operands, negation) => Code::Between(self.bind_each(operands)?, *negation),
            Expr::Case { subject, branches, otherwise } => {
                let subject = self.bind_boxed(subject.as_deref())?;
                let bind_branch = |(when, then): &(Expr, Expr)| Ok((self.bind(when)?, self.bind(then)?));
                let branches = branches.iter().map(bind_branch).collect::<Result<_, DqlError>>()?;
                Code::Case { subject, branches, otherwise: self.bind_boxed(otherwise.as_deref())? }
            }
            Expr::Chain(first, rest) => {
                let first = Box::new(self.bind(first)?);
                let bind_operand = |(operator, operand): &(_, Expr)| Ok((*operator, self.bind(operand)?));
                Code::Chain(first, rest.iter().map(bind_operand).collect::<Result<_, DqlError>>()?)
            }
            Expr::Exists(query, span) => return self.subquery(query, SubqueryKind::Exists, *span),
            Expr::Function(function, arguments) => self.function(*function, arguments)?,
            Expr::In(operands, negation) => match &operands[1] {
                Expr::Query(query, span) => {
                    let value = self.bind(&operands[0])?;
                    let list = self.subquery(query, SubqueryKind::List, *span)?;
                    return Ok(Code::In(Box::new([value, list]), *negation));
                }
                _ => Code::In(self.bind_each(operands)?, *negation),
            },
            Expr::Is(operand, absence, negation) => Code::Is(Box::new(self.bind(operand)?), *absence, *negation),
            Expr::Iteration(iteration) => return self.iteration(iteration),
            Expr::Like { operands, escape, case, negation } => {
                Code::Like { operands: self.bind_each(operands)?, escape: *escape, case: *case, negation: *negation }
            }
            Expr::Literal(value) => Code::Constant(Some(value.clone())),
            Expr::Missing => Code::Constant(None),
            Expr::Name(name, span) => return self.name(name, *span),
            Expr::Negate(operand) => Code::Negate(Box::new(self.bind(operand)?)),
            Expr::Not(operand) => Code::Not(Box::new(self.bind(operand)?)),
            Expr::Object(fields) => {
                let bind_field = |(name, expr): &(String, Expr)| Ok((name.clone(), self.bind(expr)?));
                Code::Object(fields.iter().map(bind_field).collect::<Result<_, DqlError>>()?)
            }
            Expr::Parameter(name, span) => return self.parameter(name, *span),
            Expr::Path(base, steps) => self.path(base, steps)?,
            Expr::Query(query, span) => return self.subquery(query, SubqueryKind::Scalar, *span),
            Expr::Similar(operands, negation) => self.similar(operands, *negation)?,
            Expr::Window(window) => return self.window(window),
        };
        Ok(fold(code))
    }

    /// Resolves an expression that is optional.
    pub fn bind_optional(&mut self, expr: Option<&Expr>) -> Result<Option<Code>, DqlError> {
        expr.map(|expr| self.bind(expr)).transpose()
    }

    fn bind_boxed(&mut self, expr: Option<&Expr>) -> Result<Option<Box<Code>>, DqlError> {
        Ok(self.bind_optional(expr)?.map(Box::new))
    }

    /// Resolves a list of expressions.
    pub fn bind_all(&mut self, exprs: &[Expr]) -> Result<Vec<Code>, DqlError> {
        exprs.iter().map(|expr| self.bind(expr)).collect()
    }

    fn bind_each<const N: usize>(&mut self, exprs: &[Expr; N]) -> Result<Box<[Code; N]>, DqlError> {
        let mut codes = [const { Code::Document }; N];
        for (code, expr) in codes.iter_mut().zip(exprs) {
            *code = self.bind(expr)?;
        }
        Ok(Box::new(codes))
    }

    fn parameter(&mut self, name: &str, span: Span) -> Result<Code, DqlError> {
        match self.args.get(name) {
            Some(value) => {
                self.used.insert(name.to_owned(), value.clone());
                Ok(Code::Constant(Some(value.clone())))
            }
            None => {
                let message = ["there is no argument for :", name].concat();
                Err(DqlError::new(ErrorCode::QueryArgumentsInvalid, message, Some(span)))
            }
        }
    }

    fn aggregate(&mut self, expr: &Expr, span: Span) -> Result<Code, DqlError> {
        let Expr::Aggregate { function, distinct, argument, .. } = expr else { return self.bind(expr) };
        // While the argument is bound there is nowhere to put an aggregate, so one in another is an error.
        let Some((first_slot, mut calls)) = self.calls.take() else {
            return Err(DqlError::invalid("an aggregate cannot stand here", span));
        };
        let argument = self.bind_optional(argument.as_deref())?;
        if argument.as_ref().is_some_and(|argument| !iteration::is_closed(argument, 0)) {
            return Err(DqlError::invalid(
                "an aggregate cannot use the variable of a quantifier or comprehension",
                span,
            ));
        }
        let call = Call { function: *function, distinct: *distinct, argument };
        if calls.len() == CALLS_MAX {
            return Err(DqlError::invalid("a query has at most 1000 different aggregates", span));
        }
        let index = calls.iter().position(|known| *known == call).unwrap_or_else(|| {
            calls.push(call);
            calls.len() - 1
        });
        self.calls = Some((first_slot, calls));
        Ok(Code::Slot(first_slot + index))
    }

    #[inline(never)]
    fn subquery(&mut self, query: &ast::Query, kind: SubqueryKind, span: Span) -> Result<Code, DqlError> {
        let outer = Outer { scope: &self.scope, next: self.names.outer, used: Cell::new(false) };
        let names = Names { outer: Some(&outer), with: self.names.with };
        let query = plan_query(query, self.args, self.context, names)?;
        if kind != SubqueryKind::Exists && query.columns() != Some(1) && query.columns().is_some() {
            return Err(DqlError::invalid("a sub-query that stands for a value has one column", span));
        }
        Ok(Code::Subquery(Subquery { kind, query: Rc::new(query), correlated: outer.used.get() }))
    }

    /// Takes a window function in, and returns its slot.
    #[inline(never)]
    fn window(&mut self, window: &ast::Window) -> Result<Code, DqlError> {
        let Some(mut windows) = self.windows.take() else {
            return Err(DqlError::invalid("a window function stands in the items or in ORDER BY", window.span));
        };
        let calls = self.calls.take();
        let argument = self.bind_optional(window.argument.as_ref())?;
        let partition = self.bind_all(&window.partition)?;
        let mut order = Vec::new();
        for key in &window.order {
            order.push((self.bind(&key.expr)?, key.descending));
        }
        self.calls = calls;
        let call = WindowCall { function: window.function, argument, partition, order };
        if windows.len() == CALLS_MAX {
            return Err(DqlError::invalid("a query has at most 1000 different window functions", window.span));
        }
        let slot = windows.iter().position(|known| *known == call).unwrap_or_else(|| {
            windows.push(call);
            windows.len() - 1
        });
        self.windows = Some(windows);
        Ok(Code::Slot(slot))
    }

    fn name(&mut self, name: &str, span: Span) -> Result<Code, DqlError> {
        if let Some(local) = self.local(name) {
            return Ok(Code::Variable(local));
        }
        if let Some(code) = self.named_item(name) {
            return Ok(code.clone());
        }
        match &self.scope {
            Scope::Collection { alias: Some(alias), .. } if alias == name => Ok(Code::Document),
            Scope::Collection { .. } => Ok(Code::Field(vec![name.to_owned()])),
            Scope::Joined(aliases) if aliases.iter().any(|alias| alias == name) => {
                Ok(Code::Field(vec![name.to_owned()]))
            }
            // The row of a join is identified by all its documents.
            Scope::Joined(aliases) if name == "_id" => {
                let id = |alias: &String| (alias.clone(), Code::Field(vec![alias.clone(), "_id".to_owned()]));
                Ok(Code::Object(aliases.iter().map(id).collect()))
            }
            Scope::Joined(aliases) => {
                let example = aliases.first().map_or("", String::as_str);
                let message = ["it is ambiguous whose field ", name, " is; write for example ", example, ".", name];
                Err(DqlError::invalid(&message.concat(), span))
            }
            Scope::Nothing(_) if self.outer_qualifier(name).is_some() => Ok(self.outer_row(name)),
            Scope::Nothing(part) => {
                let message = ["there is no document to take the field ", name, " from in ", part].concat();
                Err(DqlError::invalid(&message, span))
            }
        }
    }

    fn path(&mut self, base: &Expr, steps: &[Step]) -> Result<Code, DqlError> {
        let mut code = match base {
            Expr::Name(name, _) if self.is_qualifier(name) => match &self.scope {
                Scope::Joined(_) => Code::Field(vec![name.clone()]),
                _ => Code::Document,
            },
            Expr::Name(name, _) if !self.is_alias(name) && self.outer_qualifier(name).is_some() => self.outer_row(name),
            _ => self.bind(base)?,
        };
        let mut members = Vec::new();
        for step in steps {
            let step = match step {
                Step::Index(index) => self.bind(index)?,
                Step::Name(name) if members.is_empty() && code.extend(name) => continue,
                Step::Name(name) => Code::Constant(Some(Value::from(name.as_str()))),
            };
            match &step {
                Code::Constant(Some(Value::Str(name))) if members.is_empty() && code.extend(name) => {}
                _ => members.push(step),
            }
        }
        Ok(if members.is_empty() { code } else { Code::Member(Box::new(code), members) })
    }

    /// Returns what an item of the projection computes.
    fn named_item(&self, name: &str) -> Option<&Code> {
        self.items.iter().find_map(|item| match item {
            Item::Field(alias, code) if alias == name => Some(code),
            _ => None,
        })
    }

    fn is_alias(&self, name: &str) -> bool {
        self.local(name).is_some() || self.named_item(name).is_some()
    }

    /// Says whether a name in front of a point means the collection, or one of those joined.
    pub fn is_qualifier(&self, name: &str) -> bool {
        !self.is_alias(name) && self.scope.qualifies(name)
    }

    /// Returns how many queries around this one a name in front of a point belongs to.
    fn outer_qualifier(&self, name: &str) -> Option<usize> {
        self.names.around().position(|outer| outer.scope.qualifies(name)).map(|levels| levels + 1)
    }

    /// Returns the document that a name means in a query around this one, and notes that it is used.
    fn outer_row(&self, name: &str) -> Code {
        let levels = self.outer_qualifier(name).unwrap_or(0);
        self.names.around().take(levels).for_each(|outer| outer.used.set(true));
        let joined = self.names.around().nth(levels.saturating_sub(1)).map(|outer| outer.scope);
        let row = match joined {
            Some(Scope::Joined(_)) => Code::Field(vec![name.to_owned()]),
            _ => Code::Document,
        };
        Code::Outer(levels, Box::new(row))
    }
}

impl Code {
    /// Makes a path one name longer; `false` if this is none.
    fn extend(&mut self, name: &str) -> bool {
        match self {
            Code::Document => *self = Code::Field(vec![name.to_owned()]),
            Code::Field(path) => path.push(name.to_owned()),
            Code::Outer(_, row) => return row.extend(name),
            _ => return false,
        }
        true
    }
}

impl Scope {
    fn qualifies(&self, name: &str) -> bool {
        match self {
            Scope::Collection { name: own, alias } => alias.as_ref().unwrap_or(own) == name,
            Scope::Joined(aliases) => aliases.iter().any(|alias| alias == name),
            Scope::Nothing(_) => false,
        }
    }
}

impl<'a> Names<'a> {
    fn around(&self) -> impl Iterator<Item = &'a Outer<'a>> {
        std::iter::successors(self.outer, |outer| outer.next)
    }

    /// Returns the query that WITH gave a name.
    pub fn find(&self, name: &str) -> Option<Rc<Query>> {
        self.with.iter().rev().find(|(known, _)| known == name).map(|(_, query)| Rc::clone(query))
    }
}

/// Evaluates what needs no document.
fn fold(code: Code) -> Code {
    // An array of constants with a missing one stays: IN tells missing from null.
    let in_array = matches!(code, Code::Array(_));
    let is_constant = |part: &Code| matches!(part, Code::Constant(value) if value.is_some() || !in_array);
    if !code.is_leaf() && code.all_parts(&mut |part| is_constant(part)) {
        return Code::Constant(code.value(Environment::default()));
    }
    code
}

/// How many aggregates a query has at most, and how many window functions: each is compared with all before it.
const CALLS_MAX: usize = 1000;
