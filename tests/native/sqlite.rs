//! Goal: where SQL and the language define the same, they give the same.
//!
//! Method: random statements of the common subset over the same rows, here and in SQLite. NULL there is a missing field here.
//! Left out by design, since the answers differ:
//!
//! - null: `null = null` is true here, and unknown there; so documents have no null, and `IS NULL` there is `IS MISSING` here;
//! - comparisons of two types: missing here, an order of types or a conversion there; so a field has one type, or none;
//! - `NOT IN` over a sub-query that yields NULL: unknown there, and here nothing is equal to what is missing;
//! - CASE without ELSE and `nullif`: null here, which is something (`missingif` is what `nullif` is there); `%` of floats: cut to integers there; `substr`, which counts from 0 here;
//! - the place of NULL in an order: first there, last here; the statements for SQLite say NULLS LAST and NULLS FIRST;
//! - LIKE: without regard to case there, but for a pragma; `\` escapes here; truth is 1 and 0 there, so it is not selected;
//! - three set operators in a row: there they have no precedence;
//! - an integer and a float that are equal: which of both stands for a group, so numbers are compared as floats.
//!
//! The same on both sides: integer division and `%` cut towards 0, and by 0 there is no value.

use std::collections::BTreeMap;

use dql::{Context, Plan, Runner, parse, plan};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use value::{Object, Value};

use crate::language::list::List;
use crate::language::random::{XorShift, seed};

type Row = BTreeMap<String, String>;

/// The same rows on both sides.
struct Twins {
    list: List,
    sqlite: Connection,
}

impl Twins {
    fn new(random: &mut XorShift) -> Twins {
        let sqlite = Connection::open_in_memory().expect("a database");
        let mut list = List::default();
        sqlite.execute_batch("PRAGMA case_sensitive_like = ON").expect("a pragma");
        for (name, max) in [("c", 20), ("d", 8)] {
            sqlite.execute_batch(&format!("CREATE TABLE {name} (_id TEXT, a, n, b, r)")).expect("a table");
            let count = random.below(max);
            let documents: Vec<Object> = (0..count).map(|number| document(random, number)).collect();
            for document in &documents {
                let literal = |field: &str| document.get(field).map_or("NULL".to_owned(), literal);
                let values = ["_id", "a", "n", "b", "r"].map(literal).join(", ");
                sqlite.execute(&format!("INSERT INTO {name} VALUES ({values})"), []).expect("a row");
            }
            list.0.insert(name.to_owned(), documents);
        }
        Twins { list, sqlite }
    }

    fn ours(&self, text: &str) -> Vec<Row> {
        let statement = parse(text).unwrap_or_else(|error| panic!("{}", error.failure(text)));
        let planned = plan(&statement, &Object::new(), &Context::default());
        let Ok(Plan::Select(query)) = planned else { panic!("{text}: {planned:?}") };
        let Ok(rows) = Runner::new(&self.list).query(&query);
        rows.into_iter().map(|row| written(row.into_object().expect("a row"))).collect()
    }

    fn theirs(&self, text: &str) -> Vec<Row> {
        let mut statement = self.sqlite.prepare(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
        let rows = statement.query_map([], |row| {
            let mut columns = Row::new();
            for (index, name) in names.iter().enumerate() {
                let text = match row.get_ref(index)? {
                    ValueRef::Integer(int) => number(int as f64),
                    ValueRef::Null => continue,
                    ValueRef::Real(float) => number(float),
                    ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
                };
                columns.insert(name.clone(), text);
            }
            Ok(columns)
        });
        rows.and_then(Iterator::collect).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn compare(&self, asked: &Asked) {
        let sql = asked.text.replace("MISSING", "NULL").replace(" ASC", " ASC NULLS LAST");
        let sql =
            sql.replace(" DESC", " DESC NULLS FIRST").replace("char_length", "length").replace("missingif", "nullif");
        let (mut ours, mut theirs) = (self.ours(&asked.text), self.theirs(&sql));
        if !asked.ordered {
            ours.sort();
            theirs.sort();
        }
        assert_eq!(ours, theirs, "ours and theirs\n{}\n{sql}\n{:?}", asked.text, self.list);
    }
}

fn document(random: &mut XorShift, number: usize) -> Object {
    let mut document = Object::new();
    document.insert("_id".to_owned(), Value::Str(format!("k{number:02}")));
    let mut maybe = |random: &mut XorShift, name: &str, value: Value| {
        if random.percent(80) {
            document.insert(name.to_owned(), value);
        }
    };
    let a = match random.percent(50) {
        true => Value::Int(random.below(7) as i64 - 2),
        false => Value::Float(random.below(9) as f64 / 2.0 - 1.0),
    };
    maybe(random, "a", a);
    let n = Value::Int(random.below(9) as i64 - 3);
    maybe(random, "n", n);
    let b = Value::from(random.one(&["", "a", "ab", "b", "B", "ba", "é", "a%b", "10"]));
    maybe(random, "b", b);
    let r = Value::Str(format!("k{:02}", random.below(10)));
    maybe(random, "r", r);
    document
}

fn literal(value: &Value) -> String {
    match value {
        Value::Int(int) => int.to_string(),
        Value::Float(float) => format!("{float:?}"),
        Value::Str(text) => format!("'{text}'"),
        other => panic!("{other:?}"),
    }
}

/// The sign of zero is lost: `abs` leaves it there.
fn number(number: f64) -> String {
    format!("{:?}", number + 0.0)
}

fn written(row: Object) -> Row {
    let text = |value: Value| match value {
        Value::Null => None,
        Value::Int(int) => Some(number(int as f64)),
        Value::Float(float) => Some(number(float)),
        Value::Str(text) => Some(text),
        other => panic!("{other:?}"),
    };
    row.into_iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?))).collect()
}

