//! Variables: binding of quantifiers and comprehensions, and of what uses their variables.

use super::Binder;
use crate::ast::Expr;
use crate::error::DqlError;
use crate::evaluate::{Code, Environment};
use crate::iteration::Iteration;

impl Binder<'_> {
    /// Resolves a quantifier or a comprehension; its variables stand for nothing in its own collection.
    pub(super) fn iteration(&mut self, iteration: &Iteration<Expr>) -> Result<Code, DqlError> {
        let collection = self.bind(&iteration.collection)?;
        let before = self.locals.len();
        // No name is empty, so a place without a name is never found.
        self.locals.push(iteration.position.clone().unwrap_or_default());
        self.locals.push(iteration.variable.clone());
        let inner = self.bind_optional(iteration.condition.as_ref()).and_then(|condition| {
            let outputs = self.bind_all(&iteration.outputs)?;
            Ok((condition, outputs))
        });
        self.locals.truncate(before);
        let (condition, outputs) = inner?;
        let code = Code::Iteration(Box::new(Iteration {
            kind: iteration.kind,
            position: iteration.position.clone(),
            variable: iteration.variable.clone(),
            reach: iteration.reach,
            collection,
            condition,
            outputs,
        }));
        Ok(if stands_alone(&code, 0) { Code::Constant(code.value(Environment::default())) } else { code })
    }

    /// Returns the number of a variable, counted from the innermost.
    pub(super) fn local(&self, name: &str) -> Option<usize> {
        self.locals.iter().rev().position(|local| local == name)
    }
}

/// Says whether an expression needs no document, no group and no variable but its own and `depth` around it.
fn stands_alone(code: &Code, depth: usize) -> bool {
    match code {
        Code::Document | Code::Field(_) | Code::Slot(_) => false,
        _ => all_within(code, depth, stands_alone),
    }
}

/// Says whether an expression uses no variable but its own and `depth` around it.
pub(super) fn is_closed(code: &Code, depth: usize) -> bool {
    all_within(code, depth, is_closed)
}

fn all_within(code: &Code, depth: usize, check: fn(&Code, usize) -> bool) -> bool {
    match code {
        Code::Variable(index) => *index < depth,
        Code::Iteration(iteration) => {
            let mut parts = iteration.parts();
            parts.next().is_none_or(|collection| check(collection, depth)) && parts.all(|part| check(part, depth + 2))
        }
        _ => code.all_parts(&mut |part| check(part, depth)),
    }
}
