//! Runs of SELECT, and what a plan tells its caller.

use value::{ErrorCode, Object, Value};

use super::{object, planned, rows};
use crate::{Access, FieldType, Flow, Plan};

fn select(statement: &str) -> crate::Select {
    match planned(statement) {
        Ok(Plan::Select(query)) => query.select().expect("one SELECT").clone(),
        other => panic!("{statement}: {other:?}"),
    }
}

fn access(statement: &str) -> Access {
    select(statement).source().expect("FROM").access.clone()
}

#[test]
fn a_run_without_order_stops_when_the_limit_is_reached() {
    let select = select("SELECT a FROM c WHERE a > 1 LIMIT 2 OFFSET 1");
    let mut run = select.start();
    let mut flows = Vec::new();
    for a in 1..=4 {
        flows.push(run.push(&object(&format!("{{\"a\": {a}}}"))));
    }
    assert_eq!(flows, [Flow::Continue, Flow::Continue, Flow::Continue, Flow::Enough]);
    assert_eq!(run.finish(), vec![Value::from([("a", Value::Int(3))]), Value::from([("a", Value::Int(4))])]);
}

#[test]
fn the_first_rows_of_an_order_are_those_of_a_full_sort() {
    // Method: a limited and an unlimited run over the same thousand documents.
    let mut state = 7_u64;
    let documents: Vec<String> = (0..1000)
        .map(|id| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            format!("{{\"_id\": {id}, \"a\": {}}}", (state >> 33) % 50)
        })
        .collect();
    let documents: Vec<&str> = documents.iter().map(String::as_str).collect();
    let all = rows("SELECT * FROM c ORDER BY a DESC", &documents);
    assert_eq!(rows("SELECT * FROM c ORDER BY a DESC LIMIT 20 OFFSET 5", &documents), all[5..25]);
}

#[test]
fn a_predicate_on_the_id_names_the_documents() {
    let ids = |ids: &[Value]| Access::Ids(ids.to_vec());
    assert_eq!(access("SELECT * FROM c"), Access::All);
    assert_eq!(access("SELECT * FROM c WHERE _id = 'x'"), ids(&["x".into()]));
    assert_eq!(access("SELECT * FROM c WHERE a = 1 AND 'x' = c._id AND b"), ids(&["x".into()]));
    assert_eq!(access("SELECT * FROM c WHERE _id IN ('x', 1, 1.0, 'x', null, 1.5)"), ids(&[1.into(), "x".into()]));
    assert_eq!(access("SELECT * FROM c d WHERE d._id IN ['y', 'x']"), ids(&["x".into(), "y".into()]));
    assert_eq!(access("SELECT * FROM c WHERE _id = 'x' OR a = 1"), Access::All);
    assert_eq!(access("SELECT * FROM c WHERE NOT _id = 'x'"), Access::All);
    assert_eq!(access("SELECT * FROM c WHERE _id NOT IN ('x')"), Access::All);
    assert_eq!(access("SELECT * FROM c WHERE _id = a"), Access::All);
    assert_eq!(access("SELECT * FROM c WHERE _id = null"), ids(&[]));
    assert_eq!(access("SELECT * FROM c USE IDS ('b', 'a', 'b') WHERE _id = 'z'"), ids(&["b".into(), "a".into()]));
    assert_eq!(access("SELECT * FROM c USE IDS LIST ['a']"), ids(&["a".into()]));
}

#[test]
fn declared_types_reach_the_source() {
    let select = select("SELECT * FROM COLLECTION c (n COUNTER, m MAP (t TEXT))");
    let types = &select.source().expect("FROM").types;
    assert_eq!(types.fields.len(), 3);
    assert_eq!(types.find(&["m".to_owned(), "t".to_owned()]), Some(FieldType::Text));
    assert_eq!(types.find(&["t".to_owned()]), None);
}

#[test]
fn a_plan_says_what_kind_of_rows_it_makes() {
    let plain = select("SELECT * FROM c WHERE a = 1");
    assert!(plain.has_whole_documents() && !plain.has_limit() && !plain.has_order() && !plain.has_aggregates());
    assert!(plain.matches(&object(r#"{"a": 1}"#)) && !plain.matches(&object(r#"{"a": 2}"#)));
    let grouped = select("SELECT DISTINCT a, COUNT(*) FROM c GROUP BY a ORDER BY a OFFSET 1");
    assert!(!grouped.has_whole_documents() && grouped.has_limit() && grouped.has_order() && grouped.has_aggregates());
    assert!(select("SELECT 1 + 1").source().is_none());
}

#[test]
fn a_missing_argument_is_an_error_with_its_place() {
    let text = "SELECT * FROM c WHERE a = :a";
    let error = planned(text).expect_err("no argument");
    assert_eq!(error.code, ErrorCode::QueryArgumentsInvalid);
    assert!(error.failure(text).message.starts_with("there is no argument for :a at 1:27\n"));
}

#[test]
fn wrong_selects_are_refused() {
    for text in [
        "SELECT *, a FROM c",
        "SELECT *",
        "SELECT a",
        "SELECT a, b.a FROM c",
        "SELECT d.* FROM c",
        "SELECT a, COUNT(*) FROM c",
        "SELECT * FROM c GROUP BY a",
        "SELECT a FROM c WHERE COUNT(*) > 1",
        "SELECT SUM(COUNT(*)) FROM c",
        "SELECT a AS x FROM c GROUP BY x",
        "SELECT * FROM c LIMIT -1",
        "SELECT * FROM c LIMIT 'x'",
        "SELECT * FROM c LIMIT a",
    ] {
        assert_eq!(planned(text).expect_err(text).code, ErrorCode::QueryInvalid, "{text}");
    }
}

#[test]
fn explain_shows_the_steps() {
    let Ok(Plan::Explain(row)) = planned("EXPLAIN SELECT * FROM c WHERE _id = 'x' ORDER BY a LIMIT 1") else {
        panic!()
    };
    let plan: Option<&Object> = row.as_object().and_then(|row| row.get("plan")).and_then(Value::as_object);
    let children = plan.and_then(|plan| plan.get("children")).and_then(Value::as_array).expect("children");
    let names: Vec<_> = children.iter().filter_map(|step| step.as_object()?.get("#operator")?.as_str()).collect();
    assert_eq!(names, ["idScan", "filter", "projection", "sort", "limit", "finalProjection"]);
}

#[test]
fn a_side_of_a_join_is_made_of_fields_that_are_at_hand() {
    // Else each document would be looked up, which costs more than the scan that the fields stand for.
    let names = ["a".to_owned(), "b".to_owned()];
    let row = crate::FieldRow { names: &names, values: &[Some(Value::Int(1)), None] };
    let mut side: Vec<Object> = Vec::new();
    assert_eq!(crate::Taker::take_fields(&mut side, row), Some(crate::Flow::Continue));
    assert_eq!(side, [object("{\"a\": 1}")]);
}