struct Asked {
    text: String,
    ordered: bool,
}

/// Writes statements. `of` is what stands in front of a field.
struct Author<'a>(&'a mut XorShift);

impl Author<'_> {
    fn number(&mut self, of: &str, depth: usize) -> String {
        let literal = self.0.one(&["0", "1", "2", "3", "-1", "0.5", "2.0"]).to_owned();
        if depth == 0 {
            return self.0.one(&[&format!("{of}a"), &format!("{of}n"), &format!("{of}n"), &literal]).to_owned();
        }
        let (x, y) = (self.number(of, depth - 1), self.number(of, depth - 1));
        match self.0.below(11) {
            0 => format!("({x} + {y})"),
            1 => format!("({x} - {y})"),
            2 => format!("({x} * {y})"),
            3 => {
                format!("({of}n / {})", self.0.one(&["2", "3", "-2", "0", "n", "2.0"]).replace('n', &format!("{of}n")))
            }
            4 => format!("({of}n % {})", self.0.one(&["2", "3", "-2", "0"])),
            5 => format!("abs({x})"),
            6 => format!("coalesce({x}, {literal})"),
            7 => format!("CASE WHEN {} THEN {x} ELSE {y} END", self.predicate(of, 0)),
            8 => format!("char_length({})", self.text(of)),
            9 => format!("missingif({of}n, {})", self.0.below(3)),
            _ => x,
        }
    }

    fn text(&mut self, of: &str) -> String {
        match self.0.below(6) {
            0 => format!("({of}b || {of}r)"),
            1 => format!("coalesce({of}b, 'none')"),
            2 => format!("{of}r"),
            3 => format!("upper({of}r)"),
            _ => format!("{of}b"),
        }
    }

    fn predicate(&mut self, of: &str, depth: usize) -> String {
        if depth > 0 && self.0.percent(60) {
            let (x, y) = (self.predicate(of, depth - 1), self.predicate(of, depth - 1));
            return match self.0.below(6) {
                0..=2 => format!("({x} AND {y})"),
                3 | 4 => format!("({x} OR {y})"),
                _ => format!("NOT ({x})"),
            };
        }
        let comparison = self.0.one(&["=", "!=", "<>", "<", "<=", ">", ">="]);
        let not = self.0.one(&["", "", "NOT "]);
        let field = [of, self.0.one(&["a", "n", "b", "r"])].concat();
        match self.0.below(9) {
            0..=2 => format!("{} {comparison} {}", self.number(of, 1), self.number(of, 1)),
            3 => format!("{} {comparison} '{}'", self.text(of), self.0.one(&["a", "ab", "k03", ""])),
            4 => format!("{} {not}BETWEEN {} AND {}", self.number(of, 1), self.0.below(3), self.0.below(5)),
            5 => format!("{of}n {not}IN ({}, {}, 2.0)", self.0.below(4), self.0.below(4)),
            6 => {
                format!("{} {not}LIKE '{}'", self.text(of), self.0.one(&["a%", "%b", "_", "%", "", "%a%", "k0_", "B"]))
            }
            7 => format!("{field} IS {not}MISSING"),
            _ => format!("{of}b {not}IN ('a', 'b', 'B')"),
        }
    }

    fn filter(&mut self, of: &str) -> String {
        let depth = self.0.below(4);
        if depth == 3 { String::new() } else { format!(" WHERE {}", self.predicate(of, depth)) }
    }

    fn direction(&mut self) -> &'static str {
        self.0.one(&[" ASC", " DESC"])
    }

    fn limit(&mut self) -> String {
        match self.0.below(3) {
            0 => String::new(),
            1 => format!(" LIMIT {}", self.0.below(6)),
            _ => format!(" LIMIT {} OFFSET {}", self.0.below(6), self.0.below(4)),
        }
    }

    fn ask(&mut self) -> Asked {
        let filter = self.filter("");
        let (text, ordered) = match self.0.below(11) {
            0 | 1 => {
                let (x, y, direction) = (self.number("", 2), self.text(""), self.direction());
                let key = self.0.one(&["a", "n", "b"]);
                (
                    format!(
                        "SELECT _id, {x} AS x, {y} AS y FROM c{filter} ORDER BY {key}{direction}, _id ASC{}",
                        self.limit()
                    ),
                    true,
                )
            }
            2 => (format!("SELECT DISTINCT {} AS x FROM c{filter}", self.0.one(&["a", "b", "n"])), false),
            3 => {
                let having =
                    self.0.one(&["", " HAVING COUNT(*) > 1", " HAVING SUM(n) > 0", " HAVING MAX(a) IS NOT MISSING"]);
                let key = self.0.one(&["a", "b", "r", "n"]);
                let calls =
                    "COUNT(*) AS k, COUNT(a) AS ka, MIN(a) AS l, MAX(n) AS h, AVG(n) AS m, COUNT(DISTINCT b) AS z";
                (
                    format!(
                        "SELECT {key} AS g, {calls} FROM c{filter} GROUP BY {key}{having} ORDER BY {key}{}",
                        self.direction()
                    ),
                    true,
                )
            }
            4 => (
                format!("SELECT COUNT(*) AS k, COUNT(b) AS kb, SUM(n) AS s, AVG(a) AS m, MIN(b) AS l FROM c{filter}"),
                true,
            ),
            5 => {
                let kind = self.0.one(&["JOIN", "LEFT JOIN"]);
                let and = if self.0.percent(50) { format!(" AND {}", self.predicate("d.", 1)) } else { String::new() };
                let filter = if self.0.percent(50) { self.filter("c.") } else { self.filter("d.") };
                let x = self.number("d.", 1);
                let text =
                    format!("SELECT c._id AS i, d._id AS j, {x} AS x FROM c {kind} d ON c.r = d._id{and}{filter}");
                (format!("{text} ORDER BY c._id ASC, d._id ASC{}", self.limit()), true)
            }
            6 => {
                let operator = self.0.one(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]);
                let (x, other) = (self.0.one(&["a", "b", "n"]), self.filter(""));
                (format!("SELECT {x} AS x FROM c{filter} {operator} SELECT {x} AS x FROM d{other}"), false)
            }
            7 => {
                let inner = self.predicate("d.", 1);
                let condition = match self.0.below(4) {
                    0 => format!("c.r IN (SELECT d._id FROM d WHERE {inner})"),
                    1 => format!("EXISTS (SELECT 1 FROM d WHERE d._id = c.r AND {inner})"),
                    2 => format!("NOT EXISTS (SELECT 1 FROM d WHERE d.n = c.n AND {inner})"),
                    _ => format!("c.n > (SELECT AVG(d.n) FROM d WHERE {inner})"),
                };
                (
                    format!(
                        "SELECT c._id, (SELECT d.b FROM d WHERE d._id = c.r) AS x FROM c WHERE {condition} ORDER BY c._id ASC"
                    ),
                    true,
                )
            }
            8 => {
                let outer = self.predicate("", 1).replace("_id", "g");
                let inner = format!("SELECT r, n, a, b FROM c{filter}");
                (format!("WITH w AS ({inner}) SELECT n, b, a FROM w WHERE {outer}"), false)
            }
            9 => {
                let (key, order, direction) =
                    (self.0.one(&["b", "n", "r"]), self.0.one(&["a", "n", "b"]), self.direction());
                let call = match self.0.below(6) {
                    0 => format!("ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY {order}{direction}, _id ASC)"),
                    1 => format!("RANK() OVER (ORDER BY {order}{direction})"),
                    2 => format!("DENSE_RANK() OVER (PARTITION BY {key} ORDER BY {order}{direction})"),
                    3 => format!("COUNT(*) OVER (PARTITION BY {key})"),
                    4 => format!("COUNT(a) OVER (ORDER BY {order}{direction})"),
                    _ => format!("SUM(coalesce(n, 0)) OVER (PARTITION BY {key} ORDER BY {order}{direction})"),
                };
                (format!("SELECT _id, {call} AS x FROM c{filter} ORDER BY _id ASC"), true)
            }
            _ => (
                format!(
                    "SELECT x, COUNT(*) AS k FROM (SELECT {} AS x FROM c{filter}) w GROUP BY x",
                    self.number("", 1)
                ),
                false,
            ),
        };
        Asked { text, ordered }
    }
}

#[test]
fn random_statements_of_the_common_subset_answer_as_sqlite_does() {
    let mut random = XorShift(seed(0x5eed_0005));
    let mut asked = 0;
    for _ in 0..100 {
        let twins = Twins::new(&mut random);
        for _ in 0..40 {
            twins.compare(&Author(&mut random).ask());
            asked += 1;
        }
    }
    println!("{asked} statements");
}
