//! Runs `tests/vectors/dql/*.dqltest` on this room alone: documents are a list, and changes are applied to plain objects.
//! The format is described in the README beside the vectors.

use std::rc::Rc;

use value::{Millis, Object, Value};

use super::shared::case::{Case, NOW_MS, offset_in_2024, run_all};
use super::shared::list::{List, field, set};
use crate::{
    Around, ConflictPolicy, Context, DqlError, Index, PathOp, Plan, Runner, Update, Zones, parse, plan, plan_owned,
};

/// The zones that the README names, as they are in 2024.
struct ZonesOf2024;

impl Zones for ZonesOf2024 {
    fn offset(&self, zone: &str, at: Millis) -> Option<i32> {
        offset_in_2024(zone, at.0)
    }

    fn local(&self) -> String {
        "Europe/Berlin".to_owned()
    }
}

#[test]
fn vectors_hold() {
    run_all("language", |case| {
        run(case).map_err(|error| {
            let message = error.failure(&case.statement).to_string();
            (error.code.as_str().to_owned(), message)
        })
    });
}

/// Reads `CREATE INDEX name ON collection (path, …)`.
fn index(number: usize, text: &str) -> Index {
    let Ok(Plan::CreateIndex(new)) = super::planned(text) else { panic!("{text}") };
    Index { collection: new.collection, name: new.name, number: number as u64, keys: new.keys }
}

/// Returns the rows, and the documents after the statement.
fn run(case: &Case) -> Result<(Vec<Value>, Vec<Value>), DqlError> {
    let mut documents = case.documents.clone();
    let mut rows = Vec::new();
    let indexes: Vec<Index> = case.indexes.iter().enumerate().map(|(number, text)| index(number, text)).collect();
    let list = List(case.others.clone().into_iter().chain([("c".to_owned(), documents.clone())]).collect());
    let (now, zones) = (Millis(NOW_MS), Rc::new(ZonesOf2024));
    let context = Context { now, zones, indexes: &indexes, ..Context::default() };
    let planned = plan(&parse(&case.statement)?, &case.args, &context)?;
    let owned = plan_owned(&parse(&case.statement)?, case.args.clone(), &context)?;
    let runner = Runner::new(&list);
    let around = runner.around();
    assert_eq!(format!("{planned:?}"), format!("{owned:?}"), "{}", case.statement);
    match planned {
        Plan::Select(query) => {
            let Ok(found) = Runner::new(&list).query(&query);
            rows = found;
        }
        Plan::Insert(insert) => {
            let mut given = insert.documents.clone();
            if let Some(query) = &insert.query {
                let Ok(found) = runner.query(query);
                given = insert.check(found)?;
            }
            for document in given {
                let known = documents.iter_mut().find(|known| known.get("_id") == document.get("_id"));
                match (known, insert.policy) {
                    (None, _) => {
                        rows.extend(insert.returning.as_ref().map(|returning| returning.row(&document, around)));
                        documents.push(document);
                    }
                    (Some(_), ConflictPolicy::Fail) => {
                        let code = value::ErrorCode::StoreIdentifierConflict;
                        return Err(DqlError::new(code, String::new(), None));
                    }
                    (Some(_), ConflictPolicy::Nothing) => {}
                    (Some(known), _) => {
                        known.extend(document);
                        rows.extend(insert.returning.as_ref().map(|returning| returning.row(known, around)));
                    }
                }
            }
        }
        Plan::Update(update) => {
            let found = list.found(update.source(), &update.source().access);
            for document in documents.iter_mut().filter(|document| found.contains(document)) {
                if apply(&update, document, around)? {
                    rows.extend(update.returning().map(|returning| returning.row(document, around)));
                }
            }
        }
        Plan::Delete(delete) | Plan::Evict(delete) => {
            let mut left = delete.limit().unwrap_or(usize::MAX);
            let mut kept = Vec::new();
            let found = list.found(delete.source(), &delete.source().access);
            for document in documents {
                if left > 0 && found.contains(&document) && delete.matches(&document, around) {
                    rows.extend(delete.returning().map(|returning| returning.row(&document, around)));
                    left -= 1;
                } else {
                    kept.push(document);
                }
            }
            documents = kept;
        }
        Plan::Advise(advice) => rows.push(advice.row),
        Plan::Explain(row) => rows.push(row),
        other => panic!("no vector of this room runs {other:?}"),
    }
    Ok((rows, documents.into_iter().map(Value::Object).collect()))
}

/// Changes a document; returns whether WHERE was true.
fn apply(update: &Update, document: &mut Object, around: Around<'_>) -> Result<bool, DqlError> {
    let Some(operations) = update.operations(document, around)? else { return Ok(false) };
    for operation in operations {
        match operation {
            PathOp::Increment { path, by } | PathOp::PnIncrement { path, by } => {
                let before = field(document, &path).and_then(Value::as_float).unwrap_or(0.0);
                set(document, &path, Some(Value::Int((before + by) as i64)));
            }
            PathOp::Restart { path, with } => set(document, &path, Some(Value::Int(with as i64))),
            PathOp::Set { path, value } => set(document, &path, Some(value)),
            PathOp::Splice { path, start, delete, insert } => {
                let text = field(document, &path).and_then(Value::as_str).unwrap_or_default();
                let mut units: Vec<u16> = text.encode_utf16().collect();
                let insert = insert.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
                units.splice(start as usize..(start + delete) as usize, insert.encode_utf16());
                set(document, &path, Some(Value::Str(String::from_utf16(&units).expect("whole characters"))));
            }
            PathOp::Unset { path } => set(document, &path, None),
        }
    }
    Ok(true)
}
