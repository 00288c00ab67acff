//! Collections, indexes and queries at random, and the answer without a plan: every document is read and looked at.
//!
//! Values come from a small set, so that they are equal, differ in type, or are missing often enough. Sums are exact in binary,
//! so that the order in which they are taken does not matter. A LIMIT stands behind an order that ends with `_id` only.

use std::collections::BTreeMap;
use std::convert::Infallible;

use dql::{Context, Flow, Index, Plan, Reader, Request, Runner, Taker, parse, plan};
use value::{ErrorCode, Object, Value, order};

use super::case::sort;
use super::list::List;
use super::random::XorShift;

/// Collections `c` and `d`, and indexes on them.
pub struct Data {
    pub documents: BTreeMap<String, Vec<Object>>,
    /// Each as a statement.
    pub indexes: Vec<String>,
}

/// A query in two forms: the second may read a collection without an index where the first needs one.
#[derive(Debug)]
pub struct Asked {
    pub planned: String,
    pub naive: String,
    /// The rows have one order.
    ordered: bool,
    /// The answer shows which of two equal values was met first: 1 or 1.0.
    equals: bool,
}

const PATHS: [&str; 6] = ["a", "b", "n", "o.x", "o.y", "r"];
const COMPARISONS: [&str; 7] = ["=", "==", "!=", "<", "<=", ">", ">="];

impl Data {
    pub fn new(random: &mut XorShift) -> Data {
        let mut documents = BTreeMap::new();
        for (name, max) in [("c", 24), ("d", 10)] {
            let count = random.below(max);
            documents.insert(name.to_owned(), (0..count).map(|number| document(random, number)).collect());
        }
        let count = random.below(8);
        Data { documents, indexes: (0..count).map(|number| index(random, number)).collect() }
    }

    /// Says whether an index begins with the reference of a collection.
    fn is_joinable(&self, collection: &str) -> bool {
        let starts =
            [format!(" ON {collection} (r,"), format!(" ON {collection} (r)"), format!(" ON {collection} (r ")];
        self.indexes.iter().any(|index| starts.iter().any(|start| index.contains(start)))
    }

    /// Returns the indexes as planning takes them.
    pub fn planned_indexes(&self) -> Vec<Index> {
        let read = |(number, text): (usize, &String)| {
            let statement = parse(text).expect("an index");
            let Ok(Plan::CreateIndex(new)) = plan(&statement, &Object::new(), &Context::default()) else {
                panic!("{text}")
            };
            Index { collection: new.collection, name: new.name, number: number as u64, keys: new.keys }
        };
        self.indexes.iter().enumerate().map(read).collect()
    }

    /// Says whether the plan of a query reads an index, and whether it reads by `_id`.
    pub fn accesses(&self, text: &str, indexes: &[Index]) -> (bool, bool) {
        let plan = query(text, indexes).map(|query| format!("{query:?}")).unwrap_or_default();
        (plan.contains("IndexScan {"), plan.contains("Ids("))
    }

    /// Answers as planned.
    pub fn answer(&self, text: &str, indexes: &[Index]) -> Result<Vec<Value>, ErrorCode> {
        let query = query(text, indexes)?;
        let list = List(self.documents.clone());
        let Ok(rows) = Runner::new(&list).query(&query);
        Ok(rows)
    }

    /// Answers without indexes, and without finding anything by `_id`.
    pub fn naive(&self, asked: &Asked) -> Result<Vec<Value>, ErrorCode> {
        let query = query(&asked.naive, &[])?;
        let list = Everything(self);
        let Ok(rows) = Runner::new(&list).query(&query);
        Ok(rows)
    }
}

fn query(text: &str, indexes: &[Index]) -> Result<dql::Query, ErrorCode> {
    let statement = parse(text).map_err(|error| panic!("{}", error.failure(text)))?;
    let context = Context { indexes, ..Context::default() };
    match plan(&statement, &Object::new(), &context).map_err(|error| error.code)? {
        Plan::Select(query) => Ok(query),
        other => panic!("{text}: {other:?}"),
    }
}

