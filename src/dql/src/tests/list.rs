//! A reader over lists of documents: reads as a peer does, fields that are needed only, and indexes by definition.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;

use value::{Object, Value, order};

use crate::aggregate::compare;
use crate::{Access, Flow, IndexKey, IndexScan, KeyBounds, Needed, Reader, Request, Source, Taker};

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
        keys.iter().map(|key| crate::evaluate::field(document, &key.path).cloned()).collect()
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
                super::vectors::set(&mut object, &key.path, value.clone());
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
