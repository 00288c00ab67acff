//! What names a rich field, and what a Yjs client hands over for it.

use crdt::RichKind;
use value::{CollectionName, DocId};

/// Names a watch over a rich field; chosen by the skin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub u64);

/// A field with rich content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The document's collection.
    pub collection: CollectionName,
    /// Which document.
    pub id: DocId,
    /// The names of the fields down to it; at least one.
    pub path: Vec<String>,
}

/// What a Yjs client wrote.
#[derive(Clone, Debug)]
pub struct FieldWrite {
    /// Where.
    pub field: Field,
    /// The type of the client's root; it makes a field that is not there.
    pub kind: RichKind,
    /// The life of the field that the client is bound to, as it was told; `None`: none yet.
    pub life: Option<u64>,
    /// V1 update; checked here.
    pub update: Vec<u8>,
}
