//! What a yrs document holds: reading it, and edits of it as updates.
//!
//! In: a state (V1, or empty), an edit and the client id under which it is written. Out: a value, or the update by which the
//! state becomes the edited one. Every place is checked before yrs sees it: yrs panics beyond an end.

use value::Value;
use yrs::types::text::YChange;
use yrs::updates::decoder::Decode;
use yrs::{
    Any, Array, ClientID, GetString, OffsetKind, Options, Out, Text, TextRef, Transact, TransactionMut, Update,
    WriteTxn, XmlFragment,
};

use super::xml::{self, XmlNode};
use super::{RichKind, list};

/// Name of the root type in the Y.Doc.
const ROOT: &str = "default";

/// What is done to rich content.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edit<'a> {
    /// Removes all of it.
    Clear,
    /// Makes it equal a value; what is equal at the start and the end stays, so that concurrent edits merge.
    Set(&'a Value),
    /// Removes at a place and inserts there. Places are UTF-16 code units of a TEXT, items of a LIST, children of an XML.
    Splice { start: u64, delete: u64, insert: Option<&'a Value> },
}

/// Why an edit of rich content was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The state cannot be read.
    Broken,
    /// A place is between the two halves of a character.
    Halved,
    /// A place is beyond the end; holds the length.
    Range(u64),
    /// The value is not of the kind.
    Type(&'static str),
    /// The text is no XML, and why.
    Xml(&'static str),
}

/// Makes a yrs document from a state; `None` if that cannot be read.
pub(super) fn load(state: &[u8], client: u64) -> Option<yrs::Doc> {
    let mut options = Options::with_guid_and_client_id("".into(), ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    let doc = yrs::Doc::with_options(options);
    if !state.is_empty() {
        let update = Update::decode_v1(state).ok()?;
        doc.try_transact_mut().ok()?.apply_update(update).ok()?;
    }
    Some(doc)
}

/// Returns what a reader sees: the text, the items of the list, or the XML as text.
pub(super) fn value(state: &[u8], kind: RichKind) -> Value {
    let Some(doc) = load(state, 0) else { return Value::Null };
    let Ok(mut txn) = doc.try_transact_mut() else { return Value::Null };
    match kind {
        RichKind::List => {
            let list = txn.get_or_insert_array(ROOT);
            Value::Array(list::items(&list, &txn))
        }
        RichKind::Text => Value::Str(txn.get_or_insert_text(ROOT).get_string(&txn)),
        RichKind::Xml => {
            let fragment = txn.get_or_insert_xml_fragment(ROOT);
            Value::Str(xml::print(&Out::YXmlFragment(fragment), &txn))
        }
    }
}

/// Returns the update of an edit; `None` if it changes nothing.
pub(super) fn edit(state: &[u8], kind: RichKind, edit: Edit<'_>, client: u64) -> Result<Option<Vec<u8>>, Fault> {
    let doc = load(state, client).ok_or(Fault::Broken)?;
    let mut txn = doc.try_transact_mut().map_err(|_| Fault::Broken)?;
    let changed = match kind {
        RichKind::List => edit_list(&mut txn, edit)?,
        RichKind::Text => edit_text(&mut txn, edit)?,
        RichKind::Xml => edit_xml(&mut txn, edit)?,
    };
    Ok(changed.then(|| txn.encode_update_v1()))
}

fn edit_text(txn: &mut TransactionMut<'_>, edit: Edit<'_>) -> Result<bool, Fault> {
    let root = txn.get_or_insert_text(ROOT);
    let string = |value: &Value| value.as_str().map(str::to_owned).ok_or(Fault::Type(value.type_name()));
    let (start, delete, insert) = match edit {
        Edit::Clear => (0, root.len(txn), String::new()),
        Edit::Set(value) => differing(&root, txn, &string(value)?),
        Edit::Splice { start, delete, insert } => {
            let (start, delete) = range(start, delete, root.len(txn))?;
            let units = units(&root, txn);
            if halves(&units, start) || halves(&units, start + delete) {
                return Err(Fault::Halved);
            }
            (start, delete, insert.map(string).transpose()?.unwrap_or_default())
        }
    };
    if delete > 0 {
        root.remove_range(txn, start, delete);
    }
    if !insert.is_empty() {
        root.insert(txn, start, &insert);
    }
    Ok(delete > 0 || !insert.is_empty())
}

/// Returns the place, the length and the text by which a text becomes another one.
fn differing(root: &TextRef, txn: &TransactionMut<'_>, text: &str) -> (u32, u32, String) {
    let (old, length) = (root.get_string(txn), root.len(txn));
    // Something embedded by an editor takes a place and no character: then all of it is replaced.
    if utf16_len(&old) != length {
        return (0, length, text.to_owned());
    }
    let start: usize = old.chars().zip(text.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    let (old_rest, new_rest) = (&old[start..], &text[start..]);
    let common = old_rest.chars().rev().zip(new_rest.chars().rev()).take_while(|(a, b)| a == b);
    let end: usize = common.map(|(a, _)| a.len_utf8()).sum();
    let (cut, put) = (&old_rest[..old_rest.len() - end], &new_rest[..new_rest.len() - end]);
    (utf16_len(&old[..start]), utf16_len(cut), put.to_owned())
}

fn utf16_len(text: &str) -> u32 {
    text.encode_utf16().count() as u32
}

/// Returns the code units of a text; something embedded is one.
fn units(root: &TextRef, txn: &TransactionMut<'_>) -> Vec<u16> {
    let mut units = Vec::new();
    for chunk in root.diff(txn, YChange::identity) {
        match chunk.insert {
            Out::Any(Any::String(text)) => units.extend(text.encode_utf16()),
            _ => units.push(0xfffc),
        }
    }
    units
}

/// Says whether a place is inside a character.
fn halves(units: &[u16], at: u32) -> bool {
    units.get(at as usize).is_some_and(|unit| (0xdc00..0xe000).contains(unit))
}

fn edit_list(txn: &mut TransactionMut<'_>, edit: Edit<'_>) -> Result<bool, Fault> {
    let root = txn.get_or_insert_array(ROOT);
    let array = |value| Value::as_array(value).ok_or(Fault::Type(value.type_name()));
    let (start, delete, insert) = match edit {
        Edit::Clear => (0, root.len(txn), &[][..]),
        Edit::Set(value) => {
            let (old, new) = (list::items(&root, txn), array(value)?);
            let (start, end) = common(&old, new);
            (start as u32, (old.len() - start - end) as u32, &new[start..new.len() - end])
        }
        Edit::Splice { start, delete, insert } => {
            let (start, delete) = range(start, delete, root.len(txn))?;
            (start, delete, insert.map(array).transpose()?.unwrap_or_default())
        }
    };
    if delete > 0 {
        root.remove_range(txn, start, delete);
    }
    if !insert.is_empty() {
        root.insert_range(txn, start, insert.iter().map(list::to_any).collect::<Vec<_>>());
    }
    Ok(delete > 0 || !insert.is_empty())
}

fn edit_xml(txn: &mut TransactionMut<'_>, edit: Edit<'_>) -> Result<bool, Fault> {
    let root = txn.get_or_insert_xml_fragment(ROOT);
    let nodes = |value: &Value| {
        let text = value.as_str().ok_or(Fault::Type(value.type_name()))?;
        xml::parse(text).map_err(Fault::Xml)
    };
    let (start, delete, insert): (u32, u32, Vec<XmlNode>) = match edit {
        Edit::Clear => (0, root.len(txn), Vec::new()),
        Edit::Set(value) => {
            let mut new = nodes(value)?;
            let old: Vec<Option<XmlNode>> = root
                .children(txn)
                .map(|child| {
                    let text = xml::print(&child.into(), txn);
                    // A child that would be read as more or less than one is not what was written.
                    xml::parse(&text).ok().and_then(|mut nodes| if nodes.len() == 1 { nodes.pop() } else { None })
                })
                .collect();
            let same = |(a, b): &(&Option<XmlNode>, &XmlNode)| a.as_ref() == Some(b);
            let start = old.iter().zip(&new).take_while(same).count();
            let end = old[start..].iter().rev().zip(new[start..].iter().rev()).take_while(same).count();
            let put: Vec<XmlNode> = new.drain(start..new.len() - end).collect();
            (start as u32, (old.len() - start - end) as u32, put)
        }
        Edit::Splice { start, delete, insert } => {
            let (start, delete) = range(start, delete, root.len(txn))?;
            (start, delete, insert.map(nodes).transpose()?.unwrap_or_default())
        }
    };
    if delete > 0 {
        root.remove_range(txn, start, delete);
    }
    (start..).zip(&insert).for_each(|(at, node)| xml::insert(&root, txn, at, node));
    Ok(delete > 0 || !insert.is_empty())
}

/// Returns a range that lies within a length.
fn range(start: u64, delete: u64, length: u32) -> Result<(u32, u32), Fault> {
    match start.checked_add(delete) {
        Some(end) if end <= u64::from(length) => Ok((start as u32, delete as u32)),
        Some(_) | None => Err(Fault::Range(u64::from(length))),
    }
}

/// Returns how many items two lists have in common at the start, and how many of the rest at the end.
fn common(old: &[Value], new: &[Value]) -> (usize, usize) {
    let start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let end = old[start..].iter().rev().zip(new[start..].iter().rev()).take_while(|(a, b)| a == b).count();
    (start, end)
}
