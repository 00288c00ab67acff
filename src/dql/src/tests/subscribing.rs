//! Subscriptions.

use value::ErrorCode;

use super::object;
use crate::subscription;

#[test]
fn a_subscription_matches_by_its_predicate() {
    let args = object(r#"{"color": "red"}"#);
    let subscription =
        subscription("select * from cars c where c.color = :color", &args, &crate::Context::default()).expect("valid");
    assert_eq!(subscription.collection.as_str(), "cars");
    assert_eq!(subscription.text(), "SELECT * FROM cars AS c WHERE c.color = :color");
    assert!(subscription.matches(&object(r#"{"_id": "1", "color": "red"}"#)));
    assert!(!subscription.matches(&object(r#"{"_id": "1", "color": "blue"}"#)));
    assert!(!subscription.matches(&object(r#"{"_id": "1"}"#)));
}

#[test]
fn equal_subscriptions_have_equal_hashes() {
    let hash =
        |text: &str, args: &str| subscription(text, &object(args), &crate::Context::default()).expect("valid").hash();
    let first = hash("SELECT * FROM c WHERE a = :a", r#"{"a": 1}"#);
    assert_eq!(first, hash("select *  from c where (a == :a) order by b", r#"{"a": 1, "unused": 2}"#));
    assert_ne!(first, hash("SELECT * FROM c WHERE a = :a", r#"{"a": 2}"#));
    assert_ne!(first, hash("SELECT * FROM d WHERE a = :a", r#"{"a": 1}"#));
}

#[test]
fn the_canonical_text_is_the_same_subscription() {
    let args = object(r#"{"a": 1}"#);
    let first = subscription(
        "SELECT * FROM COLLECTION c (n COUNTER) WHERE n > :a ORDER BY n",
        &args,
        &crate::Context::default(),
    )
    .expect("valid");
    let again = subscription(first.text(), &args, &crate::Context::default()).expect("valid");
    assert_eq!((first.text(), first.hash()), (again.text(), again.hash()));
}

#[test]
fn what_is_not_the_dialect_is_refused() {
    for text in [
        "SELECT a FROM c",
        "SELECT c.* FROM c",
        "SELECT DISTINCT * FROM c",
        "SELECT * FROM c GROUP BY a",
        "SELECT * FROM c LIMIT 1",
        "SELECT * FROM c ORDER BY a LIMIT 1",
        "SELECT * FROM c OFFSET 1",
        "SELECT * FROM c USE IDS ('a')",
        "SELECT *",
        "DELETE FROM c",
        "EXPLAIN SELECT * FROM c",
    ] {
        let error = subscription(text, &object("{}"), &crate::Context::default()).expect_err(text);
        assert_eq!(error.code, ErrorCode::QueryUnsupported, "{text}");
        assert!(error.message.starts_with("Unsupported feature: "), "{error}");
    }
    let error = subscription("SELECT * FROM c WHERE a = :a", &object("{}"), &crate::Context::default())
        .expect_err("no argument");
    assert_eq!(error.code, ErrorCode::QueryArgumentsInvalid);
}

#[test]
fn what_differs_from_peer_to_peer_is_refused() {
    let context = crate::Context::default();
    for part in [
        "a < clock()",
        "ANY x IN a SATISFIES x < clock('%F') END",
        "a = request_info().time_zone",
        "date_part(a, 'day', 'Europe/Berlin') = 1",
        "date_part(a, 'day', zone) = 1",
        "date_part(a, 'day', 'local') = 1",
        "tz_offset('UTC') = a",
        "tz_offset() = a",
    ] {
        let text = format!("SELECT * FROM c WHERE {part}");
        let error = subscription(&text, &object("{}"), &context).expect_err(&text);
        assert_eq!(error.code, ErrorCode::QueryUnsupported, "{text}");
        assert!(error.message.ends_with("in a subscription"), "{error}");
    }
    for part in
        ["date_part(a, 'day', '+02:00') = 1", "date_part(a, 'day', 'UTC') = 1", "date_trunc(a, 'day') = '2024-01-01'"]
    {
        assert!(subscription(&format!("SELECT * FROM c WHERE {part}"), &object("{}"), &context).is_ok(), "{part}");
    }
}

#[test]
fn a_quantifier_matches_in_a_subscription() {
    let args = object(r#"{"tag": "red"}"#);
    let text = "SELECT * FROM c WHERE ANY t IN tags SATISFIES t SIMILAR TO :tag || '%' END";
    let subscription = subscription(text, &args, &crate::Context::default()).expect("valid");
    assert_eq!(subscription.text(), text);
    assert_eq!(subscription.needed(), &crate::Needed::Named(vec!["tags".to_owned()]));
    assert!(subscription.matches(&object(r#"{"_id": "1", "tags": ["blue", "reddish"]}"#)));
    assert!(!subscription.matches(&object(r#"{"_id": "1", "tags": ["blue"]}"#)));
}
