//! A reader over lists of documents: reads as a peer does, fields that are needed only, and indexes by definition.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;

use dql::{Access, Flow, IndexKey, IndexScan, KeyBounds, Needed, Reader, Request, Source, Taker};
use value::{Object, Value, order};

/// Documents by collection.
#[derive(Clone, Debug, Default)]
pub struct List(pub BTreeMap<String, Vec<Object>>);

impl List {
    pub fn of(documents: &[Object]) -> List {
        List([("c".to_owned(), documents.to_vec())].into())
    }

    fn documents(&self, source: &Source) -> &[Object] {
        self.0.get(source.collection.as_str()).map_or(&[], Vec::as_slice)
    }

    /// Returns the documents that an access finds, in its order.
    pub fn found(&self, source: &Source, access: &Access) -> Vec<Object> {
        let all = self.documents(source);
        let is = |document: &Object, id: &Value| document.get("_id").is_some_and(|known| order::equal(known, id));
        match access {
            Access::All => all.to_vec(),
            Access::Ids(ids) => {
                ids.iter().filter_map(|id| all.iter().find(|document| is(document, id)).cloned()).collect()
            }
            Access::Index(scan) => scanned(scan, all),
            Access::Intersection(parts) => {
                let parts: Vec<Vec<Object>> = parts.iter().map(|part| self.found(source, part)).collect();
                all.iter().filter(|document| parts.iter().all(|part| part.contains(document))).cloned().collect()
            }
            Access::Union(parts) => {
                let parts: Vec<Vec<Object>> = parts.iter().map(|part| self.found(source, part)).collect();
                all.iter().filter(|document| parts.iter().any(|part| part.contains(document))).cloned().collect()
            }
        }
    }
}

impl Reader for List {
    type Stop = Infallible;

    fn read(&self, request: Request<'_>, taker: &mut dyn Taker) -> Result<(), Infallible> {
        for document in self.found(request.source, &request.source.access) {
            if request.deciding.is_some_and(|deciding| !taker.wants(&narrow(&document, deciding))) {
                continue;
            }
            if taker.take(&narrow(&document, request.needed)) == Flow::Enough {
                break;
            }
        }
        Ok(())
    }
}

fn narrow(document: &Object, needed: &Needed) -> Object {
    match needed {
        Needed::All => document.clone(),
        Needed::Named(names) => {
            let wanted = document.iter().filter(|(name, _)| names.contains(name));
            wanted.map(|(name, value)| (name.clone(), value.clone())).collect()
        }
    }
}

fn scanned(scan: &IndexScan, all: &[Object]) -> Vec<Object> {
    let keys = &scan.index.keys;
    let values = |document: &Object| -> Vec<Option<Value>> {
        keys.iter().map(|key| field(document, &key.path).cloned()).collect()
    };
    let mut found: Vec<(Vec<Option<Value>>, &Object)> =
        all.iter().map(|document| (values(document), document)).collect();
    found.retain(|(values, _)| scan.bounds.iter().any(|bounds| lies_in(values, bounds)));
    found.sort_by(|(a, _), (b, _)| in_order(keys, a, b));
    if scan.reverse {
        found.reverse();
    }
    let covering = |values: &[Option<Value>], document: &Object| {
        let mut object = Object::new();
        object.extend(document.get("_id").map(|id| ("_id".to_owned(), id.clone())));
        for (key, value) in keys.iter().zip(values) {
            if value.is_some() {
                set(&mut object, &key.path, value.clone());
            }
        }
        object
    };
    let shown = |(values, document): (Vec<Option<Value>>, &Object)| {
        if scan.covering { covering(&values, document) } else { document.clone() }
    };
    found.into_iter().map(shown).collect()
}

fn in_order(keys: &[IndexKey], a: &[Option<Value>], b: &[Option<Value>]) -> Ordering {
    let pairs = a.iter().zip(b).zip(keys);
    let mut orderings = pairs.map(|((a, b), key)| match compare(a.as_ref(), b.as_ref()) {
        ordering if key.descending => ordering.reverse(),
        ordering => ordering,
    });
    orderings.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
}

fn lies_in(values: &[Option<Value>], bounds: &KeyBounds) -> bool {
    let equal = bounds.equal.iter().zip(values).all(|(a, b)| compare(a.as_ref(), b.as_ref()).is_eq());
    let Some(next) = values.get(bounds.equal.len()) else { return equal };
    let above = match &bounds.low {
        Bound::Excluded(low) => compare(next.as_ref(), low.as_ref()).is_gt(),
        Bound::Included(low) => compare(next.as_ref(), low.as_ref()).is_ge(),
        Bound::Unbounded => true,
    };
    let below = match &bounds.high {
        Bound::Excluded(high) => compare(next.as_ref(), high.as_ref()).is_lt(),
        Bound::Included(high) => compare(next.as_ref(), high.as_ref()).is_le(),
        Bound::Unbounded => true,
    };
    equal && above && below
}

/// The order of values, with missing behind all of them.
fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => order::compare(a, b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}

/// Returns the value at a path of names.
pub fn field<'a>(document: &'a Object, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(document.get(first.as_str())?, |value, name| value.as_object()?.get(name.as_str()))
}

/// Replaces the value at a path, and makes the objects on the way; or removes what is there.
pub fn set(document: &mut Object, path: &[String], value: Option<Value>) {
    if value.is_none() && field(document, path).is_none() {
        return;
    }
    let (last, above) = path.split_last().expect("a path");
    let mut object = document;
    for name in above {
        let inner = object.entry(name.clone()).or_insert_with(|| Value::from([]));
        if inner.as_object().is_none() {
            *inner = Value::from([]);
        }
        let Value::Object(fields) = inner else { return };
        object = fields;
    }
    match value {
        Some(value) => object.insert(last.clone(), value),
        None => object.remove(last),
    };
}
