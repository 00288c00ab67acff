//! Statements about the store, what they change, and what the peer tells of itself.

use store::Durability;
use value::{ErrorCode, Object, Value};

use super::harness::World;
use crate::io::{Input, ObserverId, TransactionId};

fn world() -> World {
    World::new(1)
}

fn field<'a>(row: &'a Value, name: &str) -> Option<&'a Value> {
    row.as_object()?.get(name)
}

/// Returns the names of the operators of a plan, from the outside in.
fn operators(row: &Value, found: &mut Vec<String>) {
    match row {
        Value::Object(fields) => {
            found.extend(fields.get("#operator").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| operators(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| operators(item, found)),
        _ => {}
    }
}

fn plan(world: &mut World, statement: &str) -> Vec<String> {
    let rows = world.rows(1, &format!("EXPLAIN {statement}"));
    let mut found = Vec::new();
    rows.iter().for_each(|row| operators(row, &mut found));
    found
}

fn parameter(world: &mut World, name: &str) -> Value {
    let rows = world.rows(1, &format!("SHOW {name}"));
    field(&rows[0], "value").expect("a value").clone()
}

#[test]
fn an_index_is_used_from_when_it_is_built_until_it_is_dropped() {
    let mut world = world();
    for id in 0..20 {
        world.ok(1, &format!("INSERT INTO a DOCUMENTS ({{'_id': {id}, 'x': {}}})", id % 5));
    }
    let statement = "SELECT _id FROM a WHERE x = 3";
    assert!(plan(&mut world, statement).contains(&"scan".to_owned()));
    world.ok(1, "CREATE INDEX by_x ON a (x)");
    assert!(plan(&mut world, statement).contains(&"indexScan".to_owned()));
    assert_eq!(world.rows(1, statement).len(), 4);
    world.ok(1, "UPDATE a SET x = 3 WHERE _id = 0");
    assert_eq!(world.rows(1, statement).len(), 5);
    let listed = world.rows(1, "SELECT * FROM system:indexes");
    assert_eq!(field(&listed[0], "_id"), Some(&Value::from("a.by_x")));
    assert_eq!(field(&listed[0], "state"), Some(&Value::from("ready")));
    assert_eq!(world.code(1, "CREATE INDEX by_x ON a (y)"), ErrorCode::QueryIndexExists);
    world.ok(1, "CREATE INDEX IF NOT EXISTS by_x ON a (y)");
    world.ok(1, "DROP INDEX by_x ON a");
    assert!(plan(&mut world, statement).contains(&"scan".to_owned()));
    assert_eq!(world.rows(1, statement).len(), 5);
    assert_eq!(world.code(1, "DROP INDEX by_x ON a"), ErrorCode::QueryIndexNotFound);
    world.ok(1, "DROP INDEX IF EXISTS by_x ON a");
}

#[test]
fn a_plan_that_is_kept_is_not_used_after_an_index_came_or_went() {
    // Method: the same text and arguments before and after, with a hint that only one of both can follow.
    let mut world = world();
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 3})");
    let hinted = "SELECT _id FROM a USE INDEX 'by_x' WHERE x = 3";
    assert_eq!(world.code(1, hinted), ErrorCode::QueryIndexNotFound);
    world.ok(1, "CREATE INDEX by_x ON a (x)");
    assert_eq!(world.rows(1, hinted).len(), 1);
    world.ok(1, "DROP INDEX by_x ON a");
    assert_eq!(world.code(1, hinted), ErrorCode::QueryIndexNotFound);
}

#[test]
fn advice_is_given_and_provisioned() {
    let mut world = world();
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 3})");
    let statement = "SELECT * FROM a WHERE x = 3";
    world.rows(1, &format!("ADVISE {statement}"));
    assert!(plan(&mut world, statement).contains(&"scan".to_owned()));
    world.rows(1, &format!("ADVISE AND PROVISION {statement}"));
    assert!(plan(&mut world, statement).contains(&"indexScan".to_owned()));
}

