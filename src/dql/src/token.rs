//! Text to tokens.
//!
//! In goes the text of a statement, out comes one token at a time with its span; a copy of the [`Lexer`] looks ahead.
//!
//! Invariants: no token is longer than the statement; every malformed string, number or comment is an error with a span;
//! words are not sorted into keywords and names here, since most keywords are also good names.
//!
//! Source: reference 2.3. Both quotes make strings with JSON escapes; back-ticks make names; `:name` is a parameter;
//! `--` and `/* */` are comments, and so are directives (`--+`, `/*+ */`), which are hints.

use crate::error::{DqlError, Span};

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind<'a> {
    /// The end of the text.
    End,
    /// A number with a point or an exponent, or an integer over 64 bits.
    Float(f64),
    /// An integer of at most 64 bits without its sign.
    Int(u64),
    /// `:name`, without the colon.
    Parameter(&'a str),
    /// A name in back-ticks.
    Quoted(String),
    /// The content of a string.
    Str(String),
    /// An operator or a bracket.
    Symbol(&'static str),
    /// A keyword or a name.
    Word(&'a str),
}

/// A token and its place.
#[derive(Clone, Debug)]
pub(crate) struct Token<'a> {
    pub kind: Kind<'a>,
    pub span: Span,
}

/// Reads tokens off a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a str, at: usize) -> Lexer<'a> {
        Lexer { text, at }
    }

    /// Reads the next token; after the last it returns `End` for ever.
    pub fn next(&mut self) -> Result<Token<'a>, DqlError> {
        self.skip_blanks()?;
        let start = self.at;
        let [first, second] = self.bytes();
        let kind = match first {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => Kind::Word(self.word()),
            0 if start == self.text.len() => Kind::End,
            b'\'' | b'"' => Kind::Str(self.string(first)?),
            b'`' => Kind::Quoted(self.quoted()?),
            b'0'..=b'9' => self.number()?,
            b'.' if second.is_ascii_digit() => self.number()?,
            b':' if starts_name(&self.text[start + 1..]) => {
                self.at += 1;
                Kind::Parameter(self.word())
            }
            0x80.. if starts_name(&self.text[start..]) => Kind::Word(self.word()),
            _ => self.symbol(first, second)?,
        };
        Ok(Token { kind, span: Span { start, end: self.at } })
    }

    /// Returns the next two bytes, 0 behind the end.
    #[inline(always)]
    fn bytes(&self) -> [u8; 2] {
        match self.text.as_bytes().get(self.at..) {
            Some([first, second, ..]) => [*first, *second],
            Some([first]) => [*first, 0],
            _ => [0; 2],
        }
    }

    fn skip_blanks(&mut self) -> Result<(), DqlError> {
        loop {
            match self.bytes() {
                [b' ' | b'\t' | b'\n' | b'\r', _] => self.at += 1,
                [b'-', b'-'] => {
                    let rest = &self.text[self.at..];
                    self.at += rest.find('\n').unwrap_or(rest.len());
                }
                [b'/', b'*'] => {
                    let end = self.text[self.at..].find("*/");
                    self.at += end.ok_or_else(|| self.error("this comment has no end", self.at, 2))? + 2;
                }
                // The rarer blanks.
                [0x0b | 0x0c | 0x80.., _] => {
                    let rest = &self.text[self.at..];
                    let blank = rest.len() - rest.trim_start().len();
                    if blank == 0 {
                        return Ok(());
                    }
                    self.at += blank;
                }
                _ => return Ok(()),
            }
        }
    }

    fn symbol(&mut self, first: u8, second: u8) -> Result<Kind<'a>, DqlError> {
        let symbol = match (first, second) {
            (b'<', b'<') => "<<",
            (b'>', b'>') => ">>",
            (b'<', b'=') => "<=",
            (b'>', b'=') => ">=",
            (b'<', b'>') => "<>",
            (b'!', b'=') => "!=",
            (b'=', b'=') => "==",
            (b'|', b'|') => "||",
            (b'(', _) => "(",
            (b')', _) => ")",
            (b'[', _) => "[",
            (b']', _) => "]",
            (b'{', _) => "{",
            (b'}', _) => "}",
            (b',', _) => ",",
            (b'.', _) => ".",
            (b';', _) => ";",
            (b':', _) => ":",
            (b'=', _) => "=",
            (b'<', _) => "<",
            (b'>', _) => ">",
            (b'+', _) => "+",
            (b'-', _) => "-",
            (b'*', _) => "*",
            (b'/', _) => "/",
            (b'%', _) => "%",
            (b'?', _) => "?",
            _ => {
                let length = self.text[self.at..].chars().next().map_or(0, char::len_utf8);
                return Err(self.error("no token starts with this character", self.at, length));
            }
        };
        self.at += symbol.len();
        Ok(Kind::Symbol(symbol))
    }

    fn word(&mut self) -> &'a str {
        let start = self.at;
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at)
            && (byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'$')
        {
            self.at += 1;
        }
        if bytes.get(self.at).is_some_and(|byte| !byte.is_ascii()) {
            let rest = &self.text[self.at..];
            let length = rest.find(|c: char| !(c == '_' || c == '$' || c.is_alphanumeric()));
            self.at += length.unwrap_or(rest.len());
        }
        &self.text[start..self.at]
    }

    fn quoted(&mut self) -> Result<String, DqlError> {
        let start = self.at;
        let mut name = String::new();
        let mut characters = self.text[start + 1..].char_indices().peekable();
        while let Some((offset, character)) = characters.next() {
            if character != '`' {
                name.push(character);
            } else if characters.next_if(|(_, next)| *next == '`').is_some() {
                name.push('`');
            } else if name.is_empty() {
                return Err(self.error("a name has at least one character", start, 2));
            } else {
                self.at = start + 1 + offset + 1;
                return Ok(name);
            }
        }
        Err(self.error("this name has no closing back-tick", start, 1))
    }

    fn string(&mut self, quote: u8) -> Result<String, DqlError> {
        let start = self.at;
        let mut content = String::new();
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let Some(length) = rest.bytes().position(|byte| byte == quote || byte == b'\\') else {
                return Err(self.error("this string has no closing quote", start, 1));
            };
            content.push_str(&rest[..length]);
            self.at += length + 1;
            if rest.as_bytes()[length] == quote {
                return Ok(content);
            }
            content.push(self.escape()?);
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Result<char, DqlError> {
        let start = self.at - 1;
        let character = self.text[self.at..].chars().next();
        self.at += character.map_or(0, char::len_utf8);
        let unescaped = match character {
            Some('b') => Some('\u{8}'),
            Some('f') => Some('\u{c}'),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some(same @ ('"' | '\'' | '\\' | '/' | '`')) => Some(same),
            Some('u') => unicode_escape(self.text, &mut self.at),
            _ => None,
        };
        let wrong = "strings know the escapes \\\" \\' \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX";
        unescaped.ok_or_else(|| self.error(wrong, start, self.at - start))
    }

    fn number(&mut self) -> Result<Kind<'a>, DqlError> {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let digits = |from: usize| rest[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let kind = if rest.starts_with(b"0x") || rest.starts_with(b"0X") {
            let length = rest[2..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            self.at += 2 + length;
            u64::from_str_radix(&self.text[start + 2..self.at], 16).ok().map(Kind::Int)
        } else {
            let mut length = digits(0);
            let whole = length;
            if rest.get(length) == Some(&b'.') && rest.get(length + 1).is_some_and(u8::is_ascii_digit) {
                length += 1 + digits(length + 1);
            }
            let exponent = length + usize::from(matches!(rest.get(length + 1), Some(b'+' | b'-')));
            if matches!(rest.get(length), Some(b'e' | b'E')) && rest.get(exponent + 1).is_some_and(u8::is_ascii_digit) {
                length = exponent + 1 + digits(exponent + 1);
            }
            self.at += length;
            let text = &self.text[start..self.at];
            let int = if length == whole { text.parse().ok().map(Kind::Int) } else { None };
            int.or_else(|| text.parse().ok().filter(|float: &f64| float.is_finite()).map(Kind::Float))
        };
        if starts_name(&self.text[self.at..]) {
            self.word();
            return Err(self.error("this is neither a number nor a name", start, self.at - start));
        }
        kind.ok_or_else(|| self.error("this number is too large", start, self.at - start))
    }

    fn error(&self, message: &str, start: usize, length: usize) -> DqlError {
        DqlError::invalid(message, Span { start, end: start + length })
    }
}

fn starts_name(text: &str) -> bool {
    text.chars().next().is_some_and(|c| c == '_' || c.is_alphabetic())
}

/// Reads what follows `\u` in a string of the language or of JSON: four hexadecimal digits, twice for a surrogate pair.
pub(crate) fn unicode_escape(text: &str, at: &mut usize) -> Option<char> {
    let high = four_digits(text, at)?;
    if !(0xd800..0xdc00).contains(&high) {
        return char::from_u32(high);
    }
    if !text[*at..].starts_with("\\u") {
        return None;
    }
    *at += 2;
    let low = four_digits(text, at)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    char::from_u32(0x10000 + ((high - 0xd800) << 10) + low)
}

fn four_digits(text: &str, at: &mut usize) -> Option<u32> {
    let digits = text.get(*at..*at + 4)?;
    *at += 4;
    if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) { u32::from_str_radix(digits, 16).ok() } else { None }
}
