//! One rich field as a Yjs client has it: a Y.Doc that goes along with it.
//!
//! Out: what the client lacks, as an update. In: what the client wrote, as an update; it becomes a delta of the document like
//! any write. A client that was bound to one *life* of a field (its document's epoch and its content's generation) is told
//! when that has ended: its Y.Doc holds what the field holds no more, and updates made for the one mean nothing for the other.

use std::borrow::Cow;

use value::{Writer, hash64};

use crate::change::{Change, check_name};
use crate::document::Doc;
use crate::edit::sized;
use crate::error::EditError;
use crate::path::Path;
use crate::rich::RichKind;
use crate::stamp::Stamp;
use crate::types::Types;
use value::limits::DEPTH_MAX;

/// What a Yjs client lacks of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The type of its root.
    pub kind: RichKind,
    /// Names the life of the field; another number means other content.
    pub life: u64,
    /// V1 update.
    pub update: Vec<u8>,
    /// The state vector of the content.
    pub reached: Vec<u8>,
}

/// What a Yjs client wrote into a field.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The names of the fields down to it.
    pub path: &'a [String],
    /// The type of the client's root.
    pub kind: RichKind,
    /// The life that the client is bound to; `None`: it has seen none.
    pub life: Option<u64>,
    /// V1 update.
    pub update: &'a [u8],
}

impl Doc {
    /// Returns what a client with a state vector (V1; empty for a new client) lacks of the content at a path; `None` if there is none.
    ///
    /// Errors: `Update` for bytes that are no state vector.
    pub fn lacking(&self, path: &[String], known: &[u8]) -> Result<Option<Lacking>, EditError> {
        let rich = self.leaf(&Path::new(path)).and_then(|leaf| leaf.rich.as_deref());
        let Some(rich) = rich.filter(|rich| self.is_live() && rich.newest_live().is_some()) else { return Ok(None) };
        // An empty vector is a count of none.
        let known = if known.is_empty() { &[0][..] } else { known };
        let (update, reached) = rich.lacking(known).ok_or_else(|| EditError::Update(path.to_vec()))?;
        let mut life = Writer::new();
        life.var(u64::from(self.epoch))
            .fixed64(rich.generation.hlc.0)
            .fixed64(rich.generation.actor)
            .u8(rich.kind as u8);
        // 53 bits, which a JavaScript number holds.
        Ok(Some(Lacking { kind: rich.kind, life: hash64(&life.finish()) >> 11, update, reached }))
    }
}

/// Returns the delta of what a Yjs client wrote. A document that never was is made.
///
/// Errors: `Replaced` if the client is bound to another life of the field, or to one that has ended; `Type` for a field of
/// another kind; `Update` for bytes that are no update.
pub fn receive(base: &Doc, received: Received<'_>, stamp: Stamp) -> Result<Doc, EditError> {
    let Received { path: names, kind, life, update } = received;
    if names.is_empty() {
        return Err(EditError::Root);
    }
    names.iter().try_for_each(|name| check_name(name))?;
    let path = Path::new(names);
    if path.depth() + 1 > DEPTH_MAX {
        return Err(EditError::Depth);
    }
    let known = base.lacking(names, &[])?;
    match (&known, life) {
        (Some(known), Some(life)) if known.life != life => return Err(EditError::Replaced(names.to_vec())),
        (None, Some(_)) => return Err(EditError::Replaced(names.to_vec())),
        (Some(known), _) if known.kind != kind => return Err(EditError::Kind(names.to_vec(), known.kind)),
        (Some(_), _) | (None, None) => {}
    }
    let start = match base.deleted {
        Some(_) => Cow::Owned(Doc { epoch: base.epoch.saturating_add(1), ..Doc::default() }),
        None => Cow::Borrowed(base),
    };
    let mut change = Change::new(start, &Types::default(), stamp);
    if !base.is_live() {
        change.put_root();
    }
    change.put_ancestors(&path);
    change.receive(&path, kind, update)?;
    sized(base, change)
}