#[test]
fn a_profile_is_the_last_row_and_the_statement_is_carried_out() {
    let mut world = world();
    let rows = world.rows(1, "PROFILE INSERT INTO a DOCUMENTS ({'_id': 1}), ({'_id': 2})");
    assert!(field(&rows[0], "~request_profile").is_some());
    for mutation in ["UPDATE a SET x = 1 WHERE _id > 1", "DELETE FROM a WHERE _id > 2", "EVICT FROM a WHERE _id > 2"] {
        let rows = world.rows(1, &format!("PROFILE {mutation}"));
        let stats = field(field(&rows[0], "~request_profile").expect("a profile"), "#stats").expect("figures");
        assert_eq!(field(stats, "documentsIn"), Some(&Value::Int(2)), "{mutation}");
    }
    let rows = world.rows(1, "PROFILE SELECT * FROM a WHERE _id > 0");
    assert_eq!(rows.len(), 3);
    let profile = field(&rows[2], "~request_profile").expect("a profile");
    let stats = field(profile, "#stats").expect("figures");
    assert_eq!(field(stats, "documentsIn"), Some(&Value::Int(2)));
    assert_eq!(field(stats, "documentsOut"), Some(&Value::Int(2)));
}

#[test]
fn parameters_are_set_shown_and_reset_in_any_case_of_letters() {
    let mut world = world();
    assert_eq!(parameter(&mut world, "dql_strict_mode"), Value::Bool(false));
    world.ok(1, "ALTER SYSTEM SET DQL_STRICT_MODE = true");
    assert_eq!(parameter(&mut world, "Dql_Strict_Mode"), Value::Bool(true));
    world.ok(1, "ALTER SYSTEM RESET dql_strict_mode");
    assert_eq!(parameter(&mut world, "dql_strict_mode"), Value::Bool(false));
    world.ok(1, "ALTER SYSTEM SET tombstone_ttl_hours TO 24");
    world.ok(1, "ALTER SYSTEM RESET ALL");
    assert_eq!(parameter(&mut world, "tombstone_ttl_hours"), Value::Int(168));
    assert_eq!(world.rows(1, "SHOW ALL LIKE 'dql_request%'").len(), 2);
    for wrong in [
        "ALTER SYSTEM SET no_such_parameter = 1",
        "ALTER SYSTEM SET dql_strict_mode = 1",
        "ALTER SYSTEM SET tombstone_ttl_hours = 0",
        "SHOW no_such_parameter",
    ] {
        assert_eq!(world.code(1, wrong), ErrorCode::QueryParameter, "{wrong}");
    }
}

