//! Some fields of all documents of a collection, kept in memory: what statements that are repeated look at.
//!
//! A scan steps through every document to find two fields of ten. When the same fields of the same collection are wanted a
//! second time, the scan keeps them here, and the third reads them side by side. Commits keep them up to date.
//!
//! Invariants: in memory only, under a budget; what is here equals what a scan would find, at the position of the store;
//! forgotten whenever the store moves by itself (another tab's manifest, a lost block, a boot) and when a commit changes so
//! much of a collection that reading it again is cheaper.

use std::cell::RefCell;
use std::rc::Rc;

use dql::{FieldRow, Needed};
use value::{CollectionName, DocId, Object, SmallMap, Value};

use crate::draft::Change;

/// Bytes of all collections together.
const BYTES_MAX: usize = 24 * 1024 * 1024;
/// Names kept of one collection.
const NAMES_MAX: usize = 8;
/// Documents of one chunk; one that grows to twice that is split.
const CHUNK: usize = 512;
/// A commit that changes more documents of a collection than this forgets it.
const CHANGES_MAX: usize = 256;
/// Collections whose wishes are remembered.
const WISHES_MAX: usize = 64;

/// The kept fields by collection, and which fields were wanted before.
#[derive(Debug, Default)]
pub struct Columns {
    kept: RefCell<SmallMap<CollectionName, Rc<Kept>>>,
    wished: RefCell<SmallMap<CollectionName, Vec<String>>>,
    /// Fields that together did not fit.
    refused: RefCell<SmallMap<CollectionName, Vec<String>>>,
}

/// The kept fields of one collection, by document in the order of keys.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    names: Vec<String>,
    chunks: Vec<Chunk>,
    bytes: usize,
}

#[derive(Clone, Debug, Default)]
struct Chunk {
    ids: Vec<DocId>,
    /// For each document its values, in the order of the names.
    values: Vec<Option<Value>>,
}

/// What a scan has to do about the columns.
pub enum Wish {
    /// They are here.
    Kept,
    /// They are wanted again: keep these names.
    Keep(Vec<String>),
    /// Nothing.
    None,
}

impl Columns {
    /// Takes note of fields that a scan of all documents looks at.
    pub fn wish(&self, collection: &CollectionName, needed: &Needed) -> Wish {
        let Needed::Named(names) = needed else { return Wish::None };
        if names.is_empty() || names.len() > NAMES_MAX {
            return Wish::None;
        }
        if self.kept.borrow().get(collection).is_some_and(|kept| names.iter().all(|name| kept.names.contains(name))) {
            return Wish::Kept;
        }
        let is_refused = |refused: &Vec<String>| refused.iter().all(|name| names.contains(name));
        if self.refused.borrow().get(collection).is_some_and(is_refused) {
            return Wish::None;
        }
        let mut wished = self.wished.borrow_mut();
        let known = wished.get(collection).is_some_and(|known| names.iter().all(|name| known.contains(name)));
        if !known {
            if wished.len() >= WISHES_MAX {
                wished.clear();
            }
            let before = wished.remove(collection).unwrap_or_default();
            // What was wanted before stays wanted, as long as there is room.
            let mut all = names.clone();
            all.extend(before.into_iter().filter(|name| !names.contains(name)));
            all.truncate(NAMES_MAX);
            wished.insert(collection.clone(), all);
            return Wish::None;
        }
        Wish::Keep(wished.get(collection).cloned().unwrap_or_default())
    }

    /// Keeps what a scan has gathered, if there is room for it.
    pub fn keep(&self, collection: &CollectionName, kept: Kept) {
        let mut all = self.kept.borrow_mut();
        all.remove(collection);
        let others: usize = all.values().map(|kept| kept.bytes).sum();
        if kept.bytes > BYTES_MAX {
            // It is noted, so that no scan gathers in vain each time. Some of the fields alone may fit.
            self.wished.borrow_mut().remove(collection);
            let mut refused = self.refused.borrow_mut();
            if refused.len() >= WISHES_MAX {
                refused.clear();
            }
            refused.insert(collection.clone(), kept.names);
            return;
        }
        if others + kept.bytes > BYTES_MAX {
            all.clear();
        }
        all.insert(collection.clone(), Rc::new(kept));
    }

    /// Returns what is kept of a collection. It stays as it is while it is looked at, even if a sub-query keeps more.
    pub fn of(&self, collection: &CollectionName) -> Option<Rc<Kept>> {
        self.kept.borrow().get(collection).map(Rc::clone)
    }

    /// Forgets everything.
    pub fn forget(&mut self) {
        self.kept.get_mut().clear();
        self.refused.get_mut().clear();
    }

