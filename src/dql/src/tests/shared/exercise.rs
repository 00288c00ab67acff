//! What every text must stand: it is read or refused, printed to a fixed point, planned and run, and nothing panics.
//!
//! The fuzz targets of `/fuzz` call [`parse_text`] and [`plan_and_run`]; `cargo test` calls them with mutated statements.

use std::collections::BTreeMap;

use dql::{Around, Context, Index, Plan, Runner, parse, plan, print, subscription};
use value::{Object, Value, limits, order};

use super::case;
use super::list::List;
use super::random::XorShift;
use super::{json, query};

/// Reads a text; what it prints must be read again and print the same.
pub fn parse_text(text: &str) -> Option<dql::Statement> {
    let statement = parse(text).map_err(|error| error.failure(text)).ok()?;
    let printed = print(&statement);
    // Blanks between the items of a list can take it over the limit.
    if printed.len() > limits::STATEMENT_BYTES_MAX {
        return Some(statement);
    }
    let again = parse(&printed).unwrap_or_else(|error| panic!("{text}\n{}", error.failure(&printed)));
    assert_eq!(print(&again), printed, "{text}");
    Some(statement)
}

/// Reads, plans and runs a text once, with indexes; says whether it was run.
pub fn run_once(text: &str) -> bool {
    let (list, indexes) = (documents(), indexes());
    let context = Context { indexes: &indexes, ..Context::default() };
    let planned = parse(text).and_then(|statement| plan(&statement, &arguments(), &context));
    planned.map(|plan| change(&list, &plan, &list.0["c"][0])).is_ok()
}

/// Reads, plans and runs a text over a few documents, with and without indexes.
pub fn plan_and_run(text: &str) {
    let Some(statement) = parse_text(text) else { return };
    let (list, args, indexes) = (documents(), arguments(), indexes());
    let document = list.0["c"][0].clone();
    let _ = subscription(text, &args, &Context::default()).map(|subscription| subscription.matches(&document));
    let context = Context { indexes: &indexes, ..Context::default() };
    let bare = plan(&statement, &args, &Context::default());
    if let (Ok(Plan::Select(bare)), Ok(Plan::Select(planned))) = (&bare, plan(&statement, &args, &context)) {
        let (Ok(expected), Ok(found)) = (Runner::new(&list).query(bare), Runner::new(&list).query(&planned));
        compare(&print(&statement), expected, found);
        return;
    }
    match bare {
        Ok(Plan::Select(query)) => {
            let Ok(_) = Runner::new(&list).query(&query);
        }
        Ok(plan) => change(&list, &plan, &document),
        Err(error) => {
            let _ = error.failure(text);
        }
    }
}

fn change(list: &List, plan: &Plan, document: &Object) {
    let runner = Runner::new(list);
    match plan {
        Plan::Update(update) => {
            let _ = update.operations(document, runner.around());
            let _ = update.operations(document, Around::default());
        }
        Plan::Delete(delete) | Plan::Evict(delete) => {
            let _ = delete.matches(document, runner.around());
        }
        Plan::Insert(insert) => {
            if let Some(query) = &insert.query {
                let _ = runner.query(query).map(|rows| insert.check(rows).map(|documents| documents.len()));
            }
        }
        Plan::Profile(inner) => change(list, inner, document),
        Plan::Select(query) => {
            let Ok(_) = runner.query(query);
        }
        Plan::Advise(_)
        | Plan::AlterSystem(_)
        | Plan::CreateIndex(_)
        | Plan::DropIndex(_)
        | Plan::Explain(_)
        | Plan::Show(_) => {}
    }
}

/// Panics where an index changes the answer, of statements that say all about their answers: none that takes the first of
/// several, and none that adds floats in the order of reading.
fn compare(printed: &str, mut expected: Vec<Value>, mut found: Vec<Value>) {
    let open =
        ["LIMIT", "OFFSET", "OVER", "SUM(", "AVG(", "DISTINCT", "GROUP", "UNION", "INTERSECT", "EXCEPT", "SELECT"];
    let upper = printed.to_uppercase();
    let body = upper.strip_prefix("SELECT").unwrap_or("SELECT");
    if open.iter().any(|word| body.contains(word)) {
        return;
    }
    expected.sort_by(order::compare);
    found.sort_by(order::compare);
    let same = expected.len() == found.len() && expected.iter().zip(&found).all(|(a, b)| order::equal(a, b));
    assert!(same, "{printed}\nexpected {expected:?}\nfound    {found:?}");
}

fn indexes() -> Vec<Index> {
    let statements = ["a ON c (a)", "ba ON c (b, a DESC)", "de ON c (d.e)", "author ON c (author)", "a ON d (a)"];
    let indexes = statements.map(|index| ["CREATE INDEX ", index].concat()).to_vec();
    query::Data { documents: BTreeMap::new(), indexes }.planned_indexes()
}

fn arguments() -> Object {
    let argument = Value::Array(vec![Value::Int(i64::MIN), Value::from("é"), Value::Float(1e308), Value::Null]);
    let names = ["x", "p", "list", "ids", "car", "cars", "a", "me", "n"];
    names.into_iter().map(|name| (name.to_owned(), argument.clone())).collect()
}

fn documents() -> List {
    let object = |text: &&str| json::read(text).into_object().expect("an object");
    let c = [
        r#"{"_id": "1", "a": -9223372036854775808, "b": "é\u0000x", "c": [1, [2]], "d": {"e": null}, "x": 1e308, "tags": [true]}"#,
        r#"{"_id": "2", "a": 1, "b": "x", "author": "a1", "title": "Ada", "price": 10, "tags": ["red", 1]}"#,
        r#"{"_id": "3", "a": 1.0, "b": null, "author": "a2", "d": {"e": 5}, "when": "2024-02-29T12:30:15.250Z"}"#,
        r#"{"_id": 4, "a": "x", "b": {"e": 1}, "d": 7}"#,
    ];
    let d = [r#"{"_id": "a1", "name": "Ann", "a": 1}"#, r#"{"_id": "a2", "name": "Bob"}"#];
    List([("c".to_owned(), c.iter().map(object).collect()), ("d".to_owned(), d.iter().map(object).collect())].into())
}

/// Statements to start from: those of the vectors.
pub fn statements() -> Vec<String> {
    let cases = case::FILES.iter().flat_map(|(_, text)| case::read(text));
    cases.map(|case| case.statement).collect()
}

/// Returns a statement in which bytes are replaced, removed and inserted, with pieces of others.
pub fn mutated(random: &mut XorShift, statement: &str, others: &[String]) -> String {
    let alphabet = b"'\"`()[]{}:;,.*+-/%<>=!|0159aeExX_ \n\\\xc3\xa9\xff";
    let mut bytes = statement.as_bytes().to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len().max(1)).min(bytes.len());
        match random.below(5) {
            0 if at < bytes.len() => bytes[at] = alphabet[random.below(alphabet.len())],
            1 if at < bytes.len() => {
                let end = (at + 1 + random.below(6)).min(bytes.len());
                bytes.drain(at..end);
            }
            2 => bytes.insert(at, alphabet[random.below(alphabet.len())]),
            3 => {
                // A whole statement in brackets where one may stand.
                let other = others[random.below(others.len())].as_bytes();
                bytes.splice(at..at, [b"(", other, b")"].concat());
            }
            _ => {
                let other = others[random.below(others.len())].as_bytes();
                let start = random.below(other.len());
                let end = (start + 1 + random.below(20)).min(other.len());
                bytes.splice(at..at, other[start..end].iter().copied());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
