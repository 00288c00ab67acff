//! How stored values look, for a store that keeps them tightly: a document is the position of its last change and its
//! bytes, of which stamps and values vary.

use std::ops::Range;

use store::{Key, ValueLayout};

use crate::view::SEQ_BYTES;

/// The layout of the engine's values. Small records have no template.
#[derive(Debug)]
pub struct DocumentLayout;

impl ValueLayout for DocumentLayout {
    fn variable_parts(&self, key: &[u8], value: &[u8], parts: &mut Vec<Range<usize>>) {
        if !Key::names_document(key) || value.len() <= SEQ_BYTES {
            return;
        }
        parts.push(0..SEQ_BYTES);
        if crdt::variable_parts(&value[SEQ_BYTES..], SEQ_BYTES, parts).is_err() {
            parts.clear();
        }
    }
}