    /// Takes the changes of a commit.
    pub fn published(&mut self, changes: &[Change]) {
        let all = self.kept.get_mut();
        if all.is_empty() {
            return;
        }
        let collections: Vec<CollectionName> = all.keys().cloned().collect();
        for collection in collections {
            let changed = || changes.iter().filter(|change| change.collection == collection);
            match changed().count() {
                0 => {}
                1..=CHANGES_MAX => {
                    let kept = Rc::make_mut(all.get_mut(&collection).expect("it was just listed"));
                    changed().for_each(|change| kept.take(change));
                    if kept.bytes > BYTES_MAX {
                        all.remove(&collection);
                    }
                }
                _ => _ = all.remove(&collection),
            }
        }
        if all.values().map(|kept| kept.bytes).sum::<usize>() > BYTES_MAX {
            all.clear();
        }
    }
}

impl Kept {
    /// Starts to gather fields.
    pub fn new(names: Vec<String>) -> Kept {
        Kept { names, ..Kept::default() }
    }

    /// Returns how many documents there are.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.ids.len()).sum()
    }

    /// Returns the documents in the order of keys.
    pub fn rows(&self) -> impl Iterator<Item = (&DocId, FieldRow<'_>)> {
        self.chunks.iter().flat_map(|chunk| {
            let rows = chunk.values.chunks(self.names.len());
            chunk.ids.iter().zip(rows.map(|values| FieldRow { names: &self.names, values }))
        })
    }

    /// Returns the fields to read.
    pub fn needed(&self) -> Needed {
        Needed::Named(self.names.clone())
    }

    /// Says whether there is no room for what was gathered.
    pub fn is_too_much(&self) -> bool {
        self.bytes > BYTES_MAX
    }

    /// Adds the document that follows those before in the order of keys.
    pub fn push(&mut self, id: DocId, mut object: Object) {
        if self.chunks.last().is_none_or(|chunk| chunk.ids.len() >= CHUNK) {
            self.chunks.push(Chunk::default());
        }
        let values: Vec<Option<Value>> = self.names.iter().map(|name| object.remove(name)).collect();
        self.bytes += size(&id, &values);
        let chunk = self.chunks.last_mut().expect("one was just pushed if there was none");
        chunk.ids.push(id);
        chunk.values.extend(values);
    }

    /// Takes the change of one document.
    fn take(&mut self, change: &Change) {
        let needed = self.needed();
        let after = change.after.fields(&change.id, &needed);
        let width = self.names.len();
        let at = self.chunks.partition_point(|chunk| chunk.ids.last().is_some_and(|last| *last < change.id));
        if at == self.chunks.len() {
            if let Some(object) = after {
                self.push(change.id.clone(), object);
            }
            return;
        }
        let values = after.map(|mut object| self.names.iter().map(|name| object.remove(name)).collect::<Vec<_>>());
        let chunk = &mut self.chunks[at];
        let place = chunk.ids.binary_search(&change.id);
        let (start, end) = match place {
            Ok(place) => {
                self.bytes -= size(&change.id, &chunk.values[place * width..(place + 1) * width]);
                (place * width, (place + 1) * width)
            }
            Err(place) => (place * width, place * width),
        };
        match (place, values) {
            (Ok(place), None) => {
                chunk.ids.remove(place);
                chunk.values.drain(start..end);
            }
            (Ok(_), Some(values)) => {
                self.bytes += size(&change.id, &values);
                chunk.values.splice(start..end, values);
            }
            (Err(_), None) => {}
            (Err(place), Some(values)) => {
                self.bytes += size(&change.id, &values);
                chunk.ids.insert(place, change.id.clone());
                chunk.values.splice(start..end, values);
            }
        }
        match chunk.ids.len() {
            0 => _ = self.chunks.remove(at),
            full if full >= 2 * CHUNK => {
                let later = Chunk { ids: chunk.ids.split_off(CHUNK), values: chunk.values.split_off(CHUNK * width) };
                self.chunks.insert(at + 1, later);
            }
            _ => {}
        }
    }
}

/// Roughly how much memory the kept fields of a document take, bytes.
fn size(id: &DocId, values: &[Option<Value>]) -> usize {
    let values: usize = values.iter().map(|value| size_of::<Option<Value>>() + value.as_ref().map_or(0, heap)).sum();
    id.as_bytes().len() + 48 + values
}

