//! The statements that were carried out last, for `system:request_history`.

use std::collections::VecDeque;

use value::{ErrorCode, Millis, Object, Value};

use crate::statement::{Outcome, Stop};
use crate::system::{object, text};

/// Bytes of a statement that are kept: a text may hold a megabyte of data.
const TEXT_BYTES_MAX: usize = 512;

/// A statement that was carried out, or failed.
#[derive(Debug)]
struct Past {
    text: String,
    at: Millis,
    rows: usize,
    mutated: usize,
    error: Option<ErrorCode>,
}

/// The statements that were carried out last.
#[derive(Debug)]
pub struct History {
    past: VecDeque<Past>,
    max: usize,
}

impl Default for History {
    fn default() -> History {
        History { past: VecDeque::new(), max: 4096 }
    }
}

impl History {
    /// Keeps at most so many.
    pub fn limit(&mut self, max: usize) {
        self.max = max;
        self.past.truncate(max);
    }

    /// Takes a statement in: when it was answered, and with how many rows and touched documents or which error.
    pub fn add(&mut self, statement: &str, at: Millis, result: Result<(usize, usize), ErrorCode>) {
        if self.max == 0 {
            return;
        }
        self.past.truncate(self.max - 1);
        let end = (0..=statement.len().min(TEXT_BYTES_MAX)).rev().find(|end| statement.is_char_boundary(*end));
        let text = statement[..end.unwrap_or(0)].to_owned();
        let (rows, mutated) = result.unwrap_or_default();
        self.past.push_front(Past { text, at, rows, mutated, error: result.err() });
    }

    /// As `add`, from what a run came to; one that waits for blocks is not over.
    pub fn take(&mut self, statement: &str, at: Millis, outcome: &Result<Outcome, Stop>) {
        match outcome {
            Ok(outcome) => self.add(statement, at, Ok((outcome.rows.len(), outcome.mutated.len()))),
            Err(Stop::Failed(failure)) => self.add(statement, at, Err(failure.code)),
            Err(Stop::Blocked(_)) => {}
        }
    }

    /// Returns them, the newest first.
    pub fn rows(&self) -> Vec<Object> {
        let row = |past: &Past| {
            let mut row = object([
                ("statement", text(&past.text)),
                ("time", Value::Int(past.at.0 as i64)),
                ("rows", Value::Int(past.rows as i64)),
                ("mutated", Value::Int(past.mutated as i64)),
                ("state", text(if past.error.is_some() { "failed" } else { "completed" })),
            ]);
            row.extend(past.error.map(|code| ("error".to_owned(), text(code.as_str()))));
            row
        };
        self.past.iter().map(row).collect()
    }
}
