//! The document and its join.

use std::cmp::Ordering;

use value::limits::DOCUMENT_BYTES_MAX;
use value::{DecodeError, Hlc, Object};

use crate::leaf::Leaf;
use crate::node::Node;
use crate::path::Path;
use crate::rich::RichKind;
use crate::stamp::Stamp;
use crate::types::{Declared, Types};
use crate::{decode, encode};

/// One document, or a delta of one: they are the same type.
///
/// The default is the absent document, of which nothing is known; joining it changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Doc {
    /// How many deletions this life of the document has seen; the greater wins whole.
    pub(crate) epoch: u32,
    /// Set by DELETE; then there are no leaves.
    pub(crate) deleted: Option<Stamp>,
    /// Ascending by path.
    pub(crate) leaves: Vec<(Path, Leaf)>,
}

impl Doc {
    /// Largest binary form that is read. Merged documents may be larger than what a local edit may produce.
    pub const BYTES_MAX: usize = 8 * DOCUMENT_BYTES_MAX;

    /// Reads the binary form; refuses everything that `encode` would not have written.
    pub fn decode(bytes: &[u8]) -> Result<Doc, DecodeError> {
        decode::document(bytes)
    }

    /// Reads bytes that this peer encoded itself and a checksum has kept: not checked for being the one form of the document.
    pub fn read(bytes: &[u8]) -> Result<Doc, DecodeError> {
        decode::stored(bytes)
    }

    /// Returns the binary form; equal documents have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode::document(self)
    }

    /// Merges another state or delta of the same document into this one; says whether this changed.
    ///
    /// Idempotent, commutative and associative.
    pub fn join(&mut self, other: &Doc) -> bool {
        if other.is_absent() {
            return false;
        }
        match other.epoch.cmp(&self.epoch) {
            Ordering::Less => false,
            Ordering::Greater => {
                self.clone_from(other);
                true
            }
            Ordering::Equal if other.deleted > self.deleted => {
                self.deleted = other.deleted;
                self.leaves = Vec::new();
                true
            }
            Ordering::Equal if self.deleted.is_some() => false,
            Ordering::Equal => self.join_leaves(&other.leaves),
        }
    }

    fn join_leaves(&mut self, others: &[(Path, Leaf)]) -> bool {
        if self.leaves.is_empty() {
            self.leaves = others.to_vec();
            return !others.is_empty();
        }
        let mut changed = false;
        let mut from = 0;
        for (path, leaf) in others {
            match self.leaves[from..].binary_search_by(|(known, _)| known.cmp(path)) {
                Ok(at) => {
                    from += at;
                    changed |= self.leaves[from].1.join(leaf);
                }
                Err(at) => {
                    from += at;
                    self.leaves.insert(from, (path.clone(), leaf.clone()));
                    changed = true;
                }
            }
        }
        changed
    }

    /// Says whether the document exists and is not deleted.
    pub fn is_live(&self) -> bool {
        self.deleted.is_none() && self.leaves.iter().any(|(_, leaf)| leaf.is_live())
    }

    /// Says whether nothing at all is known.
    pub fn is_absent(&self) -> bool {
        self.deleted.is_none() && self.leaves.is_empty()
    }

    /// Says whether what is known is that there is nothing: deleted, or every field removed.
    pub fn is_tombstone(&self) -> bool {
        !self.is_absent() && !self.is_live()
    }

    /// Returns the greatest clock reading anywhere in it, of the deletion too.
    pub fn newest(&self) -> Hlc {
        let leaves = self.leaves.iter().filter_map(|(_, leaf)| leaf.newest()).max();
        leaves.max(self.deleted).map_or(Hlc::ZERO, |stamp| stamp.hlc)
    }

    /// Returns the fields that show, without `_id`; `None` unless the document is live.
    ///
    /// A declared path shows the declared type if that holds anything; every other path shows what was written last, or where
    /// types are strict its register.
    pub fn to_object(&self, types: &Types) -> Option<Object> {
        if !self.is_live() {
            return None;
        }
        let declared = (!types.is_empty()).then(|| Declared::new(types));
        Some(Node::new(&self.leaves, 0).fields(declared.as_ref()))
    }

    /// Returns the kind of rich content at a path and its yrs state (V1), for a Yjs client; `None` if there is none.
    pub fn rich_state(&self, path: &[String]) -> Option<(RichKind, Vec<u8>)> {
        let rich = self.leaf(&Path::new(path))?.rich.as_ref()?;
        Some((rich.kind, rich.state_v1()))
    }

    pub(crate) fn leaf(&self, path: &Path) -> Option<&Leaf> {
        let at = self.leaves.binary_search_by(|(known, _)| known.cmp(path)).ok()?;
        Some(&self.leaves[at].1)
    }

    /// Returns the leaf of a path, made if need be.
    pub(crate) fn leaf_mut(&mut self, path: &Path) -> &mut Leaf {
        let at = match self.leaves.binary_search_by(|(known, _)| known.cmp(path)) {
            Ok(at) => at,
            Err(at) => {
                self.leaves.insert(at, (path.clone(), Leaf::default()));
                at
            }
        };
        &mut self.leaves[at].1
    }

    /// Returns the leaves at and below a path.
    pub(crate) fn subtree(&self, path: &Path) -> &[(Path, Leaf)] {
        let start = self.leaves.partition_point(|(known, _)| known < path);
        let rest = &self.leaves[start..];
        &rest[..rest.partition_point(|(known, _)| known.starts_with(path))]
    }

    pub(crate) fn node(&self, path: &Path) -> Node<'_> {
        Node::new(self.subtree(path), path.as_str().len())
    }
}
