//! Printing of what has words of its own in it: quantifiers, comprehensions, CAST.

use value::Value;

use super::Printer;
use crate::ast::{Expr, level};
use crate::iteration::{Iteration, Reach};

impl Printer {
    pub(super) fn iteration(&mut self, iteration: &Iteration<Expr>) {
        self.put(iteration.kind.word());
        self.put(" ");
        for (index, output) in iteration.outputs.iter().enumerate() {
            self.put(if index == 0 { "" } else { " : " });
            self.expression(output, level::OR);
        }
        self.put(if iteration.outputs.is_empty() { "" } else { " FOR " });
        if let Some(position) = &iteration.position {
            self.name(position);
            self.put(":");
        }
        self.name(&iteration.variable);
        self.put(if iteration.reach == Reach::Direct { " IN " } else { " WITHIN " });
        self.expression(&iteration.collection, level::OR);
        let word = if iteration.outputs.is_empty() { " SATISFIES " } else { " WHEN " };
        self.clause(word, iteration.condition.as_ref());
        self.put(" END");
    }

    /// Prints a value and a type, which is a literal.
    pub(super) fn cast(&mut self, arguments: &[Expr]) {
        self.put("cast");
        for (index, argument) in arguments.iter().enumerate() {
            match argument {
                Expr::Literal(Value::Str(name)) if index == 1 => self.put(name),
                _ => {
                    self.put("(");
                    self.expression(argument, level::OR);
                    self.put(" AS ");
                }
            }
        }
        self.put(")");
    }
}