/// A reader that yields all documents, whatever access is asked for.
struct Everything<'a>(&'a Data);

impl Reader for Everything<'_> {
    type Stop = Infallible;

    fn read(&self, request: Request<'_>, taker: &mut dyn Taker) -> Result<(), Infallible> {
        for document in self.0.documents.get(request.source.collection.as_str()).into_iter().flatten() {
            if request.deciding.is_some() && !taker.wants(document) {
                continue;
            }
            if taker.take(document) == Flow::Enough {
                break;
            }
        }
        Ok(())
    }
}

impl Asked {
    /// Takes a query whose rows come in the order of the documents, or in one that it says.
    pub fn ordered(text: String) -> Asked {
        one(text, true, false)
    }

    /// Panics unless two answers are the same.
    pub fn compare(&self, data: &Data, found: Result<Vec<Value>, ErrorCode>) {
        let expected = data.naive(self);
        let same = match (&found, &expected) {
            (Ok(found), Ok(expected)) => self.is_same(found, expected),
            (found, expected) => found == expected,
        };
        assert!(
            same,
            "{}\nnaive: {}\nindexes: {:?}\ndocuments: {:?}\nfound    {found:?}\nexpected {expected:?}",
            self.planned, self.naive, data.indexes, data.documents
        );
    }

    fn is_same(&self, found: &[Value], expected: &[Value]) -> bool {
        let (mut found, mut expected) = (found.to_vec(), expected.to_vec());
        if !self.ordered {
            sort(&mut found);
            sort(&mut expected);
        }
        if self.equals {
            found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| order::equal(a, b))
        } else {
            format!("{found:?}") == format!("{expected:?}")
        }
    }
}

fn document(random: &mut XorShift, number: usize) -> Object {
    let id = if random.percent(80) { Value::Str(format!("k{number}")) } else { Value::Int(number as i64) };
    let mut document = Object::new();
    document.insert("_id".to_owned(), id);
    for name in ["a", "b"] {
        if random.percent(85) {
            document.insert(name.to_owned(), value(random));
        }
    }
    if random.percent(90) {
        document.insert("n".to_owned(), number_value(random));
    }
    if random.percent(80) {
        let mut object = Object::new();
        for name in ["x", "y"] {
            if random.percent(80) {
                object.insert(name.to_owned(), value(random));
            }
        }
        document.insert("o".to_owned(), if random.percent(90) { Value::Object(object) } else { value(random) });
    }
    if random.percent(80) {
        let known = random.below(12);
        document
            .insert("r".to_owned(), if random.percent(90) { Value::Str(format!("k{known}")) } else { value(random) });
    }
    if random.percent(70) {
        let count = random.below(4);
        document.insert("t".to_owned(), Value::Array((0..count).map(|_| value(random)).collect()));
    }
    document
}

fn number_value(random: &mut XorShift) -> Value {
    match random.below(3) {
        0 => Value::Float(random.below(8) as f64 / 2.0),
        _ => Value::Int(random.below(7) as i64 - 2),
    }
}

fn value(random: &mut XorShift) -> Value {
    match random.below(12) {
        0 => Value::Null,
        1 => Value::Bool(random.percent(50)),
        2..=6 => number_value(random),
        7 => Value::Array(vec![number_value(random)]),
        8 => Value::from([("x", number_value(random))]),
        _ => Value::from(random.one(&["", "a", "ab", "b", "1", "A", "é", "a%"])),
    }
}

fn literal(random: &mut XorShift) -> String {
    match random.below(16) {
        0 => "NULL".to_owned(),
        1 => "true".to_owned(),
        2 => "false".to_owned(),
        3 => "MISSING".to_owned(),
        4 => "[1]".to_owned(),
        5 => "{'x': 1}".to_owned(),
        6 => random.one(&["0.5", "1.0", "2.5", "3.0", "-1.0"]).to_owned(),
        7..=11 => (random.below(7) as i64 - 2).to_string(),
        12 => format!("'k{}'", random.below(12)),
        _ => format!("'{}'", random.one(&["", "a", "ab", "b", "1", "A", "é", "a%"])),
    }
}

