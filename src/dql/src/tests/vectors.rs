//! Runs `tests/vectors/dql/*.dqltest` on this room alone: documents are a list, and changes are applied to plain objects.
//! The format is described in the README beside the vectors.

use std::collections::BTreeMap;
use std::rc::Rc;

use value::{Millis, Object, Value, order};

use super::json;
use super::list::List;
use crate::{
    Around, ConflictPolicy, Context, DqlError, Index, PathOp, Plan, Runner, Update, Zones, parse, plan, plan_owned,
};

const FILES: [(&str, &str); 9] = [
    ("date", include_str!("../../../../tests/vectors/dql/date.dqltest")),
    ("expression", include_str!("../../../../tests/vectors/dql/expression.dqltest")),
    ("function", include_str!("../../../../tests/vectors/dql/function.dqltest")),
    ("index", include_str!("../../../../tests/vectors/dql/index.dqltest")),
    ("mutation", include_str!("../../../../tests/vectors/dql/mutation.dqltest")),
    ("quantifier", include_str!("../../../../tests/vectors/dql/quantifier.dqltest")),
    ("query", include_str!("../../../../tests/vectors/dql/query.dqltest")),
    ("select", include_str!("../../../../tests/vectors/dql/select.dqltest")),
    ("text", include_str!("../../../../tests/vectors/dql/text.dqltest")),
];

#[derive(Default, Debug)]
struct Case {
    name: String,
    statement: String,
    args: Object,
    documents: Vec<Object>,
    /// Documents of other collections.
    others: BTreeMap<String, Vec<Object>>,
    /// Indexes on `c` and others.
    indexes: Vec<Index>,
    rows: Option<Vec<Value>>,
    after: Option<Vec<Value>>,
    error: Option<String>,
}

/// The zones that the README names, as they are in 2024.
struct ZonesOf2024;

impl Zones for ZonesOf2024 {
    fn offset(&self, zone: &str, at: Millis) -> Option<i32> {
        let summer = |start: u64, end: u64| i32::from((start..end).contains(&at.0)) * 3600;
        match zone {
            "America/New_York" => Some(-5 * 3600 + summer(1_710_054_000_000, 1_730_613_600_000)),
            "Asia/Kolkata" => Some(5 * 3600 + 1800),
            "Europe/Berlin" => Some(3600 + summer(1_711_846_800_000, 1_729_990_800_000)),
            "UTC" => Some(0),
            _ => None,
        }
    }

    fn local(&self) -> String {
        "Europe/Berlin".to_owned()
    }
}

#[test]
fn vectors_hold() {
    let mut failures = Vec::new();
    let mut count = 0;
    for (file, text) in FILES {
        for case in read_cases(text) {
            count += 1;
            if let Err(found) = check(&case) {
                failures.push(format!("{file}: {}: {}\n  {found}", case.name, case.statement));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count} cases fail:\n{}", failures.len(), failures.join("\n"));
    assert!(count >= 120, "only {count} cases were read");
}

fn read_cases(text: &str) -> Vec<Case> {
    let mut shared: Vec<Object> = Vec::new();
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let object = || json::read(rest).into_object().expect("an object");
        let Some(case) = cases.last_mut().filter(|_| !matches!(word, "case" | "expr")) else {
            match word {
                "case" => cases.push(Case { name: rest.to_owned(), ..Case::default() }),
                "doc" => shared.push(object()),
                "expr" => cases.push(expression_case(rest)),
                _ => panic!("{line}"),
            }
            continue;
        };
        match word {
            "run" => rest.clone_into(&mut case.statement),
            "and" => case.statement.extend(["\n", rest]),
            "args" => case.args = object(),
            "in" => {
                let (collection, document) = rest.split_once(' ').expect("in collection {json}");
                let document = json::read(document).into_object().expect("an object");
                case.others.entry(collection.to_owned()).or_default().push(document);
            }
            "index" => case.indexes.push(index(case.indexes.len(), rest)),
            "doc" => case.documents.push(object()),
            "row" => case.rows.get_or_insert_default().push(json::read(rest)),
            "rows" => case.rows = Some(Vec::new()),
            "after" if rest == "none" => case.after = Some(Vec::new()),
            "after" => case.after.get_or_insert_default().push(json::read(rest)),
            "error" => case.error = Some(rest.to_owned()),
            _ => panic!("{line}"),
        }
    }
    for case in &mut cases {
        if case.documents.is_empty() {
            case.documents.clone_from(&shared);
        }
    }
    cases
}

/// Reads `name ON collection (path, …)`.
fn index(number: usize, text: &str) -> Index {
    let Ok(Plan::CreateIndex(new)) = super::planned(&["CREATE INDEX ", text].concat()) else { panic!("{text}") };
    Index { collection: new.collection, name: new.name, number: number as u64, keys: new.keys }
}

fn expression_case(line: &str) -> Case {
    let (expression, expected) = line.rsplit_once(" => ").expect("expr … => …");
    let row = match expected {
        "missing" => Object::new(),
        json => [("v".to_owned(), json::read(json))].into(),
    };
    Case {
        name: line.to_owned(),
        statement: format!("SELECT {expression} AS v"),
        rows: Some(vec![Value::Object(row)]),
        ..Case::default()
    }
}

fn check(case: &Case) -> Result<(), String> {
    let result = run(case);
    if let Some(code) = &case.error {
        return match result {
            Err(error) if error.code.as_str() == code => Ok(()),
            other => Err(format!("expected {code}, found {other:?}")),
        };
    }
    let (rows, after) = result.map_err(|error| error.failure(&case.statement).to_string())?;
    let ordered = case.statement.contains("ORDER BY");
    for (expected, found) in [(&case.rows, rows), (&case.after, after)] {
        let Some(expected) = expected else { continue };
        let (mut expected, mut found) = (expected.clone(), found);
        if !ordered {
            expected.sort_by(order::compare);
            found.sort_by(order::compare);
        }
        // Written forms tell 1 from 1.0, which the order does not.
        if format!("{expected:?}") != format!("{found:?}") {
            return Err(format!("expected {expected:?}\n  found    {found:?}"));
        }
    }
    Ok(())
}

/// Returns the rows, and the documents after the statement.
fn run(case: &Case) -> Result<(Vec<Value>, Vec<Value>), DqlError> {
    let mut documents = case.documents.clone();
    let mut rows = Vec::new();
    let list = List(case.others.clone().into_iter().chain([("c".to_owned(), documents.clone())]).collect());
    let (now, zones) = (Millis(1_709_209_815_250), Rc::new(ZonesOf2024));
    let context = Context { now, zones, indexes: &case.indexes, ..Context::default() };
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
                        return Err(DqlError { code, message: String::new(), span: None });
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
                let before = crate::evaluate::field(document, &path).and_then(Value::as_float).unwrap_or(0.0);
                set(document, &path, Some(Value::Float(before + by)));
            }
            PathOp::Restart { path, with } => set(document, &path, Some(Value::Float(with))),
            PathOp::Set { path, value } => set(document, &path, Some(value)),
            PathOp::Unset { path } => set(document, &path, None),
        }
    }
    Ok(true)
}

pub(super) fn set(document: &mut Object, path: &[String], value: Option<Value>) {
    let (last, above) = path.split_last().expect("a path");
    let mut object = document;
    for name in above {
        let inner = object.entry(name.clone()).or_insert_with(|| Value::from([]));
        if inner.as_object().is_none() {
            *inner = Value::from([]);
        }
        let Value::Object(fields) = inner else { return };
        object = fields;
    }
    match value {
        Some(value) => object.insert(last.clone(), value),
        None => object.remove(last),
    };
}
