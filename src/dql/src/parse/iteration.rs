//! The rules of quantifiers and comprehensions.
//!
//! ANY, EVERY, ARRAY and OBJECT are good names of fields too. Which they are is decided by looking ahead: a quantifier has a
//! variable and IN or WITHIN behind it; a comprehension starts an operand and has a FOR of its own before the expression
//! around it can end. Looking ahead is bounded, so that no text takes more than linear time.

use super::{Parser, is_reserved};
use crate::ast::Expr;
use crate::error::DqlError;
use crate::iteration::{Iteration, IterationKind, Reach};
use crate::token::{Kind, Lexer};

impl Parser<'_> {
    /// Reads a quantifier or a comprehension if the current word starts one.
    pub(super) fn iteration(&mut self, word: &str) -> Result<Option<Expr>, DqlError> {
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        if is("ANY") || is("EVERY") {
            if !self.starts_quantifier(is("ANY")) {
                return Ok(None);
            }
            self.advance()?;
            let kind = match (is("EVERY"), self.eat_word("AND")?) {
                (true, _) => IterationKind::Every,
                (false, false) => IterationKind::Any,
                (false, true) => {
                    self.expect_word("EVERY")?;
                    IterationKind::AnyAndEvery
                }
            };
            return self.deeper(|parser| parser.quantifier(kind)).map(Some);
        }
        if (is("ARRAY") || is("OBJECT")) && self.starts_comprehension() {
            self.advance()?;
            let kind = if is("ARRAY") { IterationKind::Array } else { IterationKind::Object };
            return self.deeper(|parser| parser.comprehension(kind)).map(Some);
        }
        Ok(None)
    }

    fn quantifier(&mut self, kind: IterationKind) -> Result<Expr, DqlError> {
        let mut iteration = self.range(kind, Vec::new())?;
        self.expect_word("SATISFIES")?;
        iteration.condition = Some(self.expression()?);
        self.expect_word("END")?;
        Ok(Expr::Iteration(Box::new(iteration)))
    }

    fn comprehension(&mut self, kind: IterationKind) -> Result<Expr, DqlError> {
        let mut outputs = vec![self.expression()?];
        if kind == IterationKind::Object {
            self.colon()?;
            outputs.push(self.expression()?);
        }
        self.expect_word("FOR")?;
        let mut iteration = self.range(kind, outputs)?;
        iteration.condition = self.optional_expression("WHEN")?;
        self.expect_word("END")?;
        Ok(Expr::Iteration(Box::new(iteration)))
    }

    /// Reads `[place:]variable IN collection`.
    fn range(&mut self, kind: IterationKind, outputs: Vec<Expr>) -> Result<Iteration<Expr>, DqlError> {
        let mut variable = self.name("the name of a variable")?;
        let mut position = None;
        if matches!(self.token.kind, Kind::Parameter(_)) || self.at(":") {
            self.colon()?;
            position = Some(std::mem::replace(&mut variable, self.name("the name of a variable")?));
        }
        let reach = if self.eat_word("IN")? {
            Reach::Direct
        } else {
            self.expect_word("WITHIN")?;
            Reach::Nested
        };
        let collection = self.expression()?;
        Ok(Iteration { kind, position, variable, reach, collection, condition: None, outputs })
    }

    /// Moves past a colon. `k:x` holds no parameter here: the colon stands between two names.
    pub(super) fn colon(&mut self) -> Result<(), DqlError> {
        if matches!(self.token.kind, Kind::Parameter(_)) {
            self.lexer = Lexer::new(self.text, self.token.span.start + 1);
            self.advance()?;
            return Ok(());
        }
        self.expect(":")
    }

    /// Looks behind ANY or EVERY for a variable and IN, WITHIN or the colon of a place.
    fn starts_quantifier(&self, any: bool) -> bool {
        let mut lexer = self.lexer;
        let mut next = || lexer.next().map_or(Kind::End, |token| token.kind);
        let is = |kind: &Kind<'_>, word: &str| matches!(kind, Kind::Word(found) if found.eq_ignore_ascii_case(word));
        let mut name = next();
        if any && is(&name, "AND") {
            if !is(&next(), "EVERY") {
                return false;
            }
            name = next();
        }
        let named = match name {
            Kind::Quoted(_) => true,
            Kind::Word(word) => !is_reserved(word),
            _ => false,
        };
        let after = next();
        named && (is(&after, "IN") || is(&after, "WITHIN") || matches!(after, Kind::Parameter(_) | Kind::Symbol(":")))
    }

    /// Looks behind ARRAY or OBJECT for an operand and the word FOR.
    fn starts_comprehension(&mut self) -> bool {
        let mut lexer = self.lexer;
        let (mut brackets, mut ends) = (0_usize, 0_usize);
        for index in 0..SCAN_TOKENS_MAX.min(self.scan_tokens_left) {
            let kind = lexer.next().map_or(Kind::End, |token| token.kind);
            self.scan_tokens_left -= 1;
            if index == 0 && !starts_operand(&kind, lexer) {
                return false;
            }
            match kind {
                Kind::End | Kind::Symbol(";") => return false,
                Kind::Symbol("(" | "[" | "{") => brackets += 1,
                Kind::Symbol(")" | "]" | "}") if brackets == 0 => return false,
                Kind::Symbol(")" | "]" | "}") => brackets -= 1,
                Kind::Symbol(",") if brackets == 0 => return false,
                Kind::Word(word) if brackets == 0 => match inside(word) {
                    Inside::For => return true,
                    Inside::Opens => ends += 1,
                    Inside::Closes if ends == 0 => return false,
                    Inside::Closes => ends -= 1,
                    Inside::Outside if ends == 0 => return false,
                    Inside::Outside | Inside::Other => {}
                },
                _ => {}
            }
        }
        false
    }
}