#[test]
fn in_strict_mode_an_undeclared_object_is_one_value_and_only_the_declared_type_shows() {
    let mut world = world();
    world.ok(1, "INSERT INTO COLLECTION a (n COUNTER) DOCUMENTS ({'_id': 1, 'o': {'x': 1, 'y': 1}, 'n': 7, 's': 's'})");
    world.ok(1, "UPDATE a SET o.x = 2");
    world.ok(1, "CREATE INDEX by_x ON a (o.x)");
    world.ok(1, "ALTER SYSTEM SET dql_strict_mode = true");
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 2, 'o': {'x': 1, 'y': 1}})");
    assert_eq!(world.code(1, "UPDATE a SET o.x = 3 WHERE _id = 2"), ErrorCode::StoreCrdt);
    assert_eq!(world.code(1, "UPDATE COLLECTION a (n COUNTER) APPLY o.n INCREMENT BY 1"), ErrorCode::StoreCrdt);
    assert_eq!(
        world.code(1, "UPDATE a APPLY n INCREMENT BY 1 WHERE _id = 1"),
        ErrorCode::StoreCrdt,
        "it would not show"
    );
    let profile = world.rows(1, "PROFILE SELECT n FROM a WHERE s = 's'").pop().expect("the profile");
    let read =
        ["~request_profile", "#stats", "documentsIn"].iter().try_fold(profile, |at, name| field(&at, name).cloned());
    assert_eq!(read, Some(Value::Int(2)), "what is built for its types counts");
    world.ok(1, "UPDATE a SET o = {'x': 4, 'z': {}} WHERE _id = 2");
    world.ok(1, "INSERT INTO COLLECTION a (o MAP) DOCUMENTS ({'_id': 3, 'o': {'x': 1, 'y': 1}})");
    world.ok(1, "UPDATE COLLECTION a (o MAP) SET o.x = 5 WHERE _id = 3");

    let shown = |world: &mut World, from: &str| -> Vec<[Option<Value>; 4]> {
        let rows = world.rows(1, &format!("SELECT _id, o.x AS x, n, s FROM {from} ORDER BY _id"));
        rows.iter().map(|row| ["_id", "x", "n", "s"].map(|name| field(row, name).cloned())).collect()
    };
    let int = |int| Some(Value::Int(int));
    let text = Some(Value::from("s"));
    let undeclared = [[int(1), None, None, text.clone()], [int(2), int(4), None, None], [int(3), None, None, None]];
    assert_eq!(shown(&mut world, "a"), undeclared);
    let declared = [[int(1), int(2), int(7), text.clone()], [int(2), None, None, None], [int(3), int(5), None, None]];
    assert_eq!(shown(&mut world, "COLLECTION a (o MAP, n COUNTER)"), declared);
    assert_eq!(shown(&mut world, "a WHERE o.x > 3"), [[int(2), int(4), None, None]]);
    let counts = Value::from([("all", Value::Int(3)), ("o", Value::Int(1))]);
    assert_eq!(world.rows(1, "SELECT COUNT(*) AS all, COUNT(o) AS o FROM a"), [counts]);
    world.ok(1, "DELETE FROM a WHERE o.x = 5");
    world.ok(1, "ALTER SYSTEM RESET dql_strict_mode");
    let all = [[int(1), int(2), int(7), text], [int(2), int(4), None, None], [int(3), int(5), None, None]];
    assert_eq!(shown(&mut world, "a"), all);
}

#[test]
fn what_the_peer_tells_of_itself_can_be_selected_but_not_changed() {
    let mut world = world();
    world.ok(1, "INSERT INTO b DOCUMENTS ({'_id': 1})");
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    let names = world.rows(1, "SELECT name FROM system:collections ORDER BY name");
    assert_eq!(names, [Value::from([("name", Value::from("a"))]), Value::from([("name", Value::from("b"))])]);
    assert_eq!(world.rows(1, "SELECT 1 AS one FROM system:dual"), [Value::from([("one", Value::Int(1))])]);
    assert_eq!(world.rows(1, "SELECT * FROM system:vitals WHERE state = 'healthy'").len(), 1);
    assert!(world.rows(1, "SELECT * FROM system:system_info").len() > 5);
    assert!(world.rows(1, "SELECT * FROM system:metrics").len() > 5);
    assert!(world.rows(1, "SELECT * FROM system:no_such_collection").is_empty());
    assert_eq!(world.code(1, "DELETE FROM system:dual"), ErrorCode::QueryUnsupported);
    assert_eq!(world.code(1, "INSERT INTO system:dual DOCUMENTS ({'_id': 1})"), ErrorCode::QueryUnsupported);
    let history = world.rows(1, "SELECT statement, state, error FROM system:request_history");
    assert_eq!(field(&history[0], "error"), Some(&Value::from("query/unsupported")));
    world.ok(1, "ALTER SYSTEM SET dql_request_history_size = 3");
    assert_eq!(world.rows(1, "SELECT * FROM system:request_history").len(), 3);
}

#[test]
fn a_transaction_that_stays_open_is_told_once_and_takes_no_statement_about_the_store() {
    let mut world = world();
    let ticket = world.ticket();
    world.input(1, Input::Begin { ticket, read_only: false });
    let transaction = Some(TransactionId(1));
    let ticket = world.ticket();
    let (text, args, durability) = ("CREATE INDEX i ON a (x)".to_owned(), Object::new(), Durability::Relaxed);
    world.input(1, Input::Execute { ticket, transaction, text, args, durability });
    assert!(
        matches!(world.nodes[1].replies.remove(&ticket).expect("an answer"), Err(failure) if failure.code == ErrorCode::QueryUnsupported)
    );
    world.pass(9_000);
    assert_eq!(world.nodes[1].long_transactions, 0);
    world.pass(2_000);
    assert_eq!(world.nodes[1].long_transactions, 1);
    world.pass(60_000);
    assert_eq!(world.nodes[1].long_transactions, 1);
}

