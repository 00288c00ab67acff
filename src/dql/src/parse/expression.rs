//! The rules of expressions: binding levels, postfix operators, primaries.
//!
//! Operators of one level bind to the left and become one chain. BETWEEN, IN, LIKE and IS take one operand on the left that
//! binds tighter; a second one of the same level needs parentheses, which also bounds the height of the tree.

use value::Value;

use super::Parser;
use crate::ast::{Absence, Case, Expr, Negation, Operator, Step, Window, WindowFunction, level};
use crate::error::{DqlError, Span};
use crate::function::{Aggregate, Named, find};
use crate::token::Kind;

impl Parser<'_> {
    /// Reads an expression of any level.
    pub(super) fn expression(&mut self) -> Result<Expr, DqlError> {
        self.expression_at(level::OR)
    }

    pub(super) fn optional_expression(&mut self, word: &'static str) -> Result<Option<Expr>, DqlError> {
        if self.eat_word(word)? { self.expression().map(Some) } else { Ok(None) }
    }

    /// Reads one or more of a rule with commas between.
    pub(super) fn list<T>(&mut self, rule: impl Fn(&mut Self) -> Result<T, DqlError>) -> Result<Vec<T>, DqlError> {
        let mut items = Vec::with_capacity(4);
        items.push(rule(self)?);
        while self.eat(",")? {
            items.push(rule(self)?);
        }
        Ok(items)
    }

    /// Reads an expression whose operators bind at least as tightly as `least`.
    pub(super) fn expression_at(&mut self, least: u8) -> Result<Expr, DqlError> {
        // After an operator only those that bind no tighter may follow.
        let mut most = if self.at_word("NOT") { level::NOT } else { level::PRIMARY };
        let mut left = self.operand()?;
        loop {
            if let Some(operator) = self.operator() {
                let at = operator.level();
                if at < least || at > most {
                    return Ok(left);
                }
                self.advance()?;
                let right = self.expression_at(at + 1)?;
                most = at;
                left = chain(left, operator, right);
            } else {
                let Some(at) = self.postfix_level() else { return Ok(left) };
                if at < least || at > most {
                    return Ok(left);
                }
                left = self.postfix(left)?;
                most = at - 1;
            }
        }
    }

    fn operator(&self) -> Option<Operator> {
        Some(match self.token.kind {
            Kind::Symbol(symbol) => match symbol {
                "=" | "==" => Operator::Equal,
                "!=" | "<>" => Operator::NotEqual,
                "<" => Operator::Less,
                "<=" => Operator::LessEqual,
                ">" => Operator::Greater,
                ">=" => Operator::GreaterEqual,
                "+" => Operator::Add,
                "-" => Operator::Subtract,
                "*" => Operator::Multiply,
                "/" => Operator::Divide,
                "%" => Operator::Remainder,
                "||" => Operator::Concat,
                "<<" => Operator::ShiftLeft,
                ">>" => Operator::ShiftRight,
                _ => return None,
            },
            Kind::Word(word) if word.eq_ignore_ascii_case("AND") => Operator::And,
            Kind::Word(word) if word.eq_ignore_ascii_case("OR") => Operator::Or,
            Kind::Word(word) if word.eq_ignore_ascii_case("XOR") => Operator::Xor,
            _ => return None,
        })
    }

    /// Returns the level of the postfix operator that comes, if one does.
    fn postfix_level(&self) -> Option<u8> {
        let Kind::Word(mut word) = self.token.kind else { return None };
        if word.eq_ignore_ascii_case("NOT") {
            let Kind::Word(next) = self.ahead() else { return None };
            word = next;
        }
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        if is("IS") {
            Some(level::IS)
        } else if is("LIKE") || is("ILIKE") || is("SIMILAR") {
            Some(level::LIKE)
        } else if is("BETWEEN") || is("IN") {
            Some(level::COMPARISON)
        } else {
            None
        }
    }

    fn postfix(&mut self, left: Expr) -> Result<Expr, DqlError> {
        if self.eat_word("IS")? {
            let negation = self.negation()?;
            let absence = if self.eat_word("NULL")? {
                Absence::Null
            } else {
                self.expect_word("MISSING")?;
                Absence::Missing
            };
            return Ok(Expr::Is(Box::new(left), absence, negation));
        }
        let negation = self.negation()?;
        if self.eat_word("BETWEEN")? {
            let low = self.expression_at(level::CONCAT)?;
            self.expect_word("AND")?;
            let high = self.expression_at(level::CONCAT)?;
            return Ok(Expr::Between(Box::new([left, low, high]), negation));
        }
        if self.eat_word("IN")? {
            return self.in_list(left, negation);
        }
        if self.eat_word("SIMILAR")? {
            self.expect_word("TO")?;
            let pattern = self.expression_at(level::COMPARISON)?;
            return Ok(Expr::Similar(Box::new([left, pattern]), negation));
        }
        let case = if self.eat_word("LIKE")? {
            Case::Sensitive
        } else {
            self.expect_word("ILIKE")?;
            Case::Insensitive
        };
        let pattern = self.expression_at(level::COMPARISON)?;
        let escape = if self.eat_word("ESCAPE")? { Some(self.escape()?) } else { None };
        Ok(Expr::Like { operands: Box::new([left, pattern]), escape, case, negation })
    }

    fn negation(&mut self) -> Result<Negation, DqlError> {
        Ok(if self.eat_word("NOT")? { Negation::Negated } else { Negation::Plain })
    }

    /// Reads what follows IN; a list in parentheses is an array literal.
    fn in_list(&mut self, left: Expr, negation: Negation) -> Result<Expr, DqlError> {
        let list = if self.at("(") && self.at_query() {
            let start = self.advance()?.start;
            let query = self.subquery()?;
            Expr::Query(query, self.since(start))
        } else if self.eat("(")? {
            let items = self.deeper(|parser| parser.list(Self::expression))?;
            self.expect(")")?;
            Expr::Array(items)
        } else {
            self.expression_at(level::CONCAT)?
        };
        Ok(Expr::In(Box::new([left, list]), negation))
    }

    fn escape(&mut self) -> Result<char, DqlError> {
        if let Kind::Str(text) = &self.token.kind {
            let mut characters = text.chars();
            if let (Some(character), None) = (characters.next(), characters.next()) {
                self.advance()?;
                return Ok(character);
            }
        }
        Err(self.unexpected("a string of one character"))
    }

    /// Reads a prefix operator and its operand, or a primary with its path.
    fn operand(&mut self) -> Result<Expr, DqlError> {
        if self.eat_word("NOT")? {
            let operand = self.deeper(|parser| parser.expression_at(level::NOT))?;
            return Ok(Expr::Not(Box::new(operand)));
        }
        if self.eat("+")? {
            return self.deeper(Self::operand);
        }
        if self.eat("-")? {
            return self.negative();
        }
        let base = self.primary()?;
        let mut steps = Vec::new();
        loop {
            if self.eat(".")? {
                steps.push(Step::Name(self.member_name()?));
            } else if self.eat("[")? {
                steps.push(Step::Index(self.deeper(Self::expression)?));
                self.expect("]")?;
            } else if steps.is_empty() {
                return Ok(base);
            } else {
                return Ok(Expr::Path(Box::new(base), steps));
            }
        }
    }

    /// Reads what follows a minus; a negative number is a literal.
    fn negative(&mut self) -> Result<Expr, DqlError> {
        if self.token.kind == Kind::Int(1 << 63) {
            self.advance()?;
            return Ok(Expr::Literal(Value::Int(i64::MIN)));
        }
        Ok(match self.deeper(Self::operand)? {
            Expr::Literal(Value::Int(int)) if int != i64::MIN => Expr::Literal(Value::Int(-int)),
            Expr::Literal(Value::Float(float)) => Expr::Literal(Value::Float(-float)),
            operand => Expr::Negate(Box::new(operand)),
        })
    }

    fn primary(&mut self) -> Result<Expr, DqlError> {
        let span = self.token.span;
        match &mut self.token.kind {
            Kind::Float(float) => {
                let float = *float;
                self.literal(Value::Float(float))
            }
            Kind::Int(int) => {
                let value = i64::try_from(*int).map_or(Value::Float(*int as f64), Value::Int);
                self.literal(value)
            }
            Kind::Parameter(name) => {
                let name = (*name).to_owned();
                self.advance()?;
                Ok(Expr::Parameter(name, span))
            }
            Kind::Quoted(name) => {
                let name = std::mem::take(name);
                self.advance()?;
                Ok(Expr::Name(name, span))
            }
            Kind::Str(text) => {
                let text = std::mem::take(text);
                self.literal(Value::Str(text))
            }
            Kind::Word(word) => {
                let word = *word;
                self.word(word, span)
            }
            Kind::Symbol("(") => {
                let is_query = self.at_query();
                self.advance()?;
                if is_query {
                    let query = self.subquery()?;
                    return Ok(Expr::Query(query, self.since(span.start)));
                }
                let inner = self.deeper(Self::expression)?;
                self.expect(")")?;
                Ok(inner)
            }
            Kind::Symbol("[") => {
                self.advance()?;
                let items =
                    if self.at("]") { Vec::new() } else { self.deeper(|parser| parser.list(Self::expression))? };
                self.expect("]")?;
                Ok(Expr::Array(items))
            }
            Kind::Symbol("{") => {
                self.advance()?;
                self.deeper(Self::object)
            }
            Kind::End | Kind::Symbol(_) => Err(self.unexpected("an expression")),
        }
    }

    fn literal(&mut self, value: Value) -> Result<Expr, DqlError> {
        self.advance()?;
        Ok(Expr::Literal(value))
    }

    /// Reads a primary that starts with a word: a constant, CASE, a function or a name.
    fn word(&mut self, word: &str, span: Span) -> Result<Expr, DqlError> {
        let is = |constant: &str| word.eq_ignore_ascii_case(constant);
        let constant = match word.len() {
            4 if is("TRUE") => Some(Expr::Literal(Value::Bool(true))),
            4 if is("NULL") => Some(Expr::Literal(Value::Null)),
            5 if is("FALSE") => Some(Expr::Literal(Value::Bool(false))),
            7 if is("MISSING") => Some(Expr::Missing),
            _ => None,
        };
        if let Some(constant) = constant {
            self.advance()?;
            return Ok(constant);
        }
        if word.eq_ignore_ascii_case("CASE") {
            self.advance()?;
            return self.deeper(Self::case);
        }
        if super::is_reserved(word) {
            return Err(self.unexpected("an expression"));
        }
        if let Some(iteration) = self.iteration(word)? {
            return Ok(iteration);
        }
        self.advance()?;
        if self.at("(") {
            self.advance()?;
            return self.call(word, span);
        }
        Ok(Expr::Name(word.to_owned(), span))
    }

    /// Reads the arguments of a function up to the closing parenthesis.
    fn call(&mut self, name: &str, span: Span) -> Result<Expr, DqlError> {
        if name.eq_ignore_ascii_case("EXISTS") && self.at_query() {
            let query = self.subquery()?;
            return Ok(Expr::Exists(query, self.since(span.start)));
        }
        if let Some(function) = numbering(name) {
            self.expect(")")?;
            self.expect_word("OVER")?;
            return self.window(function, None, span);
        }
        if let Some(function) = Aggregate::find(name) {
            let distinct = self.eat_word("DISTINCT")?;
            let argument = if function == Aggregate::Count && !distinct && self.eat("*")? {
                None
            } else {
                Some(Box::new(self.deeper(Self::expression)?))
            };
            self.expect(")")?;
            if !distinct && self.at_word("OVER") && self.ahead() == Kind::Symbol("(") {
                self.advance()?;
                return self.window(WindowFunction::Aggregate(function), argument.map(|argument| *argument), span);
            }
            return Ok(Expr::Aggregate { function, distinct, argument, span: self.since(span.start) });
        }
        if let Some(call) = self.worded_call(name)? {
            return Ok(call);
        }
        let (function, min, max) = match find(name) {
            Named::Built(function, min, max) => (function, min, max),
            Named::Unknown(nearest) => return Err(unknown_function(name, nearest, span)),
        };
        let arguments = if self.at(")") { Vec::new() } else { self.deeper(|parser| parser.list(Self::expression))? };
        self.expect(")")?;
        if arguments.len() < min || arguments.len() > max {
            let count = |count: usize| if count > 1000 { "any number of".to_owned() } else { count.to_string() };
            let range = if min == max { count(min) } else { [&count(min), " to ", &count(max)].concat() };
            let message = [name, " takes ", &range, " arguments, not ", &arguments.len().to_string()].concat();
            return Err(DqlError::invalid(&message, self.since(span.start)));
        }
        Ok(Expr::Function(function, arguments))
    }

    /// Reads what follows OVER. Not inlined, as a sub-query.
    #[inline(never)]
    fn window(&mut self, function: WindowFunction, argument: Option<Expr>, span: Span) -> Result<Expr, DqlError> {
        self.expect("(")?;
        let mut window = Window { function, argument, partition: Vec::new(), order: Vec::new(), span };
        if self.eat_word("PARTITION")? {
            self.expect_word("BY")?;
            window.partition = self.deeper(|parser| parser.list(Self::expression))?;
        }
        if self.eat_word("ORDER")? {
            self.expect_word("BY")?;
            window.order = self.deeper(|parser| parser.list(Self::order))?;
        }
        self.expect(")")?;
        window.span = self.since(span.start);
        Ok(Expr::Window(Box::new(window)))
    }

    /// Reads what follows CASE.
    fn case(&mut self) -> Result<Expr, DqlError> {
        let subject = if self.at_word("WHEN") { None } else { Some(Box::new(self.expression()?)) };
        let mut branches = Vec::new();
        while self.eat_word("WHEN")? {
            let when = self.expression()?;
            self.expect_word("THEN")?;
            branches.push((when, self.expression()?));
        }
        if branches.is_empty() {
            return Err(self.unexpected(""));
        }
        let otherwise = self.optional_expression("ELSE")?.map(Box::new);
        self.expect_word("END")?;
        Ok(Expr::Case { subject, branches, otherwise })
    }

    /// Reads what follows an opening brace.
    fn object(&mut self) -> Result<Expr, DqlError> {
        let mut fields = Vec::new();
        if self.eat("}")? {
            return Ok(Expr::Object(fields));
        }
        loop {
            let name = match &mut self.token.kind {
                Kind::Str(text) => {
                    let text = std::mem::take(text);
                    self.advance()?;
                    text
                }
                _ => self.name("a field's name as a string")?,
            };
            self.colon()?;
            fields.push((name, self.expression()?));
            if !self.eat(",")? {
                self.expect("}")?;
                return Ok(Expr::Object(fields));
            }
        }
    }
}

fn chain(left: Expr, operator: Operator, right: Expr) -> Expr {
    match left {
        Expr::Chain(first, mut rest) if rest.first().is_some_and(|(known, _)| known.level() == operator.level()) => {
            rest.push((operator, right));
            Expr::Chain(first, rest)
        }
        left => Expr::Chain(Box::new(left), vec![(operator, right)]),
    }
}

/// Returns the window function that numbers rows and has this name.
fn numbering(name: &str) -> Option<WindowFunction> {
    let all = [WindowFunction::DenseRank, WindowFunction::Rank, WindowFunction::RowNumber];
    all.into_iter().find(|function| function.name().eq_ignore_ascii_case(name))
}

fn unknown_function(name: &str, nearest: Option<&str>, span: Span) -> DqlError {
    let mut message = ["there is no function ", name].concat();
    if let Some(nearest) = nearest {
        message.push_str("; did you mean ");
        message.push_str(nearest);
        message.push('?');
    }
    DqlError::invalid(&message, span)
}
