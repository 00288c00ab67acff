//! Text to [`Statement`]: the parser's core; statements and expressions are in the modules below.
//!
//! Recursive descent with one token of look-ahead, binding levels for operators. Every word that was tried at the current
//! place is remembered, so that an error says what was expected and what was probably meant.
//!
//! Invariants: the parser never panics and never recurses deeper than [`DEPTH_MAX`] nested expressions; what is DQL but
//! not built is `query/unsupported` with the name of the part; nothing is skipped in silence but comments and directives.

mod call;
mod command;
mod expression;
mod iteration;
mod query;
mod statement;

use value::ErrorCode;
use value::limits::STATEMENT_BYTES_MAX;

use crate::ast::{Expr, Statement};
use crate::error::{DqlError, Span, near};
use crate::token::{Kind, Lexer, Token};

/// How deep expressions nest at most, counted in brackets, functions, CASE, NOT and unary minus.
const DEPTH_MAX: usize = 100;

/// Reads one statement; a closing semicolon is allowed.
pub fn parse(text: &str) -> Result<Statement, DqlError> {
    if text.len() > STATEMENT_BYTES_MAX {
        let message = ["a statement has at most ", &STATEMENT_BYTES_MAX.to_string(), " bytes"].concat();
        return Err(DqlError::new(ErrorCode::ValidationSizeLimitExceeded, message, None));
    }
    let mut parser = Parser::new(text)?;
    let statement = parser.statement()?;
    parser.eat(";")?;
    if parser.token.kind != Kind::End {
        return Err(parser.unexpected("the end of the statement"));
    }
    Ok(match leading_directives(text)? {
        Some(directives) => Statement::Directed(directives, Box::new(statement)),
        None => statement,
    })
}

/// Reads the directives in a comment at the very start: `/*+ {…} */` or `--+ {…}`.
fn leading_directives(text: &str) -> Result<Option<Expr>, DqlError> {
    let trimmed = text.trim_start();
    let (rest, end) = match (trimmed.strip_prefix("/*+"), trimmed.strip_prefix("--+")) {
        (Some(rest), _) => (rest, rest.find("*/")),
        (None, Some(rest)) => (rest, rest.find('\n')),
        (None, None) => return Ok(None),
    };
    let start = text.len() - rest.len();
    let end = end.unwrap_or(rest.len());
    directives(&rest[..end], Span { start, end: start + end }).map(Some)
}

