//! The most frequent INSERT, of a document that was not there, straight to its binary form.
//!
//! In: the fields and the stamp. Out: the bytes that `insert(&Doc::default(), …).encode()` would give, without the document
//! in between: one stamp, and leaves in the order in which the fields come, since paths sort like lists of names.

use value::limits::DOCUMENT_BYTES_MAX;
use value::{Object, Value, Writer, cbor};

use crate::change::check_name;
use crate::edit::{check_depth, fields_of};
use crate::encode::{LEAF_MAP, LEAF_REGISTER, VERSION, common_bytes};
use crate::error::EditError;
use crate::path::push;
use crate::stamp::Stamp;

/// Returns the binary form of a document that begins with this INSERT and declares no types.
///
/// Errors: those of `insert`.
pub fn insert_new(object: &Object, stamp: Stamp) -> Result<Vec<u8>, EditError> {
    check_depth(0, object)?;
    let mut out = Leaves { writer: Writer::with_capacity(256), path: String::new(), before: String::new() };
    let (ms, count) = (stamp.hlc.0 >> 16, stamp.hlc.0 & 0xffff);
    // One actor and one stamp, which all leaves name by the number 0.
    out.writer.u8(VERSION << 4).var(1).fixed64(stamp.actor).var(1).var(ms).var(count);
    out.writer.var(1 + fields_of(object).map(|(_, value)| leaves_of(value)).sum::<u64>());
    out.leaf(LEAF_REGISTER | LEAF_MAP);
    for (name, value) in fields_of(object) {
        out.field(name, value)?;
    }
    let bytes = out.writer.finish();
    if bytes.len() > DOCUMENT_BYTES_MAX { Err(EditError::Size(bytes.len())) } else { Ok(bytes) }
}

/// Returns how many leaves a field becomes: a map is its marker and its fields.
fn leaves_of(value: &Value) -> u64 {
    match value {
        Value::Object(fields) => 1 + fields.values().map(leaves_of).sum::<u64>(),
        Value::Array(_)
        | Value::Bool(_)
        | Value::Bytes(_)
        | Value::Float(_)
        | Value::Int(_)
        | Value::Null
        | Value::Str(_) => 1,
    }
}

struct Leaves {
    writer: Writer,
    /// Of the leaf to be written.
    path: String,
    /// Of the leaf before it.
    before: String,
}

impl Leaves {
    fn field(&mut self, name: &str, value: &Value) -> Result<(), EditError> {
        check_name(name)?;
        let above = self.path.len();
        push(&mut self.path, name);
        match value {
            Value::Object(fields) => {
                self.leaf(LEAF_REGISTER | LEAF_MAP);
                for (name, value) in fields {
                    self.field(name, value)?;
                }
            }
            value => {
                self.leaf(LEAF_REGISTER);
                cbor::encode_into(value, &mut self.writer);
            }
        }
        self.path.truncate(above);
        Ok(())
    }

    /// Writes the path, the kind and the stamp of a leaf.
    fn leaf(&mut self, kind: u8) {
        let shared = common_bytes(&self.before, &self.path);
        self.writer.var(shared as u64).str(&self.path[shared..]).u8(kind).var(0);
        self.before.truncate(shared);
        self.before.push_str(&self.path[shared..]);
    }
}
