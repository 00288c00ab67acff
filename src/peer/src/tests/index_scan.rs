//! Goal: scans by an index answer as the order of values does, over drafts too, and without the index as with it.
//!
//! Method: an oracle that compares values and knows nothing of keys; few values, so that bounds meet them.

use std::cmp::Ordering;
use std::ops::Bound;

use dql::{Access, IndexKey, IndexScan, KeyBounds};
use store::{Durability, ReadError};
use value::{DocId, Object, Value, order};

use super::harness::World;
use super::index::{ONE, all, found, ints, name, scan};
use crate::index::Indexes;
use crate::io::{Input, Reply, TransactionId};
use crate::view::{Extent, Scan, View};

struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// Few values, of all kinds, and texts that share more than a key holds of them.
    fn value(&mut self) -> Option<Value> {
        let long = |tail: &str| Value::from(format!("{}{tail}", "l".repeat(600)).as_str());
        match self.below(15) {
            0 => None,
            1 => Some(Value::Null),
            2 => Some(Value::Bool(self.below(2) == 0)),
            3 => Some(Value::Float(self.below(3) as f64)),
            4 => Some(Value::Float(0.5)),
            14 => Some(Value::Float(-0.0)),
            5..8 => Some(Value::Int(self.below(4) as i64)),
            8 => Some(long(["a", "b", "c", "d", "e"][self.below(5) as usize])),
            9 => Some(Value::from(["", "a", "ab", "b"][self.below(4) as usize])),
            10 => Some(Value::Array((0..self.below(3)).map(|n| Value::Int(n as i64)).collect())),
            11 => Some(Value::from([("z", Value::Int(self.below(3) as i64))])),
            _ => Some(Value::Int(self.below(40) as i64)),
        }
    }
}

impl Draw {
    fn bounds(&mut self, fields: usize) -> KeyBounds {
        let equal = (0..self.below(fields as u64 + 1)).map(|_| self.value()).collect();
        let mut bound = || match self.below(3) {
            0 => Bound::Unbounded,
            1 => Bound::Included(self.value()),
            _ => Bound::Excluded(self.value()),
        };
        KeyBounds { equal, low: bound(), high: bound() }
    }
}

/// Runs a statement, perhaps in a transaction, and returns its rows.
fn run(world: &mut World, transaction: Option<TransactionId>, text: &str, args: Object) -> Vec<Value> {
    let (ticket, text) = (world.ticket(), text.to_owned());
    world.input(ONE, Input::Execute { ticket, transaction, text, args, durability: Durability::Relaxed });
    match world.nodes[ONE].replies.remove(&ticket) {
        Some(Ok(Reply::Rows { rows, .. })) => rows,
        other => panic!("{other:?}"),
    }
}

fn insert(world: &mut World, transaction: Option<TransactionId>, id: i64, draw: &mut Draw) {
    let mut document = Object::from([("_id".to_owned(), Value::Int(id))]);
    ["x", "y"].iter().for_each(|name| document.extend(draw.value().map(|value| ((*name).to_owned(), value))));
    let args = Object::from([("d".to_owned(), Value::Object(document))]);
    run(world, transaction, "INSERT INTO a DOCUMENTS (:d) ON ID CONFLICT DO UPDATE", args);
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => order::compare(a, b),
        _ => a.is_none().cmp(&b.is_none()),
    }
}

/// Says whether a document lies in the bounds, by the order of values alone.
fn lies_in(bounds: &KeyBounds, values: &[Option<Value>]) -> bool {
    let equal = bounds.equal.iter().zip(values).all(|(a, b)| compare(a.as_ref(), b.as_ref()) == Ordering::Equal);
    let Some(next) = values.get(bounds.equal.len()) else { return equal };
    let low = match &bounds.low {
        Bound::Unbounded => true,
        Bound::Included(low) => compare(low.as_ref(), next.as_ref()) != Ordering::Greater,
        Bound::Excluded(low) => compare(low.as_ref(), next.as_ref()) == Ordering::Less,
    };
    let high = match &bounds.high {
        Bound::Unbounded => true,
        Bound::Included(high) => compare(next.as_ref(), high.as_ref()) != Ordering::Greater,
        Bound::Excluded(high) => compare(next.as_ref(), high.as_ref()) == Ordering::Less,
    };
    equal && low && high
}

