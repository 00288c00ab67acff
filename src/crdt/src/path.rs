//! The place of a leaf: names of fields from the root of the document, in one string that sorts by field.
//!
//! Shape: every name is followed by U+0000. Inside a name, U+0000 is written U+0001 U+0001, and U+0001 is written
//! U+0001 U+0002. So the order of strings is the order of lists of names, "is below" is "starts with", the root is the
//! empty string, and all leaves of a map are neighbours. One allocation a path instead of one a name.

use std::borrow::Cow;
use std::fmt;

use value::DecodeError;
use value::limits::{DEPTH_MAX, FIELD_NAME_BYTES_MAX};

/// Ends every name.
const END: char = '\0';
const ESCAPE: char = '\u{1}';

/// The names of the fields from the root down to a leaf.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path(Box<str>);

impl Path {
    pub(crate) fn new(names: &[String]) -> Path {
        let mut text = String::with_capacity(names.iter().map(|name| name.len() + 1).sum());
        names.iter().for_each(|name| push(&mut text, name));
        Path(text.into_boxed_str())
    }

    /// Checks text from outside.
    pub(crate) fn decode(text: String) -> Result<Path, DecodeError> {
        let path = Path(text.into_boxed_str());
        if path.0.is_empty() {
            return Ok(path);
        }
        if !path.0.ends_with(END) {
            return Err(DecodeError::Invalid("path"));
        }
        if path.depth() > DEPTH_MAX {
            return Err(DecodeError::Limit("depth"));
        }
        for raw in path.0[..path.0.len() - 1].split(END) {
            let mut chars = raw.chars();
            while let Some(char) = chars.next() {
                if char == ESCAPE && !matches!(chars.next(), Some('\u{1}' | '\u{2}')) {
                    return Err(DecodeError::Invalid("path"));
                }
            }
            if unescape(raw).len() > FIELD_NAME_BYTES_MAX {
                return Err(DecodeError::Limit("field name"));
            }
        }
        Ok(path)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn child(&self, name: &str) -> Path {
        let mut text = String::with_capacity(self.0.len() + name.len() + 1);
        text.push_str(&self.0);
        push(&mut text, name);
        Path(text.into_boxed_str())
    }

    /// Says whether this is `other` or below it.
    pub(crate) fn starts_with(&self, other: &Path) -> bool {
        self.0.starts_with(&*other.0)
    }

    pub(crate) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many names there are.
    pub(crate) fn depth(&self) -> usize {
        self.0.bytes().filter(|byte| *byte == 0).count()
    }

    /// Returns the paths above this one, from the root's child down, without the root.
    pub(crate) fn ancestors(&self) -> impl Iterator<Item = Path> + '_ {
        self.texts_above().map(|text| Path(text.into()))
    }

    /// Returns the same as text.
    pub(crate) fn texts_above(&self) -> impl Iterator<Item = &str> {
        let inner = self.0.len().saturating_sub(1);
        self.0[..inner].match_indices(END).map(|(at, _)| &self.0[..=at])
    }

    /// Returns the names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.split_terminator(END).map(|raw| unescape(raw).into_owned()).collect()
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.names().join("."))
    }
}

/// Splits the first name, unescaped, from text below a known prefix; returns also how many bytes it took.
pub(crate) fn first_name(text: &str) -> Option<(Cow<'_, str>, usize)> {
    // Both marks are ASCII, and a byte is found quicker than a character.
    let end = text.bytes().position(|byte| byte == END as u8)?;
    Some((unescape(&text[..end]), end + 1))
}

pub(crate) fn push(text: &mut String, name: &str) {
    for char in name.chars() {
        match char {
            END => text.push_str("\u{1}\u{1}"),
            ESCAPE => text.push_str("\u{1}\u{2}"),
            other => text.push(other),
        }
    }
    text.push(END);
}

fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.as_bytes().contains(&(ESCAPE as u8)) {
        return Cow::Borrowed(raw);
    }
    let mut name = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(char) = chars.next() {
        match (char, if char == ESCAPE { chars.next() } else { None }) {
            (_, Some('\u{1}')) => name.push(END),
            (_, Some(_)) => name.push(ESCAPE),
            (plain, None) => name.push(plain),
        }
    }
    Cow::Owned(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(names: &[&str]) -> Path {
        Path::new(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn paths_sort_as_lists_of_names_and_give_them_back() {
        let lists: [&[&str]; 8] = [&[], &[""], &["", ""], &["\0"], &["\u{1}"], &["a"], &["a", "b"], &["a\0", "b"]];
        for pair in lists.windows(2) {
            assert!(pair[0] < pair[1] && path(pair[0]) < path(pair[1]), "{pair:?}");
        }
        for list in lists {
            assert_eq!(path(list).names(), list);
            assert_eq!(Path::decode(path(list).as_str().to_owned()), Ok(path(list)));
        }
        assert!(path(&["a", "b"]).starts_with(&path(&["a"])) && !path(&["ab"]).starts_with(&path(&["a"])));
        assert_eq!(path(&["a", "b", "c"]).ancestors().collect::<Vec<_>>(), [path(&["a"]), path(&["a", "b"])]);
    }

    #[test]
    fn broken_text_is_no_path() {
        assert!(Path::decode("a".to_owned()).is_err());
        assert!(Path::decode("\u{1}\0".to_owned()).is_err());
        assert!(Path::decode("a\0".repeat(65)).is_err());
    }
}
