//! The cases of `tests/vectors/dql/*.dqltest`, read and compared. The README beside them describes the format.

use std::collections::BTreeMap;

use value::{Object, Value, order};

use super::json;

/// The files, without their endings.
pub const FILES: [(&str, &str); 9] = [
    ("date", include_str!("../../../../../tests/vectors/dql/date.dqltest")),
    ("expression", include_str!("../../../../../tests/vectors/dql/expression.dqltest")),
    ("function", include_str!("../../../../../tests/vectors/dql/function.dqltest")),
    ("index", include_str!("../../../../../tests/vectors/dql/index.dqltest")),
    ("mutation", include_str!("../../../../../tests/vectors/dql/mutation.dqltest")),
    ("quantifier", include_str!("../../../../../tests/vectors/dql/quantifier.dqltest")),
    ("query", include_str!("../../../../../tests/vectors/dql/query.dqltest")),
    ("select", include_str!("../../../../../tests/vectors/dql/select.dqltest")),
    ("text", include_str!("../../../../../tests/vectors/dql/text.dqltest")),
];

/// The time of every statement, milliseconds since 1970.
pub const NOW_MS: u64 = 1_709_209_815_250;

/// Where a case cannot be run is written down as `not RUNNER`.
#[derive(Default, Debug)]
pub struct Case {
    pub name: String,
    pub statement: String,
    pub args: Object,
    /// Those of `c`.
    pub documents: Vec<Object>,
    /// Those of other collections.
    pub others: BTreeMap<String, Vec<Object>>,
    /// Each as `CREATE INDEX` takes it.
    pub indexes: Vec<String>,
    /// The runners that leave the case out.
    pub not: Vec<String>,
    pub rows: Option<Vec<Value>>,
    pub after: Option<Vec<Value>>,
    pub error: Option<String>,
}

/// What a case came to: rows and the documents of `c` afterwards, or an error's code and message.
pub type Answer = Result<(Vec<Value>, Vec<Value>), (String, String)>;

/// Runs every case but those that leave this runner out, and panics with all that fail; prints how many ran.
pub fn run_all(runner: &str, run: impl Fn(&Case) -> Answer) {
    let mut failures = Vec::new();
    let (mut ran, mut left_out) = (0, 0);
    for (file, text) in FILES {
        for case in read(text) {
            if case.not.iter().any(|not| not == runner) {
                left_out += 1;
                continue;
            }
            ran += 1;
            if let Err(found) = case.compare(run(&case)) {
                failures.push(format!("{file}: {}: {}\n  {found}", case.name, case.statement));
            }
        }
    }
    println!("{runner}: {ran} cases, {left_out} left out, {} failed", failures.len());
    assert!(failures.is_empty(), "{} of {ran} cases fail:\n{}", failures.len(), failures.join("\n"));
    assert!(ran >= 1000, "only {ran} cases were run");
}

/// Reads the cases of one file.
pub fn read(text: &str) -> Vec<Case> {
    let mut shared: Vec<Object> = Vec::new();
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let object = || json::read(rest).into_object().expect("an object");
        match word {
            "case" => cases.push(Case { name: rest.to_owned(), ..Case::default() }),
            "expr" => cases.push(expression_case(rest)),
            "doc" if cases.is_empty() => shared.push(object()),
            _ => cases.last_mut().unwrap_or_else(|| panic!("{line}")).read_line(word, rest),
        }
    }
    for case in &mut cases {
        if case.documents.is_empty() {
            case.documents.clone_from(&shared);
        }
    }
    cases
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

impl Case {
    fn read_line(&mut self, word: &str, rest: &str) {
        let object = |text| json::read(text).into_object().expect("an object");
        match word {
            "run" => rest.clone_into(&mut self.statement),
            "and" => self.statement.extend(["\n", rest]),
            "args" => self.args = object(rest),
            "in" => {
                let (collection, document) = rest.split_once(' ').expect("in collection {json}");
                self.others.entry(collection.to_owned()).or_default().push(object(document));
            }
            "index" => self.indexes.push(["CREATE INDEX ", rest].concat()),
            "not" => self.not.push(rest.to_owned()),
            "doc" => self.documents.push(object(rest)),
            "row" => self.rows.get_or_insert_default().push(json::read(rest)),
            "rows" => self.rows = Some(Vec::new()),
            "after" if rest == "none" => self.after = Some(Vec::new()),
            "after" => self.after.get_or_insert_default().push(json::read(rest)),
            "error" => self.error = Some(rest.to_owned()),
            _ => panic!("{word} {rest}"),
        }
    }

    /// Compares what was found with what is expected.
    pub fn compare(&self, answer: Answer) -> Result<(), String> {
        if let Some(code) = &self.error {
            return match answer {
                Err((found, _)) if found == *code => Ok(()),
                other => Err(format!("expected {code}, found {other:?}")),
            };
        }
        let (rows, after) = answer.map_err(|(code, message)| format!("{code}: {message}"))?;
        let ordered = self.statement.contains("ORDER BY");
        for (expected, found, ordered) in [(&self.rows, rows, ordered), (&self.after, after, false)] {
            let Some(expected) = expected else { continue };
            let (mut expected, mut found) = (expected.clone(), found);
            if !ordered {
                sort(&mut expected);
                sort(&mut found);
            }
            // Written forms tell 1 from 1.0, which the order does not.
            if format!("{expected:?}") != format!("{found:?}") {
                return Err(format!("expected {expected:?}\n  found    {found:?}"));
            }
        }
        Ok(())
    }
}

/// Brings values into an order that depends on nothing else: of equals, 1 and 1.0, the one that is written first.
pub fn sort(values: &mut [Value]) {
    values.sort_by(|a, b| order::compare(a, b).then_with(|| format!("{a:?}").cmp(&format!("{b:?}"))));
}

/// Returns how far a zone was ahead of UTC in 2024, seconds; knows the zones that the README names.
pub fn offset_in_2024(zone: &str, at_ms: u64) -> Option<i32> {
    let summer = |start: u64, end: u64| i32::from((start..end).contains(&at_ms)) * 3600;
    match zone {
        "America/New_York" => Some(-5 * 3600 + summer(1_710_054_000_000, 1_730_613_600_000)),
        "Asia/Kolkata" => Some(5 * 3600 + 1800),
        "Europe/Berlin" => Some(3600 + summer(1_711_846_800_000, 1_729_990_800_000)),
        "UTC" => Some(0),
        _ => None,
    }
}
