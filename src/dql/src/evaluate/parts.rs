//! What an expression is made of, for whoever goes through all of it: once to change the parts, which the planner seldom does, and
//! once to look at them, without an allocation.

use super::Code;

impl Code {
    /// Returns the expressions that this one is made of.
    pub fn parts_mut(&mut self) -> Vec<&mut Code> {
        match self {
            Code::Array(items) | Code::Function(_, items) | Code::Zoned(_, items, _) => items.iter_mut().collect(),
            Code::Between(operands, _) => operands.iter_mut().collect(),
            Code::Case { subject, branches, otherwise } => {
                let branches = branches.iter_mut().flat_map(|(when, then)| [when, then]);
                let ends = [subject, otherwise].into_iter().flatten().map(|part| &mut **part);
                branches.chain(ends).collect()
            }
            Code::Chain(first, rest) => {
                std::iter::once(&mut **first).chain(rest.iter_mut().map(|part| &mut part.1)).collect()
            }
            Code::Constant(_)
            | Code::Document
            | Code::Field(_)
            | Code::Outer(..)
            | Code::Slot(_)
            | Code::Subquery(_)
            | Code::Variable(_) => Vec::new(),
            Code::In(operands, _) | Code::Like { operands, .. } | Code::Similar(operands, _) => {
                operands.iter_mut().collect()
            }
            Code::Is(operand, ..) | Code::Matches(operand, ..) | Code::Negate(operand) | Code::Not(operand) => {
                vec![operand]
            }
            Code::Iteration(iteration) => iteration.parts_mut().collect(),
            Code::Member(base, steps) => std::iter::once(&mut **base).chain(steps).collect(),
            Code::Object(fields) => fields.iter_mut().map(|field| &mut field.1).collect(),
        }
    }

    /// Says whether something is true of all the expressions that this one is made of; asks until it is not.
    pub fn all_parts<'c>(&'c self, check: &mut dyn FnMut(&'c Code) -> bool) -> bool {
        match self {
            Code::Array(items) | Code::Function(_, items) | Code::Zoned(_, items, _) => items.iter().all(check),
            Code::Between(operands, _) => operands.iter().all(check),
            Code::Case { subject, branches, otherwise } => {
                branches.iter().all(|(when, then)| check(when) && check(then))
                    && [subject, otherwise].into_iter().flatten().all(|part| check(part))
            }
            Code::Chain(first, rest) => check(first) && rest.iter().all(|part| check(&part.1)),
            Code::Constant(_)
            | Code::Document
            | Code::Field(_)
            | Code::Outer(..)
            | Code::Slot(_)
            | Code::Subquery(_)
            | Code::Variable(_) => true,
            Code::In(operands, _) | Code::Like { operands, .. } | Code::Similar(operands, _) => {
                operands.iter().all(check)
            }
            Code::Is(operand, ..) | Code::Matches(operand, ..) | Code::Negate(operand) | Code::Not(operand) => {
                check(operand)
            }
            Code::Iteration(iteration) => iteration.parts().all(check),
            Code::Member(base, steps) => check(base) && steps.iter().all(check),
            Code::Object(fields) => fields.iter().all(|field| check(&field.1)),
        }
    }

    /// Says whether no expression can be a part of this one.
    pub fn is_leaf(&self) -> bool {
        matches!(
            self,
            Code::Constant(_)
                | Code::Document
                | Code::Field(_)
                | Code::Outer(..)
                | Code::Slot(_)
                | Code::Subquery(_)
                | Code::Variable(_)
        )
    }

    /// Shows all the expressions that this one is made of.
    pub fn each_part<'c>(&'c self, visit: &mut dyn FnMut(&'c Code)) {
        self.all_parts(&mut |part| {
            visit(part);
            true
        });
    }
}
