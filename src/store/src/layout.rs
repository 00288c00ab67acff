//! What the room may know of the values it stores, so that it can keep them tightly: where their variable parts are.
//!
//! The values of one collection look alike: between a document's values stand the same names in the same order. A layout
//! names the variable parts of a value; what lies between them, the template, is written once a segment, and each variable
//! part into a column with those of the other rows. Any answer is safe: it decides how small a segment is, never what is
//! read back.

use std::fmt::Debug;
use std::ops::Range;

/// Names the variable parts of stored values.
pub trait ValueLayout: Debug + Sync {
    /// Adds the variable parts of a value: ascending, not overlapping, within the value.
    ///
    /// None at all means that the value has no template: it is kept whole.
    fn variable_parts(&self, key: &[u8], value: &[u8], parts: &mut Vec<Range<usize>>);
}

/// Knows nothing: every value is one variable part.
#[derive(Debug)]
pub struct Opaque;

impl ValueLayout for Opaque {
    fn variable_parts(&self, _key: &[u8], _value: &[u8], _parts: &mut Vec<Range<usize>>) {}
}