/// Reads directives: a JSON object, which is an object of the language too.
fn directives(text: &str, span: Span) -> Result<Expr, DqlError> {
    let invalid = |_| DqlError::invalid("directives are one JSON object, such as {\"#index\": \"name\"}", span);
    let mut parser = Parser::new(text).map_err(invalid)?;
    let object = parser.expression().map_err(invalid)?;
    match (&object, &parser.token.kind) {
        (Expr::Object(_), Kind::End) => Ok(object),
        _ => Err(invalid(DqlError::invalid("", span))),
    }
}

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    token: Token<'a>,
    /// The token before the current one.
    last: Span,
    /// The words and symbols that would have been right at the current token.
    tried: Vec<&'static str>,
    depth: usize,
    /// How many tokens may still be looked at ahead of the current one to tell a comprehension from a name.
    scan_tokens_left: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Parser<'a>, DqlError> {
        let mut lexer = Lexer::new(text, 0);
        let token = lexer.next()?;
        Ok(Parser {
            text,
            lexer,
            token,
            last: Span::default(),
            tried: Vec::with_capacity(16),
            depth: 0,
            scan_tokens_left: iteration::SCAN_TOKENS_IN_ALL,
        })
    }

    /// Moves to the next token and returns where the one left behind is.
    fn advance(&mut self) -> Result<Span, DqlError> {
        let next = self.lexer.next()?;
        self.tried.clear();
        self.last = self.token.span;
        self.token = next;
        Ok(self.last)
    }

    /// Reads the token after the current one without moving. What is no token counts as the end.
    fn ahead(&self) -> Kind<'a> {
        let mut lexer = self.lexer;
        lexer.next().map_or(Kind::End, |token| token.kind)
    }

    #[inline(always)]
    fn at_word(&mut self, word: &'static str) -> bool {
        self.tried.push(word);
        matches!(self.token.kind, Kind::Word(found) if found.eq_ignore_ascii_case(word))
    }

    #[inline(always)]
    fn at(&mut self, symbol: &'static str) -> bool {
        self.tried.push(symbol);
        matches!(self.token.kind, Kind::Symbol(found) if found == symbol)
    }

    /// Moves past a word if it is there.
    fn eat_word(&mut self, word: &'static str) -> Result<bool, DqlError> {
        let found = self.at_word(word);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    /// Moves past a symbol if it is there.
    fn eat(&mut self, symbol: &'static str) -> Result<bool, DqlError> {
        let found = self.at(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect_word(&mut self, word: &'static str) -> Result<(), DqlError> {
        if self.eat_word(word)? { Ok(()) } else { Err(self.unexpected("")) }
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), DqlError> {
        if self.eat(symbol)? { Ok(()) } else { Err(self.unexpected("")) }
    }

    /// Reads a name: a word that is no keyword, or anything in back-ticks.
    fn name(&mut self, what: &str) -> Result<String, DqlError> {
        match self.optional_name()? {
            Some(name) => Ok(name),
            None => Err(self.unexpected(what)),
        }
    }

    fn optional_name(&mut self) -> Result<Option<String>, DqlError> {
        match &mut self.token.kind {
            Kind::Quoted(name) => {
                let name = std::mem::take(name);
                self.advance()?;
                Ok(Some(name))
            }
            Kind::Word(word) if !is_reserved(word) => {
                let name = (*word).to_owned();
                self.advance()?;
                Ok(Some(name))
            }
            _ => Ok(None),
        }
    }

    /// Reads a name after a point, where keywords are names too.
    fn member_name(&mut self) -> Result<String, DqlError> {
        match self.token.kind {
            Kind::Word(word) => {
                self.advance()?;
                Ok(word.to_owned())
            }
            _ => self.name("the name of a field"),
        }
    }

    /// Runs a rule one level deeper.
    fn deeper<T>(&mut self, rule: impl FnOnce(&mut Self) -> Result<T, DqlError>) -> Result<T, DqlError> {
        self.much_deeper(1, rule)
    }

    /// Runs a rule some levels deeper.
    fn much_deeper<T>(
        &mut self,
        levels: usize,
        rule: impl FnOnce(&mut Self) -> Result<T, DqlError>,
    ) -> Result<T, DqlError> {
        if self.depth + levels > DEPTH_MAX {
            let message = ["expressions nest at most ", &DEPTH_MAX.to_string(), " levels deep"].concat();
            return Err(DqlError::invalid(&message, self.token.span));
        }
        self.depth += levels;
        let result = rule(self);
        self.depth -= levels;
        result
    }

    /// Returns the span from a start to the last token read.
    fn since(&self, start: usize) -> Span {
        Span { start, end: self.last.end }
    }

    fn unsupported(&self, part: &str) -> DqlError {
        DqlError::unsupported(part, self.token.span)
    }

    /// The error that the current token is not what was expected: `what`, or one of the words tried.
    fn unexpected(&mut self, what: &str) -> DqlError {
        let mut expected: Vec<&str> = Vec::new();
        for word in self.tried.iter().copied().chain([what]) {
            // What may always go on an expression or a list says nothing, and hides what does.
            if !expected.contains(&word) && !["", ",", ".", "[", ";"].contains(&word) {
                expected.push(word);
            }
        }
        let mut message = String::from("expected ");
        for (index, word) in expected.iter().enumerate() {
            message.push_str(match index {
                0 => "",
                _ if index + 1 == expected.len() => " or ",
                _ => ", ",
            });
            message.push_str(word);
        }
        message.push_str(", found ");
        message.push_str(match self.token.kind {
            Kind::End => "the end",
            _ => self.text.get(self.token.span.start..self.token.span.end).unwrap_or("").lines().next().unwrap_or(""),
        });
        let here = self.suggestion(&expected, self.token.span);
        if let Some((word, found)) = here.or_else(|| self.suggestion(&expected, self.last)) {
            message.push_str("; did you mean ");
            message.push_str(word);
            message.push_str(" instead of ");
            message.push_str(found);
            message.push('?');
        }
        DqlError::invalid(&message, self.token.span)
    }

    /// Returns the expected word that a written word resembles, and the written word.
    fn suggestion<'w>(&self, expected: &[&'w str], span: Span) -> Option<(&'w str, &'a str)> {
        let written = self.text.get(span.start..span.end)?;
        let is_word =
            |word: &str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let word =
            expected.iter().find(|word| is_word(word) && !word.eq_ignore_ascii_case(written) && near(written, word));
        if is_word(written) { word.map(|word| (*word, written)) } else { None }
    }
}

/// Says whether a word needs back-ticks to be a name. Every name is looked up.
pub(crate) fn is_reserved(word: &str) -> bool {
    let Some(first @ b'A'..=b'Z') = word.bytes().next().map(|first| first.to_ascii_uppercase()) else { return false };
    let letter = usize::from(first - b'A');
    RESERVED[STARTS[letter]..STARTS[letter + 1]].iter().any(|reserved| reserved.eq_ignore_ascii_case(word))
}

/// Where the reserved words of each letter start, and where those of the last one end.
const STARTS: [usize; 27] = {
    let (mut starts, mut letter, mut at) = ([0; 27], 0, 0);
    while letter < 27 {
        while at < RESERVED.len() && RESERVED[at].as_bytes()[0] < b'A' + letter as u8 {
            at += 1;
        }
        starts[letter] = at;
        letter += 1;
    }
    starts
};

/// In alphabetical order.
const RESERVED: [&str; 58] = [
    "ADVISE",
    "ALTER",
    "AND",
    "APPLY",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CREATE",
    "DELETE",
    "DESC",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "ESCAPE",
    "EVICT",
    "EXCEPT",
    "EXPLAIN",
    "FALSE",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTO",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "MISSING",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "PROFILE",
    "RETURNING",
    "RIGHT",
    "SELECT",
    "SET",
    "SIMILAR",
    "THEN",
    "TRUE",
    "UNION",
    "UNSET",
    "UPDATE",
    "USE",
    "WHEN",
    "WHERE",
    "XOR",
];