/// Roughly how much memory a value takes beside itself, bytes.
fn heap(value: &Value) -> usize {
    const NODE: usize = 16;
    match value {
        Value::Str(text) => text.len() + NODE,
        Value::Bytes(bytes) => bytes.len() + NODE,
        Value::Array(items) => NODE + items.iter().map(|item| size_of::<Value>() + heap(item)).sum::<usize>(),
        Value::Object(fields) => {
            let field =
                |(name, value): (&String, &Value)| name.len() + size_of::<(String, Value)>() + NODE + heap(value);
            NODE + fields.iter().map(field).sum::<usize>()
        }
        Value::Bool(_) | Value::Float(_) | Value::Int(_) | Value::Null => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::Packed;

    fn change(id: i64, after: Option<&str>) -> Change {
        let stamp = crdt::Stamp { hlc: value::Hlc(1), actor: 1 };
        let object: Object = after.map(|text| ("a".to_owned(), Value::from(text))).into_iter().collect();
        let packed = |is: bool| match is {
            true => Packed::of(&crdt::insert_new(&object, stamp).expect("a document")),
            false => Packed::default(),
        };
        let collection = CollectionName::new("c").expect("a name");
        let id = DocId::new(&Value::Int(id)).expect("an id");
        Change { collection, id, before: Packed::default(), after: packed(after.is_some()) }
    }

    #[test]
    fn what_is_kept_is_what_the_commits_have_made() {
        // Method: random changes to a kept collection and to a plain map; both are compared after each round.
        let collection = CollectionName::new("c").expect("a name");
        let mut columns = Columns::default();
        columns.keep(&collection, Kept::new(vec!["a".to_owned()]));
        let mut model = std::collections::BTreeMap::new();
        let mut state = 11_u64;
        for round in 0..200 {
            let mut changes = Vec::new();
            for _ in 0..40 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let (id, text) = ((state >> 33) as i64 % 3000, (state >> 20) % 1000);
                let after = (text % 4 != 0).then(|| text.to_string());
                let change = change(id, after.as_deref());
                match after {
                    Some(text) => _ = model.insert(change.id.clone(), Value::Str(text)),
                    None => _ = model.remove(&change.id),
                }
                changes.push(change);
            }
            columns.published(&changes);
            let kept = columns.of(&collection).expect("it is kept");
            let found = kept.rows().map(|(id, row)| (id, row.values[0].as_ref().expect("it has the field")));
            assert!(found.eq(model.iter()), "round {round}");
        }
        assert!(model.len() > 2 * CHUNK, "chunks were split: {}", model.len());
        let kept = columns.of(&collection).expect("it is kept");
        let counted: usize = model.iter().map(|(id, value)| size(id, &[Some(value.clone())])).sum();
        assert_eq!((kept.bytes, kept.len()), (counted, model.len()));
    }

    #[test]
    fn what_lies_in_nested_values_counts() {
        let id = DocId::new(&Value::Int(1)).expect("an id");
        let text = Value::Str("x".repeat(10_000));
        let nested = Value::from([("a", Value::Array(vec![text.clone(), Value::from([("b", text)])]))]);
        assert!(size(&id, &[Some(nested)]) > 20_000);
    }

    #[test]
    fn fields_that_do_not_fit_are_gathered_once() {
        let collection = CollectionName::new("c").expect("a name");
        let mut columns = Columns::default();
        let needed = Needed::Named(vec!["a".to_owned()]);
        let mut gathered = 0;
        for _ in 0..10 {
            if let Wish::Keep(names) = columns.wish(&collection, &needed) {
                gathered += 1;
                columns.keep(&collection, Kept { bytes: BYTES_MAX + 1, ..Kept::new(names) });
            }
        }
        assert_eq!(gathered, 1);
        // Other fields may fit.
        let other = Needed::Named(vec!["b".to_owned()]);
        assert!(matches!(columns.wish(&collection, &other), Wish::None));
        let Wish::Keep(names) = columns.wish(&collection, &other) else { panic!("it was wanted twice") };
        assert_eq!(names, ["b"]);
        columns.forget();
        assert!(matches!(columns.wish(&collection, &needed), Wish::None), "the store is another one");
    }

    #[test]
    fn collections_that_grow_stay_under_the_budget_together() {
        let mut columns = Columns::default();
        let [first, second] = ["c", "d"].map(|name| CollectionName::new(name).expect("a name"));
        columns.keep(&first, Kept::new(vec!["a".to_owned()]));
        columns.keep(&second, Kept { bytes: BYTES_MAX - 100, ..Kept::new(vec!["a".to_owned()]) });
        assert!(columns.of(&first).is_some() && columns.of(&second).is_some());
        columns.published(&[change(1, Some(&"x".repeat(1_000)))]);
        let held = [&first, &second].map(|name| columns.of(name).map_or(0, |kept| kept.bytes));
        assert!(held.iter().sum::<usize>() <= BYTES_MAX, "{held:?}");
    }
}
