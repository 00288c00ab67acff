//! The demo's data: the movies and the cars of the npm package `vega-datasets`, loaded into the Big Peer over HTTP.
//!
//! `_id`s are made from the row's number, and every document is inserted as INITIAL: loading again, after an interruption
//! or by a second Big Peer, changes nothing.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::{Error, Result, read_text, write_file};
use crate::http;
use crate::process;
use crate::terminal::{Step, step};
use crate::workspace::Workspace;

/// Collection and file name are the same.
const COLLECTIONS: [&str; 2] = ["movies", "cars"];
/// Small enough for one record of the Big Peer's log.
const BATCH_DOCUMENTS: usize = 200;

/// Loads each collection that is empty, or whose loading was interrupted.
pub fn load(workspace: &Workspace, port: u16, token: &str, data: &Path) -> Result<()> {
    let peer = Peer { port, token };
    for collection in COLLECTIONS {
        let mark = data.join(format!("demo-{collection}-loaded"));
        let work = |step: &mut Step| {
            let held = peer.count(collection)?;
            if held > 0 && mark.is_file() {
                return Ok(held);
            }
            let source = workspace.path(format!("www/node_modules/vega-datasets/data/{collection}.json"));
            peer.insert(collection, documents(&read_text(&source)?)?, step)?;
            write_file(&mark, "")?;
            peer.count(collection)
        };
        step(format!("data: {collection}"), work, |held| format!("{held} documents"))?;
    }
    Ok(())
}

struct Peer<'a> {
    port: u16,
    token: &'a str,
}

impl Peer<'_> {
    fn count(&self, collection: &str) -> Result<u64> {
        let answer = self.execute(&format!("SELECT COUNT(*) AS held FROM {collection}"), json!({}))?;
        answer["items"][0]["held"]
            .as_u64()
            .ok_or_else(|| Error::Unexpected(format!("the Big Peer's answer has no count: {answer}")))
    }

    fn insert(&self, collection: &str, documents: Vec<Value>, step: &mut Step) -> Result<()> {
        let total = documents.len();
        for (number, batch) in documents.chunks(BATCH_DOCUMENTS).enumerate() {
            if process::stopping() {
                return Err(Error::Interrupted);
            }
            step.tick(&format!("{} of {total}", number * BATCH_DOCUMENTS));
            let (statement, args) = insert_statement(collection, batch);
            self.execute(&statement, args)?;
        }
        Ok(())
    }

    fn execute(&self, statement: &str, args: Value) -> Result<Value> {
        let body = json!({ "statement": statement, "args": args });
        let answer = http::post_json(self.port, "/api/v5/store/execute", self.token, &body)?;
        let parsed: Option<Value> = serde_json::from_str(&answer.body).ok();
        match parsed {
            Some(value) if answer.status == 200 && value["error"].is_null() => Ok(value),
            _ => {
                let start: String = statement.chars().take(80).collect();
                Err(Error::Unexpected(format!(
                    "the Big Peer answers {} to {start}: {}",
                    answer.status,
                    answer.body.trim()
                )))
            }
        }
    }
}

/// One placeholder a document, as in the original's examples.
fn insert_statement(collection: &str, batch: &[Value]) -> (String, Value) {
    let places: Vec<String> = (0..batch.len()).map(|place| format!("(:d{place})")).collect();
    let args: Map<String, Value> =
        batch.iter().enumerate().map(|(place, document)| (format!("d{place}"), document.clone())).collect();
    (format!("INSERT INTO {collection} INITIAL DOCUMENTS {}", places.join(", ")), Value::Object(args))
}

/// Reads the rows of a data set and gives each its `_id`, in the order of the rows.
fn documents(text: &str) -> Result<Vec<Value>> {
    let rows: Vec<Value> =
        serde_json::from_str(text).map_err(|error| Error::Unexpected(format!("the data set: {error}")))?;
    rows.into_iter()
        .enumerate()
        .map(|(number, row)| match row {
            Value::Object(mut fields) => {
                fields.insert("_id".into(), Value::String(format!("{:05}", number + 1)));
                Ok(Value::Object(fields))
            }
            other => Err(Error::Unexpected(format!("row {} of the data set is not an object: {other}", number + 1))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_documents_with_stable_ids() {
        let documents = documents(r#"[{"a":1},{"a":null}]"#).expect("these are objects");
        assert_eq!(documents, [json!({"_id": "00001", "a": 1}), json!({"_id": "00002", "a": null})]);
        let (statement, args) = insert_statement("a", &documents);
        assert_eq!(statement, "INSERT INTO a INITIAL DOCUMENTS (:d0), (:d1)");
        assert_eq!(args["d1"]["_id"], "00002");
    }

    #[test]
    fn a_row_that_is_no_object_is_refused() {
        assert!(documents("[1]").is_err());
        assert!(documents("{").is_err());
    }
}
