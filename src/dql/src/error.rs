//! The error of the language and its rendering for a person.
//!
//! In goes a code, a message and a place in the statement; out comes a [`Failure`] whose message has the line and column,
//! the line itself and a caret line under the place.
//!
//! Invariants: rendering does not panic for any text and any span, even a span of another text; the message never holds
//! more than one line of the statement, and no more than 120 characters of it.

use value::{ErrorCode, Failure};

/// A place in a statement: bytes `start..end` of its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// What is wrong with a statement, its arguments or an evaluation; one pointer, since every rule of the parser returns one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DqlError(Box<Mistake>);

impl std::ops::Deref for DqlError {
    type Target = Mistake;

    fn deref(&self) -> &Mistake {
        &self.0
    }
}

/// What a [`DqlError`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The stable code that handlers match on.
    pub code: ErrorCode,
    /// One sentence without the place.
    pub message: String,
    /// The place in the statement, where there is one.
    pub span: Option<Span>,
}

impl DqlError {
    pub(crate) fn new(code: ErrorCode, message: String, span: Option<Span>) -> DqlError {
        DqlError(Box::new(Mistake { code, message, span }))
    }

    pub(crate) fn invalid(message: &str, span: Span) -> DqlError {
        DqlError::new(ErrorCode::QueryInvalid, message.to_owned(), Some(span))
    }

    /// An error that names the part that is valid but not built.
    pub(crate) fn unsupported(part: &str, span: Span) -> DqlError {
        DqlError::new(ErrorCode::QueryUnsupported, ["Unsupported feature: ", part].concat(), Some(span))
    }

    /// An error that says in its own words what is not allowed.
    pub(crate) fn unsupported_as(message: &str, span: Span) -> DqlError {
        DqlError::new(ErrorCode::QueryUnsupported, message.to_owned(), Some(span))
    }

    /// An error about an index that is not there.
    pub(crate) fn not_found(message: &str, span: Span) -> DqlError {
        DqlError::new(ErrorCode::QueryIndexNotFound, message.to_owned(), Some(span))
    }

    /// Returns the error as users see it; `text` is the statement that was parsed.
    pub fn failure(&self, text: &str) -> Failure {
        let mut message = self.message.clone();
        if let Some(span) = self.span {
            append_place(&mut message, text, span);
        }
        Failure::new(self.code, message)
    }
}

impl std::fmt::Display for DqlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code.as_str())?;
        f.write_str(": ")?;
        f.write_str(&self.message)
    }
}

impl std::error::Error for DqlError {}

/// Appends ` at line:column`, the line and the caret line. Columns count characters from 1.
fn append_place(message: &mut String, text: &str, span: Span) {
    let start = floor_boundary(text, span.start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let line_number = text[..start].matches('\n').count() + 1;
    let before = text[line_start..start].chars().count();
    let marked = text[start..floor_boundary(text, span.end).clamp(start, line_end)].chars().count().max(1);

    message.push_str(" at ");
    message.push_str(&line_number.to_string());
    message.push(':');
    message.push_str(&(before + 1).to_string());
    message.push_str("\n  ");
    let skipped = before.saturating_sub(LINE_CHARS_BEFORE);
    for character in text[line_start..line_end].chars().skip(skipped).take(LINE_CHARS_MAX) {
        message.push(if character.is_control() { ' ' } else { character });
    }
    message.push_str("\n  ");
    message.extend(std::iter::repeat_n(' ', before - skipped));
    message.extend(std::iter::repeat_n('^', marked.min(LINE_CHARS_MAX - LINE_CHARS_BEFORE)));
}

/// Returns the nearest character boundary at or before a byte.
fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Says whether two words differ by few enough edits that one may be a slip for the other: at most a third of the letters.
pub(crate) fn near(word: &str, other: &str) -> bool {
    let (word, other) = (word.to_ascii_uppercase(), other.to_ascii_uppercase());
    let allowed = (other.len() / 3).clamp(1, 2);
    if word.len() > 32 || word.len().abs_diff(other.len()) > allowed {
        return false;
    }
    let (word, other) = (word.as_bytes(), other.as_bytes());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in word.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, wanted) in other.iter().enumerate() {
            let mut edits = (last[j] + usize::from(letter != wanted)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *letter == other[j - 1] && word[i - 1] == *wanted {
                edits = edits.min(before_last[j - 1] + 1);
            }
            row.push(edits);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[other.len()] <= allowed
}

/// How many characters of a long line are shown.
const LINE_CHARS_MAX: usize = 120;
/// How many of them come before the place.
const LINE_CHARS_BEFORE: usize = 80;
