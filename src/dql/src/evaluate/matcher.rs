//! SIMILAR TO and regexp_like: patterns compiled to automata that take linear time.
//!
//! SIMILAR TO asks about the whole text: `%` is any text, `_` any character, `\` takes the next character as it is, and
//! `| * + ? {m,n} ( ) [ ]` are those of regular expressions. `regexp_like` looks for the pattern anywhere; classes such as
//! `\d` and the flag `i` know ASCII only, since tables of Unicode would double the size of the module.
//!
//! Invariants: a compiled pattern is at most `PATTERN_BYTES_MAX` and nests at most `NEST_MAX` levels; no back-tracking.

use std::fmt;
use std::rc::Rc;

use regex_lite::{Regex, RegexBuilder};

const PATTERN_BYTES_MAX: usize = 64 * 1024;
const NEST_MAX: u32 = 50;

/// A compiled pattern.
#[derive(Clone)]
pub(crate) struct Matcher {
    regex: Rc<Regex>,
    /// The flags, a slash and the regular expression: what tells two matchers apart.
    source: String,
}

impl Matcher {
    /// Compiles the pattern of SIMILAR TO. Errors: the reason.
    pub fn similar(pattern: &str) -> Result<Matcher, String> {
        Matcher::new(&translated(pattern), "s")
    }

    /// Compiles the pattern of `regexp_like`. Flags: `c` and `i` tell upper from lower case or not, the later wins; `m` makes
    /// `^` and `$` match at lines, `s` lets `.` match the end of a line, `x` skips blanks. Errors: the reason.
    pub fn regular(pattern: &str, flags: &str) -> Result<Matcher, String> {
        match flags.chars().find(|flag| !"cimsx".contains(*flag)) {
            Some(flag) => Err(["there is no flag ", &flag.to_string(), "; there are c i m s x"].concat()),
            None => Matcher::new(pattern, flags),
        }
    }

    fn new(pattern: &str, flags: &str) -> Result<Matcher, String> {
        let mut builder = RegexBuilder::new(pattern);
        builder.size_limit(PATTERN_BYTES_MAX).nest_limit(NEST_MAX);
        for flag in flags.chars() {
            match flag {
                'c' | 'i' => builder.case_insensitive(flag == 'i'),
                'm' => builder.multi_line(true),
                's' => builder.dot_matches_new_line(true),
                _ => builder.ignore_whitespace(true),
            };
        }
        let regex = builder.build().map_err(|error| error.to_string())?;
        Ok(Matcher { regex: Rc::new(regex), source: [flags, "/", pattern].concat() })
    }

    /// Says whether the pattern is found.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.source)
    }
}

/// Writes the pattern of SIMILAR TO as a regular expression.
fn translated(pattern: &str) -> String {
    let mut regex = String::from("^(?:");
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            '(' => regex.push_str("(?:"),
            '|' | '*' | '+' | '?' | ')' | '{' | '}' => regex.push(character),
            '\\' => literal(&mut regex, characters.next().unwrap_or('\\')),
            '[' => {
                regex.push('[');
                regex.extend(characters.next_if_eq(&'^'));
                // Right after the opening a closing bracket is one of the characters.
                regex.push_str(characters.next_if_eq(&']').map_or("", |_| "\\]"));
                class(&mut regex, &mut characters);
            }
            character => literal(&mut regex, character),
        }
    }
    regex.push_str(")$");
    regex
}

/// Copies the rest of a class in brackets; one that is not closed is refused by the compiler.
fn class(regex: &mut String, characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while let Some(character) = characters.next() {
        match character {
            ']' => return regex.push(']'),
            '\\' => literal(regex, characters.next().unwrap_or('\\')),
            '[' if characters.peek() == Some(&':') => {
                // `[:alpha:]`, up to its own closing bracket.
                regex.push('[');
                for inner in characters.by_ref() {
                    regex.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
            }
            '[' | '&' | '~' | '^' => regex.extend(['\\', character]),
            character => regex.push(character),
        }
    }
}

fn literal(regex: &mut String, character: char) {
    regex.push_str(&regex_lite::escape(character.encode_utf8(&mut [0; 4])));
}
