//! Which fields of a document a plan looks at, so that nobody has to read the others.
//!
//! In: bound expressions. Out: names at the top of the document, or everything. Never too few: an expression that takes the
//! document as a whole needs everything.

use crate::evaluate::Code;

/// The fields that an evaluation looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needed {
    /// The whole document.
    All,
    /// The fields with these names at the top, each once; `_id` among them where it is looked at.
    Named(Vec<String>),
}

impl Needed {
    /// Returns what a list of expressions needs.
    pub(crate) fn of<'a>(codes: impl IntoIterator<Item = &'a Code>) -> Needed {
        let mut names = Vec::new();
        let named = codes.into_iter().all(|code| collect(code, &mut names));
        if named { Needed::Named(names) } else { Needed::All }
    }
}

impl Needed {
    /// Adds what something else needs.
    pub fn join(&mut self, other: &Needed) {
        match (&mut *self, other) {
            (Needed::Named(names), Needed::Named(others)) => {
                others.iter().for_each(|name| {
                    if !names.contains(name) {
                        names.push(name.clone());
                    }
                });
            }
            _ => *self = Needed::All,
        }
    }

    /// Returns what expressions over a joined row need of the documents under one alias.
    pub(crate) fn under<'a>(alias: &str, codes: impl IntoIterator<Item = &'a Code>) -> Needed {
        let mut names = Vec::new();
        let named = codes.into_iter().all(|code| collect_under(alias, code, &mut names));
        if named { Needed::Named(names) } else { Needed::All }
    }
}

fn collect_under(alias: &str, code: &Code, names: &mut Vec<String>) -> bool {
    match code {
        Code::Field(path) if path[0] != alias => true,
        Code::Field(path) => match path.get(1) {
            Some(name) => add(name, names),
            None => false,
        },
        Code::Document => false,
        Code::Subquery(subquery) => !subquery.correlated,
        _ => code.all_parts(&mut |part| collect_under(alias, part, names)),
    }
}

/// Collects names; `false` when the whole document is needed.
fn collect(code: &Code, names: &mut Vec<String>) -> bool {
    match code {
        Code::Document => false,
        Code::Subquery(subquery) => !subquery.correlated,
        Code::Field(path) => path.first().is_none_or(|name| add(name, names)),
        _ => code.all_parts(&mut |part| collect(part, names)),
    }
}

/// Adds a name; `false` when there are so many that the whole document is easier.
fn add(name: &String, names: &mut Vec<String>) -> bool {
    if names.contains(name) {
        return true;
    }
    names.push(name.clone());
    names.len() <= NAMES_MAX
}

/// Each name is compared with those before it, and each field of a document with all of them.
const NAMES_MAX: usize = 256;
