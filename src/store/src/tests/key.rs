//! The key space.

use value::{CollectionName, DocId, Value};

use crate::{Key, KeyRange, Parsed};

#[test]
fn keys_parse_to_what_they_were_made_of() {
    let collection = CollectionName::new("a\0\u{1}b").unwrap();
    let id = DocId::new(&Value::from("\0x")).unwrap();
    let key = Key::document(&collection, &id);
    assert_eq!(key.parse(), Some(Parsed::Document { collection, id }));
    assert_eq!(Key::meta("cursor/1").parse(), Some(Parsed::Meta { name: "cursor/1".to_owned() }));
    assert_eq!(Key::index_row(7, &[0, 255]).parse(), Some(Parsed::IndexRow { index: 7, row: vec![0, 255] }));
}

#[test]
fn malformed_keys_parse_to_nothing() {
    for bytes in
        [&[][..], &[0], &[1, 0xff], &[2], &[2, b'a', 0], &[2, b'a', 0, 1], &[2, 0, 1, 0x61, b'x'], &[3, 0], &[4]]
    {
        assert_eq!(Key::from_bytes(bytes.to_vec()).parse(), None, "{bytes:?}");
    }
}

#[test]
fn collections_sort_by_name_and_ranges_hold_their_own_documents_only() {
    let id = DocId::new(&Value::Int(1)).unwrap();
    let names = ["a", "a\0", "a\0a", "a\u{1}", "aa", "b"].map(|name| CollectionName::new(name).unwrap());
    let keys = names.clone().map(|name| Key::document(&name, &id));
    assert!(keys.is_sorted());
    for (at, name) in names.iter().enumerate() {
        let held: Vec<usize> = (0..keys.len()).filter(|n| Key::documents(name).contains(&keys[*n])).collect();
        assert_eq!(held, [at], "{name:?}");
        assert!(Key::all_documents().contains(&keys[at]));
    }
    assert!(!Key::all_documents().contains(&Key::meta("a")));
}

#[test]
fn a_prefix_of_highest_bytes_has_the_right_end() {
    assert_eq!(KeyRange::prefix(vec![1, 255, 255]).end, Some(Key::from_bytes(vec![2])));
    assert_eq!(KeyRange::prefix(vec![255]).end, None);
    assert_eq!(KeyRange::prefix(Vec::new()), KeyRange::all());
    assert!(Key::index_rows(u64::MAX).contains(&Key::index_row(u64::MAX, &[255])));
}

#[test]
fn a_range_resumes_behind_a_key() {
    let range = Key::metas("a");
    let rest = range.after(&Key::meta("ab"));
    assert!(!rest.contains(&Key::meta("ab")));
    assert!(rest.contains(&Key::meta("ab\0")));
    assert_eq!(range.after(&Key::meta("")).start, range.start, "a key before the range does not widen it");
}