fn index(random: &mut XorShift, number: usize) -> String {
    let collection = random.one(&["c", "c", "d"]);
    let mut left: Vec<&str> = PATHS.to_vec();
    let count = 1 + random.below(3);
    let keys: Vec<String> = (0..count)
        .map(|_| {
            let path = left.swap_remove(random.below(left.len()));
            [path, random.one(&["", "", " ASC", " DESC"])].concat()
        })
        .collect();
    format!("CREATE INDEX i{number} ON {collection} ({})", keys.join(", "))
}

/// A statement in the making. Names of fields have a qualifier in front of them.
struct Author<'a> {
    random: &'a mut XorShift,
    data: &'a Data,
}

/// Writes a query over the data.
pub fn ask(random: &mut XorShift, data: &Data) -> Asked {
    let mut author = Author { random, data };
    match author.random.below(20) {
        0..=7 => author.simple(),
        8 => author.counted(),
        9..=10 => author.grouped(),
        11..=13 => author.joined(),
        14 => author.joined_by_reference(),
        15 => author.combined(),
        16 => author.named(),
        17 => author.windowed(),
        18 => author.distinct(),
        _ => author.with_subquery(),
    }
}

/// Writes a condition on `c`, and the query for what it is true for.
pub fn condition(random: &mut XorShift, data: &Data) -> (String, Asked) {
    let mut author = Author { random, data };
    let depth = author.random.below(4);
    let condition = author.predicate("", depth);
    let asked = one(format!("SELECT _id FROM c WHERE {condition}"), false, false);
    (condition, asked)
}

fn one(text: String, ordered: bool, equals: bool) -> Asked {
    Asked { naive: text.clone(), planned: text, ordered, equals }
}