#[test]
fn a_statement_that_multiplies_rows_is_stopped() {
    let mut world = world();
    for id in 0..1_100 {
        world.ok(1, &format!("INSERT INTO a DOCUMENTS ({{'_id': {id}}})"));
    }
    let joined = "SELECT COUNT(*) FROM a JOIN a b USE INDEX '' ON true";
    assert_eq!(world.code(1, joined), ErrorCode::QueryExecution);
    let doubled: String =
        (1..24).map(|n| format!(", t{n} AS (SELECT * FROM t{} UNION ALL SELECT * FROM t{})", n - 1, n - 1)).collect();
    let statement = format!("WITH t0 AS (SELECT 1 AS a){doubled} SELECT COUNT(*) FROM t23");
    assert_eq!(world.code(1, &statement), ErrorCode::QueryExecution);
}

#[test]
fn a_live_query_over_what_the_peer_tells_is_looked_at_by_the_clock() {
    let mut world = world();
    let (ticket, observer) = (world.ticket(), ObserverId(1));
    let text = "SELECT name FROM system:collections".to_owned();
    world.input(1, Input::Observe { ticket, observer, text, args: Object::new() });
    assert_eq!(world.nodes[1].told[&observer].len(), 1);
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    world.pass(600);
    assert_eq!(world.nodes[1].told[&observer].len(), 2);
    world.pass(5_000);
    assert_eq!(world.nodes[1].told[&observer].len(), 2);
}

#[test]
fn a_statement_that_asks_for_the_time_is_told_the_present_one_each_time() {
    let mut world = world();
    for statement in ["SELECT request_info() AS v", "SELECT clock() AS v", "SELECT REQUEST_INFO() AS v"] {
        let before = world.rows(1, statement);
        world.pass(5_000);
        assert_ne!(world.rows(1, statement), before, "{statement}");
    }
}

#[test]
fn a_zero_keeps_its_sign_when_a_statement_comes_again() {
    let mut world = world();
    let mut ask = |number: f64| {
        let ticket = world.ticket();
        let args = [("n".to_owned(), Value::Float(number))].into();
        let (text, durability) = ("SELECT :n AS n".to_owned(), Durability::Relaxed);
        world.input(1, Input::Execute { ticket, transaction: None, text, args, durability });
        format!("{:?}", world.nodes[1].replies.remove(&ticket))
    };
    assert!(ask(0.0).contains("Float(0.0)"));
    assert!(ask(-0.0).contains("Float(-0.0)"));
}

/// Returns how many documents a statement reads.
fn documents_in(world: &mut World, statement: &str) -> i64 {
    let rows = world.rows(1, &format!("PROFILE {statement}"));
    let profile = rows.last().and_then(|row| field(row, "~request_profile")).expect("a profile");
    field(profile, "#stats").and_then(|stats| field(stats, "documentsIn")).and_then(Value::as_int).expect("a number")
}

#[test]
fn a_sub_query_that_looks_at_the_row_around_it_is_found_by_an_index_that_holds_all_it_reads() {
    let mut world = world();
    for id in 0..30 {
        world.ok(1, &format!("INSERT INTO a DOCUMENTS ({{'_id': {id}, 'x': {id}}})"));
        world.ok(1, &format!("INSERT INTO b DOCUMENTS ({{'_id': {id}, 'x': {id}}})"));
    }
    world.ok(1, "CREATE INDEX by_x ON b (x)");
    let statement = "SELECT _id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.x = a.x)";
    assert_eq!(world.rows(1, statement).len(), 30);
    assert_eq!(documents_in(&mut world, statement), 60);
    let statement = "SELECT _id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b._id = a.x)";
    assert_eq!(documents_in(&mut world, statement), 60);
}