/// What a word says about the end of a comprehension's expression.
enum Inside {
    Closes,
    For,
    Opens,
    Other,
    /// It cannot stand in an expression, but for CASE.
    Outside,
}

fn inside(word: &str) -> Inside {
    let is = |words: &[&str]| words.iter().any(|other| other.eq_ignore_ascii_case(word));
    if is(&["FOR"]) {
        Inside::For
    } else if is(&["CASE", "SATISFIES"]) {
        Inside::Opens
    } else if is(&["END"]) {
        Inside::Closes
    } else if is_reserved(word) && !is(&OPERAND_WORDS) && !is(&OPERATOR_WORDS) {
        Inside::Outside
    } else {
        Inside::Other
    }
}

/// Says whether a token after ARRAY can start an operand and cannot go on a name.
fn starts_operand(kind: &Kind<'_>, mut lexer: Lexer<'_>) -> bool {
    match kind {
        Kind::Float(_) | Kind::Int(_) | Kind::Parameter(_) | Kind::Quoted(_) | Kind::Str(_) => true,
        Kind::Symbol(symbol) => ["(", "[", "{", "-"].contains(symbol),
        Kind::Word(word) if word.eq_ignore_ascii_case("NOT") => {
            // `array NOT IN (…)` asks about a field.
            let after = lexer.next().map_or(Kind::End, |token| token.kind);
            !matches!(after, Kind::Word(word) if OPERATOR_WORDS.iter().any(|other| other.eq_ignore_ascii_case(word)))
        }
        Kind::Word(word) => !is_reserved(word) || OPERAND_WORDS.iter().any(|other| other.eq_ignore_ascii_case(word)),
        Kind::End => false,
    }
}

const OPERAND_WORDS: [&str; 6] = ["CASE", "FALSE", "MISSING", "NOT", "NULL", "TRUE"];
const OPERATOR_WORDS: [&str; 11] =
    ["AND", "BETWEEN", "DISTINCT", "ESCAPE", "ILIKE", "IN", "IS", "LIKE", "OR", "SIMILAR", "XOR"];
/// How far one word looks ahead.
const SCAN_TOKENS_MAX: usize = 20_000;
/// How far all words of a statement look ahead together.
pub(super) const SCAN_TOKENS_IN_ALL: usize = 200_000;
