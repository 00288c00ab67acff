//! The tests of the room: reading and printing, planning, runs, and the vectors in `tests/vectors/dql`.

mod depth;
mod differential;
mod long;
mod mutation;
mod parsing;
mod selection;
#[allow(dead_code, reason = "the tests of the engine use the rest")]
mod shared;
mod subscribing;
mod vectors;

use value::{Object, Value};

use shared::{json, list};

/// Reads an object in JSON.
fn object(text: &str) -> Object {
    json::read(text).into_object().expect("an object")
}

/// Runs a SELECT over documents in JSON and returns the rows.
fn rows(statement: &str, documents: &[&str]) -> Vec<Value> {
    let statement = crate::parse(statement).expect("valid");
    let Ok(crate::Plan::Select(query)) = crate::plan(&statement, &Object::new(), &crate::Context::default()) else {
        panic!("not a SELECT")
    };
    let documents: Vec<Object> = documents.iter().map(|document| object(document)).collect();
    let Ok(rows) = crate::Runner::new(&list::List::of(&documents)).query(&query);
    rows
}

/// Returns the plan of a statement without arguments.
fn planned(statement: &str) -> Result<crate::Plan, crate::DqlError> {
    crate::plan(&crate::parse(statement)?, &Object::new(), &crate::Context::default())
}