impl Author<'_> {
    fn path(&mut self, of: &str) -> String {
        let hot = self.data.indexes.len();
        if hot > 0 && self.random.percent(60) {
            let index = &self.data.indexes[self.random.below(hot)];
            let keys = &index[index.find('(').expect("keys") + 1..];
            return [of, keys.split([',', ' ', ')']).next().expect("a path")].concat();
        }
        let path = match self.random.below(12) {
            0 => "_id",
            1 => "o",
            2 => "t[0]",
            3 => "t",
            _ => self.random.one(&PATHS),
        };
        [of, path].concat()
    }

    fn predicate(&mut self, of: &str, depth: usize) -> String {
        if depth > 0 && self.random.percent(55) {
            let (a, b) = (self.predicate(of, depth - 1), self.predicate(of, depth - 1));
            return match self.random.below(9) {
                0..=4 => format!("({a} AND {b})"),
                5..=6 => format!("({a} OR {b})"),
                7 => format!("NOT ({a})"),
                _ => format!("(({a}) XOR ({b}))"),
            };
        }
        let path = self.path(of);
        let literal = literal(self.random);
        match self.random.below(22) {
            0..=6 => format!("{path} {} {literal}", self.random.one(&COMPARISONS)),
            7 => format!("{literal} {} {path}", self.random.one(&COMPARISONS)),
            8 => format!("{path} {}BETWEEN {literal} AND {}", self.not(), self::literal(self.random)),
            9 | 10 => {
                let list: Vec<String> = (0..=self.random.below(4)).map(|_| self::literal(self.random)).collect();
                format!("{path} {}IN ({})", self.not(), list.join(", "))
            }
            11 | 12 => {
                let pattern = self.random.one(&["a%", "%b", "a", "_", "%", "", "a\\\\%", "é%", "A%"]);
                format!("{path} {}{} '{pattern}'", self.not(), self.random.one(&["LIKE", "LIKE", "ILIKE"]))
            }
            13..=15 => format!("{path} IS {}{}", self.not(), self.random.one(&["NULL", "MISSING"])),
            16 => format!("{path} {} {}", self.random.one(&COMPARISONS), self.path(of)),
            17 => format!("{path} + 1 {} {literal}", self.random.one(&COMPARISONS)),
            18 => format!("type({path}) = 'number'"),
            19 => format!("ANY x IN {of}t SATISFIES x = {literal} END"),
            20 => format!("(CASE WHEN {path} = {literal} THEN 1 ELSE {path} END) > 0"),
            _ => format!("_ID_IN {literal}").replace("_ID_IN", &format!("{of}_id =")),
        }
    }

    fn not(&mut self) -> &'static str {
        if self.random.percent(25) { "NOT " } else { "" }
    }

    fn filter(&mut self, of: &str) -> String {
        if self.random.percent(12) {
            String::new()
        } else {
            let depth = self.random.below(4);
            format!(" WHERE {}", self.predicate(of, depth))
        }
    }

    fn direction(&mut self) -> &'static str {
        self.random.one(&["", " ASC", " DESC"])
    }

    /// An order of all documents, and possibly a part of it.
    fn order(&mut self, of: &str) -> (String, bool) {
        if self.random.percent(40) {
            return (String::new(), false);
        }
        let mut keys: Vec<String> = (0..self.random.below(3))
            .map(|_| {
                let path = self.random.one(&PATHS);
                [of, path, self.direction()].concat()
            })
            .collect();
        keys.push([of, "_id", self.direction()].concat());
        let mut text = format!(" ORDER BY {}", keys.join(", "));
        if self.random.percent(50) {
            text.push_str(&format!(" LIMIT {}", self.random.below(8)));
            if self.random.percent(40) {
                text.push_str(&format!(" OFFSET {}", self.random.below(5)));
            }
        }
        (text, true)
    }

    fn simple(&mut self) -> Asked {
        let items = match self.random.below(4) {
            0 => "*".to_owned(),
            1 => "_id, a, o.x AS x".to_owned(),
            2 => format!("{} AS p, {} AS q", self.path(""), self.path("")),
            _ => "_id".to_owned(),
        };
        let filter = self.filter("");
        let (order, ordered) = self.order("");
        one(format!("SELECT {items} FROM c{filter}{order}"), ordered, false)
    }

    fn distinct(&mut self) -> Asked {
        let (path, filter) = (self.path(""), self.filter(""));
        let order = if self.random.percent(50) { format!(" ORDER BY v{}", self.direction()) } else { String::new() };
        one(format!("SELECT DISTINCT {path} AS v FROM c{filter}{order}"), !order.is_empty(), true)
    }

    fn counted(&mut self) -> Asked {
        let filter = self.filter("");
        let calls =
            self.random.one(&["COUNT(*) AS k", "COUNT(a) AS k, SUM(n) AS s", "MIN(b) AS l, MAX(a) AS h, AVG(n) AS m"]);
        one(format!("SELECT {calls} FROM c{filter}"), true, true)
    }

    fn grouped(&mut self) -> Asked {
        let (path, filter) = (self.path(""), self.filter(""));
        let having = if self.random.percent(40) { " HAVING COUNT(*) > 1" } else { "" };
        let order = if self.random.percent(40) { format!(" ORDER BY g{}", self.direction()) } else { String::new() };
        let calls = "COUNT(*) AS k, SUM(n) AS s, MIN(a) AS l, MAX(b) AS h, COUNT(DISTINCT n) AS z";
        let text = format!("SELECT {path} AS g, {calls} FROM c{filter} GROUP BY {path}{having}{order}");
        one(text, !order.is_empty(), true)
    }

    fn joined(&mut self) -> Asked {
        let kind = self.random.one(&["JOIN", "LEFT JOIN", "INNER JOIN"]);
        let on = if self.random.percent(40) { format!(" AND {}", self.predicate("d.", 1)) } else { String::new() };
        let filter = match self.random.below(3) {
            0 => String::new(),
            1 => self.filter("d."),
            _ => self.filter("c."),
        };
        let order = if self.random.percent(50) { " ORDER BY c._id, d._id LIMIT 7" } else { "" };
        let text = format!(
            "SELECT c._id AS i, d._id AS j, c.a AS a, d.b AS b FROM c {kind} d ON c.r = d._id{on}{filter}{order}"
        );
        one(text, !order.is_empty(), false)
    }

    fn joined_by_reference(&mut self) -> Asked {
        let kind = self.random.one(&["JOIN", "LEFT JOIN"]);
        let on = if self.random.percent(40) { format!(" AND {}", self.predicate("c.", 1)) } else { String::new() };
        let filter = self.filter("d.");
        let text = |hint: &str| {
            format!("SELECT d._id AS i, c._id AS j, c.n AS n FROM d {kind} c{hint} ON c.r = d._id{on}{filter}")
        };
        let hint = if self.data.is_joinable("c") { "" } else { " USE INDEX ''" };
        Asked { planned: text(hint), naive: text(" USE INDEX ''"), ordered: false, equals: false }
    }

    fn combined(&mut self) -> Asked {
        let operator = self.random.one(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]);
        let (a, b) = (self.path(""), self.path(""));
        let (first, second) = (self.filter(""), self.filter(""));
        let order = if self.random.percent(40) { " ORDER BY v" } else { "" };
        let text = format!("SELECT {a} AS v FROM c{first} {operator} SELECT {b} AS v FROM d{second}{order}");
        one(text, !order.is_empty(), true)
    }

    fn named(&mut self) -> Asked {
        let (inner, outer) = (self.filter(""), self.predicate("", 2));
        let text = if self.random.percent(50) {
            format!("WITH w AS (SELECT * FROM c{inner}) SELECT _id, a FROM w WHERE {outer} ORDER BY _id")
        } else {
            format!("SELECT _id, a FROM (SELECT * FROM c{inner}) w WHERE {outer} ORDER BY _id")
        };
        one(text, true, false)
    }

    fn windowed(&mut self) -> Asked {
        let (path, filter) = (self.path(""), self.filter(""));
        let call = match self.random.below(4) {
            0 => format!("ROW_NUMBER() OVER (PARTITION BY {path} ORDER BY n, _id)"),
            1 => format!("RANK() OVER (ORDER BY {path})"),
            2 => format!("SUM(n) OVER (PARTITION BY {path})"),
            _ => format!("COUNT(*) OVER (ORDER BY {path})"),
        };
        one(format!("SELECT _id, {call} AS w FROM c{filter} ORDER BY _id"), true, true)
    }

    fn with_subquery(&mut self) -> Asked {
        let inner = self.predicate("d.", 1);
        let condition = match self.random.below(6) {
            0 => format!("EXISTS (SELECT 1 FROM d WHERE d.r = c._id AND {inner})"),
            1 => format!("c.r IN (SELECT d._id FROM d WHERE {inner})"),
            2 => format!("c._id NOT IN (SELECT d.r FROM d WHERE {inner})"),
            3 => "(SELECT COUNT(*) FROM d WHERE d.r = c.r) > 0".to_owned(),
            4 => "c.a = (SELECT d.a FROM d ORDER BY d.n DESC, d._id LIMIT 1)".to_owned(),
            _ => format!("EXISTS (SELECT 1 FROM d WHERE d._id = c.r AND d.n >= c.n AND {inner})"),
        };
        let outer = if self.random.percent(50) { format!(" AND {}", self.predicate("c.", 1)) } else { String::new() };
        let text = format!(
            "SELECT c._id, (SELECT d.b FROM d WHERE d._id = c.r) AS s FROM c WHERE {condition}{outer} ORDER BY c._id"
        );
        one(text, true, false)
    }
}
