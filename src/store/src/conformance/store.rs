//! What every store does.

use value::{CollectionName, DocId, Hlc, Millis, Seq, Value};

use super::{Model, Random, check_rows};
use crate::key::{Key, KeyRange};
use crate::store::{Batch, Store, Visit};

const ANSWERS: &str = "a store of this suite answers every read";
const APPLIES: &str = "a store of this suite applies every batch";

/// Runs the suite; `make` returns a fresh, empty store that answers every read (for an `Lsm`: `Hosted`).
pub fn store_suite<S: Store>(mut make: impl FnMut() -> S) {
    a_fresh_store_is_empty(&make());
    a_commit_is_seen_whole_and_in_order(&mut make());
    a_replayed_commit_changes_nothing(&mut make());
    ranges_hold_their_bounds_and_limits(&mut make());
    collections_do_not_mix(&mut make());
    for seed in 0..4 {
        random_commits_match_the_model(&mut make(), seed);
    }
}

fn key(name: &str) -> Key {
    Key::meta(name)
}

fn apply(store: &mut impl Store, seq: u64, changes: &[(&str, Option<&str>)]) {
    let mut batch = Batch::new(Seq(seq));
    for (name, value) in changes {
        match value {
            Some(value) => batch.put(key(name), value.as_bytes().to_vec()),
            None => batch.delete(key(name)),
        };
    }
    store.apply(batch).expect(APPLIES);
}

fn names(store: &impl Store, range: &KeyRange, limit: usize) -> Vec<Key> {
    let rows = store.range(range, limit).expect(ANSWERS);
    let mut visited = Vec::new();
    let take = &mut |key: &[u8], bytes: &[u8]| {
        if visited.len() == limit {
            return Visit::Stop;
        }
        visited.push((Key::from_bytes(key.to_vec()), bytes.to_vec()));
        Visit::Continue
    };
    store.visit(range, take).expect(ANSWERS);
    assert_eq!(visited, rows, "a visit shows what a range returns");
    rows.into_iter().map(|(key, _)| key).collect()
}

fn a_fresh_store_is_empty(store: &impl Store) {
    assert_eq!(store.get(&key("a")).expect(ANSWERS), None);
    assert_eq!(store.range(&KeyRange::all(), 10).expect(ANSWERS), Vec::new());
    assert_eq!(store.applied(), Seq(0));
}

fn a_commit_is_seen_whole_and_in_order(store: &mut impl Store) {
    apply(store, 10, &[("a", Some("1")), ("b", Some("2"))]);
    apply(store, 11, &[("a", Some("3")), ("b", None), ("c", Some(""))]);
    assert_eq!(store.get(&key("a")).expect(ANSWERS), Some(b"3".to_vec()));
    assert_eq!(store.get(&key("b")).expect(ANSWERS), None, "a deleted key is absent");
    assert_eq!(store.get(&key("c")).expect(ANSWERS), Some(Vec::new()), "empty bytes are not absence");
    for name in ["a", "b", "c", "d"] {
        let lent = store.lend(&key(name)).expect(ANSWERS).map(|bytes| bytes.into_owned());
        assert_eq!(lent, store.get(&key(name)).expect(ANSWERS), "what is lent is what is there");
    }
    assert_eq!(names(store, &KeyRange::all(), 10), [key("a"), key("c")]);
    assert_eq!(store.applied(), Seq(11));
}

fn a_replayed_commit_changes_nothing(store: &mut impl Store) {
    apply(store, 5, &[("a", Some("1"))]);
    apply(store, 6, &[("a", Some("2"))]);
    apply(store, 5, &[("a", Some("1"))]);
    apply(store, 6, &[("a", None)]);
    assert_eq!(store.get(&key("a")).expect(ANSWERS), Some(b"2".to_vec()));
    assert_eq!(store.applied(), Seq(6));
}

fn ranges_hold_their_bounds_and_limits(store: &mut impl Store) {
    apply(store, 1, &[("a", Some("")), ("ab", Some("")), ("b", Some("")), ("c", Some(""))]);
    let range = KeyRange::new(key("ab"), Some(key("c")));
    assert_eq!(names(store, &range, 10), [key("ab"), key("b")], "start is inclusive, end is exclusive");
    assert_eq!(names(store, &range, 1), [key("ab")]);
    assert_eq!(names(store, &range.after(&key("ab")), 1), [key("b")]);
    assert_eq!(names(store, &range, 0), []);
    assert_eq!(names(store, &Key::metas("a"), 10), [key("a"), key("ab")]);
    assert_eq!(
        names(store, &KeyRange::new(key("c"), Some(key("a"))), 10),
        [],
        "bounds the wrong way round hold nothing"
    );
}

fn collections_do_not_mix(store: &mut impl Store) {
    let id = DocId::new(&Value::Int(1)).expect("an integer identifies");
    let name = |text: &str| CollectionName::new(text).expect("the name is short");
    let collections = [name("a"), name("a\0"), name("a\0b"), name("ab"), name("b")];
    let mut batch = Batch::new(Seq(1));
    for collection in &collections {
        batch.put(Key::document(collection, &id), collection.as_str().into());
    }
    batch.put(key("x"), Vec::new());
    batch.put(Key::index_row(1, &[1]), Vec::new());
    store.apply(batch).expect(APPLIES);
    for collection in &collections {
        let expected = [Key::document(collection, &id)];
        assert_eq!(
            names(store, &Key::documents(collection), 10),
            expected,
            "a collection's range holds its documents only"
        );
    }
    assert_eq!(names(store, &Key::all_documents(), 10), collections.map(|collection| Key::document(&collection, &id)));
    assert_eq!(names(store, &Key::index_rows(1), 10), [Key::index_row(1, &[1])]);
}

fn random_commits_match_the_model(store: &mut impl Store, seed: u64) {
    let mut random = Random::new(seed);
    let mut model = Model::new();
    let mut seq = 0;
    for commit in 0..400_u64 {
        seq = (seq + 1).max(Hlc::from_millis(Millis(commit)).0);
        let mut batch = Batch::new(Seq(seq));
        for _ in 0..random.below(8) {
            let key = Key::index_row(random.below(2), &random.below(300).to_be_bytes()[6..]);
            if random.below(4) == 0 {
                model.remove(&key);
                batch.delete(key);
            } else {
                let bytes = vec![commit as u8; random.below(200) as usize];
                model.insert(key.clone(), bytes.clone());
                batch.put(key, bytes);
            }
        }
        store.apply(batch).expect(APPLIES);
        if commit % 50 == 0 {
            check_rows(store, &model, 1 + random.below(40) as usize).expect(ANSWERS);
        }
    }
    check_rows(store, &model, 7).expect(ANSWERS);
}
