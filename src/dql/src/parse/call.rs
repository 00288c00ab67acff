//! Functions whose arguments have words between them: CAST, POSITION and TRIM.
//!
//! POSITION and TRIM say what `pos`, `trim`, `ltrim` and `rtrim` say, and are printed as these.

use value::Value;

use super::{Parser, is_reserved};
use crate::ast::{Expr, level};
use crate::error::DqlError;
use crate::function::{CAST_TYPES, Function};
use crate::token::Kind;

impl Parser<'_> {
    /// Reads the arguments and the closing parenthesis of such a function; nothing for any other.
    pub(super) fn worded_call(&mut self, name: &str) -> Result<Option<Expr>, DqlError> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("CAST") {
            self.deeper(Self::cast).map(Some)
        } else if is("POSITION") {
            self.deeper(Self::position).map(Some)
        } else if is("TRIM") {
            self.deeper(Self::trim).map(Some)
        } else {
            Ok(None)
        }
    }

    fn cast(&mut self) -> Result<Expr, DqlError> {
        let operand = self.expression()?;
        self.expect_word("AS")?;
        let Some(name) = CAST_TYPES.into_iter().find(|name| self.at_word(name)) else {
            return Err(self.unexpected(""));
        };
        self.advance()?;
        self.expect(")")?;
        Ok(Expr::Function(Function::Cast, vec![operand, Expr::Literal(Value::from(name))]))
    }

    fn position(&mut self) -> Result<Expr, DqlError> {
        let wanted = self.expression_at(level::CONCAT)?;
        self.expect_word("IN")?;
        let text = self.expression()?;
        self.expect(")")?;
        Ok(Expr::Function(Function::Pos, vec![text, wanted]))
    }

    fn trim(&mut self) -> Result<Expr, DqlError> {
        let sides = [("LEADING", Function::LTrim), ("TRAILING", Function::RTrim), ("BOTH", Function::Trim)];
        // These are names of fields too, where no operand and no FROM follows.
        let followed = match self.ahead() {
            Kind::Word(word) => !is_reserved(word) || word.eq_ignore_ascii_case("FROM"),
            Kind::End | Kind::Symbol(_) => self.ahead() == Kind::Symbol("("),
            Kind::Float(_) | Kind::Int(_) | Kind::Parameter(_) | Kind::Quoted(_) | Kind::Str(_) => true,
        };
        let side = sides.into_iter().find(|(word, _)| followed && self.at_word(word));
        if side.is_some() {
            self.advance()?;
        }
        let function = side.map_or(Function::Trim, |(_, function)| function);
        let set = if side.is_some() && self.at_word("FROM") { None } else { Some(self.expression()?) };
        let mut arguments = match set {
            // `trim(text)` and `trim(text, set)`.
            Some(first) if side.is_none() && !self.at_word("FROM") => {
                let mut arguments = vec![first];
                if self.eat(",")? {
                    arguments.push(self.expression()?);
                }
                self.expect(")")?;
                return Ok(Expr::Function(function, arguments));
            }
            set => set.into_iter().collect::<Vec<_>>(),
        };
        self.expect_word("FROM")?;
        arguments.insert(0, self.expression()?);
        self.expect(")")?;
        Ok(Expr::Function(function, arguments))
    }
}