#[test]
fn scans_answer_as_the_order_of_values_does() {
    // Random documents, indexes and bounds; each scan forward, backward, by pages, covering, counted, and with a walk
    // in place of the index.
    for seed in 0..40 {
        let mut draw = Draw(seed);
        let mut world = World::new(1);
        let keys = ["x", "-x", "x y", "-x y", "x -y", "y.z x", "x -_id"][draw.below(7) as usize];
        if draw.below(2) == 0 {
            world.create(ONE, "a", "i", keys);
        }
        let id = |draw: &mut Draw| draw.below(130) as i64;
        (0..150).for_each(|_| insert(&mut world, None, id(&mut draw), &mut draw));
        if world.nodes[ONE].engine.indexes().is_empty() {
            world.create(ONE, "a", "i", keys);
        }
        world.check(ONE);
        let index = world.index(ONE, "i");
        let ticket = world.ticket();
        world.input(ONE, Input::Begin { ticket, read_only: false });
        let transaction = Some(TransactionId(1));
        (0..draw.below(2) * 40).for_each(|_| insert(&mut world, transaction, id(&mut draw), &mut draw));
        let evicted = id(&mut draw);
        run(&mut world, transaction, &format!("DELETE FROM a WHERE _id < {}", draw.below(20)), Object::new());
        run(&mut world, transaction, &format!("EVICT FROM a WHERE _id = {evicted}"), Object::new());
        let documents = run(&mut world, transaction, "SELECT * FROM a", Object::new());
        let values = |document: &Object| -> Vec<Option<Value>> {
            let at = |key: &IndexKey| {
                let first = document.get(&key.path[0]);
                key.path[1..].iter().try_fold(first?, |value, name| value.as_object()?.get(name)).cloned()
            };
            index.keys.iter().map(at).collect()
        };
        for _ in 0..40 {
            let bounds: Vec<KeyBounds> =
                (0..1 + draw.below(3) / 2 * 2).map(|_| draw.bounds(index.keys.len())).collect();
            let mut expected: Vec<(Vec<Option<Value>>, DocId)> = documents
                .iter()
                .filter_map(Value::as_object)
                .map(|document| (values(document), DocId::new(&document["_id"]).expect("it is an id")))
                .filter(|(values, _)| bounds.iter().any(|bounds| lies_in(bounds, values)))
                .collect();
            expected.sort_by(|(a, left), (b, right)| {
                let fields = a.iter().zip(b).zip(&index.keys).map(|((a, b), key)| {
                    let order = compare(a.as_ref(), b.as_ref());
                    if key.descending { order.reverse() } else { order }
                });
                fields.fold(Ordering::Equal, Ordering::then).then_with(|| left.cmp(right))
            });
            let expected: Vec<DocId> = expected.into_iter().map(|(_, id)| id).collect();
            let engine = &world.nodes[ONE].engine;
            let unknown = Indexes::default();
            for indexes in [&engine.indexes, &unknown] {
                let draft = &engine.transactions.open[&TransactionId(1)].draft;
                let view = View::new(&engine.store, indexes, vec![draft]);
                for (extent, reverse, covering) in [
                    (Extent::Whole, false, false),
                    (Extent::Some, false, false),
                    (Extent::Whole, true, false),
                    (Extent::Some, true, false),
                    (Extent::Some, true, true),
                    (Extent::Some, false, true),
                ] {
                    let scan = IndexScan { index: index.clone(), bounds: bounds.clone(), reverse, covering };
                    let found = found(&view, &scan, extent, usize::MAX);
                    let mut ids: Vec<DocId> = found.iter().map(|(id, _)| id.clone()).collect();
                    if reverse {
                        ids.reverse();
                    }
                    assert_eq!(ids, expected, "seed {seed}, index {keys}, {bounds:?}, {extent:?} {reverse} {covering}");
                    for (id, object) in &found {
                        let of = |document: &&Object| document["_id"] == id.to_value();
                        let document = documents.iter().filter_map(Value::as_object).find(of).expect("it is there");
                        assert_eq!(format!("{:?}", values(object)), format!("{:?}", values(document)), "seed {seed}");
                    }
                }
            }
        }
    }
}

#[test]
fn unions_and_intersections_find_each_document_once() {
    let mut world = World::new(1);
    (0..200).for_each(|id| world.ok(ONE, &format!("INSERT INTO a DOCUMENTS ({{'_id': {id}, 'n': {}}})", id % 7)));
    world.create(ONE, "a", "by_n", "n");
    let index = world.index(ONE, "by_n");
    let equal = |n| Access::Index(scan(&index, vec![KeyBounds { equal: vec![Some(Value::Int(n))], ..all() }]));
    let ids = |access: &Access| {
        let engine = &world.nodes[ONE].engine;
        let view = View::new(&engine.store, &engine.indexes, Vec::new());
        let mut ids = Vec::new();
        let outcome = view.find(&name("a"), access, Extent::Whole, |row| -> Result<Scan, ReadError> {
            ids.push(row.id().to_value());
            Ok(Scan::Continue)
        });
        assert_eq!(outcome, Ok(()));
        ids
    };
    let some = Access::Ids(ints(&[8, 1, 15, 3]));
    assert_eq!(ids(&Access::Intersection(vec![equal(1), some.clone()])), ints(&[1, 8, 15]));
    assert_eq!(ids(&Access::Union(vec![some.clone(), some, Access::Ids(ints(&[3]))])), ints(&[1, 3, 8, 15]));
    assert_eq!(ids(&Access::Union(vec![equal(1), equal(2), equal(1)])).len(), 58);
    assert_eq!(ids(&Access::Intersection(vec![equal(1), equal(2)])).len(), 0);
    assert_eq!(ids(&Access::Union(vec![equal(1), Access::All])).len(), 200);
}
