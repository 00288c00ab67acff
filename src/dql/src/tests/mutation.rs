//! INSERT, UPDATE, DELETE and EVICT.

use value::{ErrorCode, Value};

use super::{object, planned};
use crate::{Access, Around, ConflictPolicy, PathOp, Plan, parse, plan};

fn path(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn operations_come_from_the_document_before_the_statement() {
    let text = "UPDATE c APPLY n INCREMENT BY a SET a = a + 1, b = a, d.e = MISSING UNSET x.y WHERE a > 0";
    let Ok(Plan::Update(update)) = planned(text) else { panic!() };
    let expected = vec![
        PathOp::Increment { path: path(&["n"]), by: 1.0 },
        PathOp::Set { path: path(&["a"]), value: Value::Int(2) },
        PathOp::Set { path: path(&["b"]), value: Value::Int(1) },
        PathOp::Unset { path: path(&["d", "e"]) },
        PathOp::Unset { path: path(&["x", "y"]) },
    ];
    assert_eq!(update.operations(&object(r#"{"_id": "1", "a": 1}"#), Around::default()), Ok(Some(expected)));
    assert_eq!(update.operations(&object(r#"{"_id": "1", "a": 0}"#), Around::default()), Ok(None));
}

#[test]
fn counters_are_incremented_and_restarted() {
    let Ok(Plan::Update(update)) = planned("UPDATE c APPLY n PN_INCREMENT BY -1, r RESTART, s RESTART WITH 2.5") else {
        panic!()
    };
    let expected = vec![
        PathOp::PnIncrement { path: path(&["n"]), by: -1.0 },
        PathOp::Restart { path: path(&["r"]), with: 0.0 },
        PathOp::Restart { path: path(&["s"]), with: 2.5 },
    ];
    assert_eq!(update.operations(&object("{}"), Around::default()), Ok(Some(expected)));
}

#[test]
fn a_splice_has_places_and_perhaps_a_value() {
    let text = "UPDATE c APPLY t SPLICE (a, 1 + 1, 'x' || b), l SPLICE (0, 2.0), m SPLICE (0, 0, missing)";
    let Ok(Plan::Update(update)) = planned(text) else { panic!() };
    let splice = |name, start, delete, insert: Option<&str>| {
        let insert = insert.map(|text| Value::Str(text.to_owned()));
        PathOp::Splice { path: path(&[name]), start, delete, insert }
    };
    let expected = vec![splice("t", 3, 2, Some("xy")), splice("l", 0, 2, None), splice("m", 0, 0, None)];
    assert_eq!(update.operations(&object(r#"{"a": 3, "b": "y"}"#), Around::default()), Ok(Some(expected)));
    for wrong in ["-1", "0.5", "'1'", "null", "missing", "1e17", "-0.5"] {
        let Ok(Plan::Update(update)) = planned(&format!("UPDATE c APPLY t SPLICE (0, {wrong})")) else { panic!() };
        let error = update.operations(&object("{}"), Around::default()).expect_err(wrong);
        assert_eq!(error.code, ErrorCode::QueryEvaluation, "{wrong}");
    }
    for wrong in ["SPLICE", "SPLICE (1)", "SPLICE (1, 2, 3, 4)", "SPLICE ()", "SPLICE 1, 2"] {
        let error = planned(&format!("UPDATE c APPLY t {wrong}")).expect_err(wrong);
        assert_eq!(error.code, ErrorCode::QueryInvalid, "{wrong}");
    }
}

#[test]
fn an_increment_that_is_no_number_is_an_error() {
    let Ok(Plan::Update(update)) = planned("UPDATE c APPLY n INCREMENT BY a") else { panic!() };
    let error = update.operations(&object(r#"{"a": "x"}"#), Around::default()).expect_err("not a number");
    assert_eq!(error.code, ErrorCode::QueryEvaluation);
    assert!(error.message.contains("string"), "{error}");
}

#[test]
fn the_id_and_a_field_twice_cannot_be_changed() {
    let code = |text: &str| planned(text).expect_err(text).code;
    assert_eq!(code("UPDATE c SET _id = 1"), ErrorCode::StoreDocumentId);
    assert_eq!(code("UPDATE c UNSET _id"), ErrorCode::StoreDocumentId);
    assert_eq!(code("UPDATE c SET _id.x = 1"), ErrorCode::StoreDocumentId);
    assert_eq!(code("UPDATE c SET c._id = 1"), ErrorCode::StoreDocumentId);
    assert_eq!(code("UPDATE c SET a.b = 1, a['b'] = 2"), ErrorCode::QueryInvalid);
    assert_eq!(code("UPDATE c SET a = 1 UNSET a"), ErrorCode::QueryInvalid);
    assert_eq!(code("UPDATE c APPLY a RESTART SET a = 1"), ErrorCode::QueryInvalid);
    assert!(planned("UPDATE c SET a._id = 1, a.b = 2, a.c = 3").is_ok());
}

#[test]
fn documents_come_as_objects_and_as_arrays_of_objects() {
    let args = object(r#"{"all": [{"_id": 2}, {"a": 1}], "x": 5}"#);
    let text = "INSERT INTO c INITIAL DOCUMENTS ({'_id': 1, 'x': :x, 'm': missing}), (:all) ON ID CONFLICT DO UPDATE_LOCAL_DIFF";
    let Ok(Plan::Insert(insert)) = plan(&parse(text).expect("valid"), &args, &crate::Context::default()) else {
        panic!()
    };
    assert_eq!(insert.documents, [object(r#"{"_id": 1, "x": 5}"#), object(r#"{"_id": 2}"#), object(r#"{"a": 1}"#)]);
    assert_eq!((insert.policy, insert.initial), (ConflictPolicy::UpdateLocalDiff, true));
}

#[test]
fn wrong_documents_are_refused() {
    let code = |text: &str| planned(text).expect_err(text).code;
    assert_eq!(code("INSERT INTO c DOCUMENTS (1)"), ErrorCode::ValidationNotAnObject);
    assert_eq!(code("INSERT INTO c DOCUMENTS (missing)"), ErrorCode::ValidationNotAnObject);
    assert_eq!(code("INSERT INTO c DOCUMENTS ([{}, 1])"), ErrorCode::ValidationNotAnObject);
    assert_eq!(code("INSERT INTO c DOCUMENTS ({'_id': 1.5})"), ErrorCode::StoreDocumentId);
    assert_eq!(code("INSERT INTO c DOCUMENTS ({'_id': null})"), ErrorCode::StoreDocumentId);
    assert_eq!(code("INSERT INTO c DOCUMENTS ({'_id': 1}), ({'_id': 1})"), ErrorCode::StoreIdentifierConflict);
    assert_eq!(code("INSERT INTO c DOCUMENTS ({'a': b})"), ErrorCode::QueryInvalid);
    let deep = format!("INSERT INTO c DOCUMENTS ({{'a': {}1{}}})", "[".repeat(70), "]".repeat(70));
    assert_eq!(code(&deep), ErrorCode::ValidationDepthLimitExceeded);
}

#[test]
fn removals_know_their_documents_and_their_limit() {
    let Ok(Plan::Delete(delete)) = planned("DELETE FROM c WHERE _id = 'x' AND a = 1 LIMIT 3") else { panic!() };
    assert_eq!(delete.source().access, Access::Ids(vec!["x".into()]));
    assert_eq!(delete.limit(), Some(3));
    assert!(delete.matches(&object(r#"{"_id": "x", "a": 1}"#), Around::default()));
    assert!(!delete.matches(&object(r#"{"_id": "x", "a": 2}"#), Around::default()));
    let Ok(Plan::Evict(evict)) = planned("EVICT FROM c USE IDS ('x', 'y')") else { panic!() };
    assert_eq!(evict.source().access, Access::Ids(vec!["x".into(), "y".into()]));
    assert!(evict.matches(&object("{}"), Around::default()));
}
