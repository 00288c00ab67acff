//! Live queries: what is kept up to date is what a fresh evaluation answers, and applications are told of nothing else.

use std::fmt::Write as _;

use value::{Object, Value};

use super::harness::World;
use crate::io::{Input, ObserverId, Reply, TransactionId};
use crate::random::Random;

fn observe(world: &mut World, id: u64, text: &str) {
    let (ticket, observer) = (world.ticket(), ObserverId(id));
    world.input(1, Input::Observe { ticket, observer, text: text.to_owned(), args: Object::new() });
    assert_eq!(world.nodes[1].replies.remove(&ticket), Some(Ok(Reply::Done)), "{text}");
}

fn told(world: &World, id: u64) -> &[Vec<Value>] {
    &world.nodes[1].told[&ObserverId(id)]
}

/// Makes choices.
struct Dice(Random);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0.number() % end
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }

    fn value(&mut self) -> &'static str {
        self.one(&[
            "1",
            "2",
            "3",
            "1.0",
            "2.0",
            "2.5",
            "0.1",
            "0.2",
            "-0.3",
            "1e300",
            "-1e300",
            "1e16",
            "0.0",
            "-0.0",
            "'a'",
            "'b'",
            "null",
            "true",
            "false",
            "[1]",
            "[1.0]",
            "{'q': 1}",
            "{'q': 1.0}",
            "9007199254740993",
            "9223372036854775807",
        ])
    }

    fn document(&mut self, id: u64) -> String {
        let mut text = format!("{{'_id': {id}");
        for name in ["g", "x", "y"] {
            if self.below(8) > 0 {
                let value = if name == "g" { self.one(&["1", "1.0", "2", "'a'", "null"]) } else { self.value() };
                _ = write!(text, ", '{name}': {value}");
            }
        }
        text + "}"
    }

    fn aggregate(&mut self) -> String {
        let function = self.one(&["COUNT", "SUM", "AVG", "MIN", "MAX", "MEDIAN", "MID"]);
        let distinct = self.one(&["", "", "DISTINCT "]);
        let argument = self.one(&["x", "y", "g", "x + 1"]);
        format!("{function}({distinct}{argument})")
    }

    fn filter(&mut self) -> &'static str {
        self.one(&[
            "",
            "",
            " WHERE x > 1",
            " WHERE y IS NOT MISSING",
            " WHERE g = 1",
            " WHERE x < 2.5 OR y = 'a'",
            " WHERE _id > 20",
            " WHERE _id IN [3, 1, 7, 40, 'z']",
            " WHERE g IN [1, 'a'] AND x IS NOT NULL",
        ])
    }

    fn order(&mut self, keys: &[&str]) -> String {
        let mut text = String::new();
        for place in 0..self.below(3) {
            let (key, way) = (self.one(keys), self.one(&["", " DESC", " ASC"]));
            _ = write!(text, "{}{key}{way}", if place == 0 { " ORDER BY " } else { ", " });
        }
        text
    }

    fn limit(&mut self) -> String {
        let mut text = String::new();
        if self.below(2) == 0 {
            _ = write!(text, " LIMIT {}", self.one(&["0", "1", "2", "3", "5", "20", "40"]));
        }
        if self.below(4) == 0 {
            _ = write!(text, " OFFSET {}", self.one(&["0", "1", "3", "10"]));
        }
        text
    }

    fn select(&mut self) -> String {
        let filter = self.filter();
        if self.below(2) == 0 {
            let items = self.one(&["*", "x", "_id, x", "x, y, g AS z", "x + 1 AS n, _id", "upper(y) AS u", "*"]);
            let distinct = if items != "*" { self.one(&["", "DISTINCT "]) } else { "" };
            let order = self.order(&["x", "y", "g", "_id"]);
            return format!("SELECT {distinct}{items} FROM a{filter}{order}{}", self.limit());
        }
        let (first, second) = (self.aggregate(), self.aggregate());
        if self.below(3) == 0 {
            return format!("SELECT COUNT(*) AS n, {first} AS v, {second} AS w FROM a{filter}");
        }
        let keys = self.one(&["g", "x", "g, y"]);
        let having = match self.below(3) {
            0 => format!(" HAVING {} > 1", self.one(&["COUNT(*)", "SUM(x)"])),
            _ => String::new(),
        };
        let (distinct, order) =
            (self.one(&["", "", "DISTINCT "]), self.order(&["g", "n", "v"]).replace('g', &keys[..1]));
        let items = self.one(&[
            "{k}, COUNT(*) AS n, {v} AS v, {w} AS w",
            "{v} AS v, COUNT(*) AS n",
            "{k}, {v} AS v, COUNT(*) AS n",
        ]);
        let items = items.replace("{k}", keys).replace("{v}", &first).replace("{w}", &second);
        format!("SELECT {distinct}{items} FROM a{filter} GROUP BY {keys}{having}{order}{}", self.limit())
    }

    /// A SELECT over `a` and `b`, and sometimes a third side.
    fn join(&mut self) -> String {
        let from = self.one(&[
            "a JOIN b ON a.x = b._id",
            "a JOIN b ON a.x = b._id",
            "a LEFT JOIN b ON a.x = b._id",
            "a LEFT JOIN b ON a.g = b.g",
            "a JOIN b ON b.g = a.g AND b.x > 1",
            "a LEFT JOIN b ON b._id = a.x AND b.y IS NOT MISSING",
            "b RIGHT JOIN a ON a.x = b._id",
            "a JOIN b ON b._id IN [a.x, a.y]",
            "a JOIN b ON a.x = b._id LEFT JOIN a AS c ON c._id = b.y",
            "a JOIN a AS b ON a.x = b._id",
        ]);
        let filter =
            self.one(&["", "", " WHERE a.x > 1", " WHERE b.y IS NOT MISSING", " WHERE a.g = b.g OR b.x = 'a'"]);
        if self.below(2) == 0 {
            let items = self.one(&["*", "a._id AS i, b.x AS x", "b.g AS z, a.y AS y", "b.*", "a.x + 1 AS n"]);
            let distinct = if items.contains('*') { "" } else { self.one(&["", "DISTINCT "]) };
            let order = self.order(&["a.x", "b.y", "b.g", "a._id"]);
            return format!("SELECT {distinct}{items} FROM {from}{filter}{order}{}", self.limit());
        }
        let function = self.one(&["COUNT", "SUM", "AVG", "MIN", "MAX", "COUNT(DISTINCT "]);
        let call = format!("{function}{}b.x)", if function.contains('(') { "" } else { "(" });
        let (item, group) = self
            .one(&["|", "a.g AS g, | GROUP BY a.g", "b.g AS g, | GROUP BY b.g"])
            .split_once('|')
            .expect("it is there");
        format!("SELECT {item}{call} AS v, COUNT(*) AS n FROM {from}{filter}{group}")
    }

    /// A write to one of the collections of `join`.
    fn write_to_any(&mut self, ids: u64) -> String {
        let write = self.write(ids);
        if self.below(2) == 0 {
            return write;
        }
        ["INTO a ", "UPDATE a ", "FROM a "].iter().fold(write, |write, of| write.replace(of, &of.replace('a', "b")))
    }

    fn write(&mut self, ids: u64) -> String {
        let id = self.below(ids);
        let several = self.below(ids / 4 + 1);
        match self.below(20) {
            0..=5 => format!("INSERT INTO a DOCUMENTS ({}) ON ID CONFLICT DO UPDATE", self.document(id)),
            6..=11 => format!("UPDATE a SET {} = {} WHERE _id = {id}", self.one(&["x", "y", "g"]), self.value()),
            12 => format!("UPDATE a SET x = {} WHERE g = {}", self.value(), self.one(&["1", "2", "'a'"])),
            13 => format!("UPDATE a UNSET {} WHERE _id = {id}", self.one(&["x", "y"])),
            14 => format!("UPDATE a SET other = {} WHERE _id = {id}", self.value()),
            15..=16 => format!("DELETE FROM a WHERE _id = {id}"),
            17 => format!("DELETE FROM a WHERE _id >= {id} AND _id < {}", id + several),
            18 => format!("EVICT FROM a WHERE _id = {id}"),
            _ => format!("INSERT INTO b DOCUMENTS ({}) ON ID CONFLICT DO UPDATE", self.document(id)),
        }
    }
}

/// Runs random writes, alone and in transactions, beside random observers.
fn random_run(seed: u64, observers: u64, steps: usize, ids: u64, indexes: &[&str]) {
    random_run_of((Dice::select, Dice::write), seed, observers, steps, ids, indexes);
}

/// Makes statements: a SELECT, and a write that touches so many documents.
type Statements = (fn(&mut Dice) -> String, fn(&mut Dice, u64) -> String);

fn random_run_of(statements: Statements, seed: u64, observers: u64, steps: usize, ids: u64, indexes: &[&str]) {
    let (select, write) = statements;
    let mut dice = Dice(Random::new(seed));
    let mut world = World::new(1);
    indexes.iter().for_each(|index| world.ok(1, index));
    // A fresh evaluation through an index has another order among equals.
    let fresh = |world: &mut World, text: &str| {
        format!("{:?}", world.rows(1, &text.replace(" FROM a", " FROM a USE INDEX ''")))
    };
    let first: Vec<String> = (0..ids / 2).map(|id| format!("({})", dice.document(id * 2))).collect();
    world.ok(1, &format!("INSERT INTO a DOCUMENTS {}", first.join(", ")));
    let texts: Vec<String> = (0..observers).map(|_| select(&mut dice)).collect();
    for (id, text) in (0..).zip(&texts) {
        observe(&mut world, id, text);
    }
    let mut known: Vec<String> = (0..).zip(&texts).map(|(_, text): (u64, _)| fresh(&mut world, text)).collect();
    for step in 0..steps {
        let counts: Vec<usize> = (0..observers).map(|id| told(&world, id).len()).collect();
        let writes: Vec<String> = match dice.below(6) {
            0 => (0..=dice.below(6)).map(|_| write(&mut dice, ids)).collect(),
            _ => vec![write(&mut dice, ids)],
        };
        match &writes[..] {
            [write] => world.ok(1, write),
            writes => transaction(&mut world, writes),
        }
        for id in 0..observers {
            let text = &texts[id as usize];
            let fresh = fresh(&mut world, text);
            let last = format!("{:?}", told(&world, id).last().expect("it is told at first"));
            let place = || format!("seed {seed}, step {step}: {text}\n  after {writes:?}");
            assert_eq!(last, fresh, "{}", place());
            let wanted = counts[id as usize] + usize::from(known[id as usize] != fresh);
            assert_eq!(told(&world, id).len(), wanted, "told too often or not at all: {}", place());
            known[id as usize] = fresh;
        }
    }
}

fn transaction(world: &mut World, writes: &[String]) {
    let ticket = world.ticket();
    world.input(1, Input::Begin { ticket, read_only: false });
    let Some(Ok(Reply::Begun(transaction))) = world.nodes[1].replies.remove(&ticket) else { panic!("it begins") };
    for write in writes {
        inside(world, transaction, write);
    }
    let ticket = world.ticket();
    world.input(1, Input::End { ticket, transaction, commit: true });
    assert!(world.nodes[1].replies.remove(&ticket).is_some_and(|result| result.is_ok()));
}

fn inside(world: &mut World, id: TransactionId, text: &str) {
    let ticket = world.ticket();
    let durability = store::Durability::Relaxed;
    let transaction = Some(id);
    world.input(1, Input::Execute { ticket, transaction, text: text.to_owned(), args: Object::new(), durability });
    let result = world.nodes[1].replies.remove(&ticket).expect("it is answered");
    // EVICT stands alone.
    assert!(result.is_ok(), "{text}: {result:?}");
}

/// Returns how many seeds to try; `LIVE_RUNS` says more.
fn runs(usually: u64) -> u64 {
    std::env::var("LIVE_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(usually)
}

#[test]
fn a_live_answer_is_a_fresh_answer_after_each_commit() {
    for seed in 1..=runs(24) {
        random_run(seed, 16, 60, 30, &[]);
    }
}

#[test]
fn a_live_answer_over_more_documents_than_it_holds_is_a_fresh_answer() {
    for seed in 1_000_001..=1_000_000 + runs(4) {
        random_run(seed, 12, 60, 400, &[]);
    }
}

#[test]
fn a_live_answer_whose_first_scan_goes_through_an_index_is_a_fresh_answer() {
    let indexes = ["CREATE INDEX by_x ON a (x)", "CREATE INDEX by_g ON a (g DESC)", "CREATE INDEX by_y ON a (y)"];
    let mut world = World::new(1);
    indexes.iter().for_each(|index| world.ok(1, index));
    for (text, index) in [("SELECT * FROM a WHERE x > 1", "by_x"), ("SELECT * FROM a ORDER BY g LIMIT 3", "by_g")] {
        let plan = format!("{:?}", world.rows(1, &format!("EXPLAIN {text}")));
        assert!(plan.contains(index), "{plan}");
    }
    for seed in 2_000_001..=2_000_000 + runs(8) {
        random_run(seed, 14, 40, 300, &indexes);
    }
}

#[test]
fn a_live_join_is_a_fresh_join_after_each_commit() {
    let statements: Statements = (Dice::join, Dice::write_to_any);
    let indexes = ["CREATE INDEX by_g ON b (g)"];
    for seed in 3_000_001..=3_000_000 + runs(24) {
        random_run_of(statements, seed, 16, 60, 24, &indexes);
    }
    for seed in 4_000_001..=4_000_000 + runs(4) {
        random_run_of(statements, seed, 12, 40, 300, &indexes);
    }
}

#[test]
fn several_commits_under_back_pressure_are_told_once_with_the_newest_answer() {
    let mut world = World::new(1);
    for (id, text) in (0..).zip([
        "SELECT * FROM a ORDER BY x LIMIT 2",
        "SELECT COUNT(*) AS n FROM a",
        "SELECT a._id FROM a JOIN b ON a.x = b._id",
    ]) {
        observe(&mut world, id, text);
    }
    world.busy = true;
    world.ok(1, "INSERT INTO b DOCUMENTS ({'_id': 1})");
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 1})");
    assert_eq!([0, 1, 2].map(|id| told(&world, id).len()), [2; 3], "they were ready");
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 2, 'x': 0})");
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 3, 'x': 1})");
    assert_eq!([0, 1, 2].map(|id| told(&world, id).len()), [2; 3], "they are not ready");
    for observer in [0, 1, 2].map(ObserverId) {
        world.input(1, Input::ObserverReady { observer });
    }
    assert_eq!([0, 1, 2].map(|id| told(&world, id).len()), [3; 3]);
    let row = |id, x| Value::from([("_id", Value::Int(id)), ("x", Value::Int(x))]);
    assert_eq!(told(&world, 0)[2], [row(2, 0), row(1, 1)]);
    assert_eq!(told(&world, 1)[2], [Value::from([("n", Value::Int(3))])]);
    assert_eq!(told(&world, 2)[2].len(), 2);
}

#[test]
fn an_answer_that_is_the_old_one_again_is_not_told() {
    let mut world = World::new(1);
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 1})");
    let texts = [
        "SELECT * FROM a",
        "SELECT SUM(x) AS s FROM a",
        "SELECT DISTINCT x FROM a",
        "SELECT x FROM a UNION SELECT x FROM b",
    ];
    for (id, text) in (0..).zip(texts) {
        observe(&mut world, id, text);
    }
    world.busy = true;
    world.ok(1, "UPDATE a SET x = 2");
    world.ok(1, "UPDATE a SET x = 3");
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 2, 'x': 1})");
    world.ok(1, "UPDATE a SET x = 2 WHERE _id = 1");
    world.ok(1, "DELETE FROM a WHERE _id = 2");
    for observer in [0, 1, 2, 3].map(ObserverId) {
        world.input(1, Input::ObserverReady { observer });
    }
    assert_eq!([0, 1, 2, 3].map(|id| told(&world, id).len()), [2; 4]);
}

#[test]
fn a_count_fires_again_and_again() {
    let mut world = World::new(1);
    observe(&mut world, 1, "SELECT COUNT(*) FROM a");
    observe(&mut world, 2, "SELECT COUNT(*) AS n FROM a WHERE x > 1");
    for id in 0..20 {
        world.ok(1, &format!("INSERT INTO a DOCUMENTS ({{'_id': {id}, 'x': {id}}})"));
    }
    for id in 0..20 {
        world.ok(1, &format!("DELETE FROM a WHERE _id = {id}"));
    }
    let counts = |id| -> Vec<i64> {
        let count = |rows: &Vec<Value>| rows[0].as_object()?.values().next()?.as_int();
        told(&world, id).iter().map(|rows| count(rows).expect("a count")).collect()
    };
    assert_eq!(counts(1), (0..=20).chain((0..20).rev()).collect::<Vec<_>>());
    assert_eq!(counts(2), (0..=18).chain((0..18).rev()).collect::<Vec<_>>());
}

#[test]
fn a_join_looks_only_at_changes_of_fields_that_it_reads() {
    let mut world = World::new(1);
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 1, 'y': 1})");
    world.ok(1, "INSERT INTO b DOCUMENTS ({'_id': 1, 'z': 1, 'w': 1})");
    let text = "SELECT a.x, b.z FROM a JOIN b ON a.x = b._id";
    observe(&mut world, 1, text);
    observe(
        &mut world,
        2,
        "SELECT x FROM a WHERE x IN (SELECT VALUE b.z FROM b)".replace("SELECT VALUE b.z", "SELECT z").as_str(),
    );
    for write in ["UPDATE a SET y = 2", "UPDATE b SET w = 2", "INSERT INTO c DOCUMENTS ({'_id': 1})"] {
        world.ok(1, write);
        assert!(world.nodes[1].engine.observers.values().all(|observer| !observer.is_due()));
        assert_eq!(told(&world, 1).len(), 1);
    }
    for write in ["UPDATE b SET z = 5", "UPDATE a SET x = 2", "UPDATE a SET x = 1", "DELETE FROM b"] {
        world.ok(1, write);
        let fresh = world.rows(1, text);
        assert_eq!(told(&world, 1).last(), Some(&fresh), "{write}");
    }
    assert_eq!(told(&world, 1).len(), 5);
    assert_eq!(told(&world, 2).len(), 2);
}

/// Joins are kept where the partners of a row are found by values; others are evaluated again, and are right as well.
#[test]
fn joins_are_kept_whose_lookups_can_be_followed_back() {
    let mut world = World::new(1);
    world.ok(1, "CREATE INDEX by_g ON b (g)");
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 1, 'g': 5})");
    let texts = [
        ("SELECT * FROM a JOIN b ON a.x = b._id", true),
        ("SELECT COUNT(*) AS n FROM a LEFT JOIN b ON a.g = b.g", true),
        ("SELECT * FROM a JOIN b ON b.g > a.g", false),
        ("SELECT * FROM a JOIN b USE INDEX '' ON a.x = b.y", false),
        ("SELECT * FROM a JOIN b ON a.x = b._id WHERE EXISTS (SELECT 1 FROM c)", false),
        ("SELECT * FROM a USE IDS 1 JOIN b ON a.x = b._id", false),
        ("SELECT * FROM a JOIN (SELECT * FROM b) AS b ON a.x = b._id", false),
    ];
    (0..).zip(texts).for_each(|(id, (text, _))| observe(&mut world, id, text));
    let kept: Vec<bool> = world.nodes[1].engine.observers.values().map(|observer| observer.is_kept()).collect();
    assert_eq!(kept, texts.map(|(_, kept)| kept));
    for write in ["INSERT INTO b DOCUMENTS ({'_id': 1, 'g': 6, 'y': 1})", "UPDATE b SET g = 5", "DELETE FROM b"] {
        world.ok(1, write);
        for (id, (text, _)) in (0..).zip(texts) {
            let fresh = world.rows(1, text);
            assert_eq!(told(&world, id).last(), Some(&fresh), "{text} after {write}");
        }
    }
}

#[test]
fn use_ids_restricts_what_is_live() {
    let mut world = World::new(1);
    observe(&mut world, 1, "SELECT * FROM a USE IDS 3, 1");
    for id in 0..5 {
        world.ok(1, &format!("INSERT INTO a DOCUMENTS ({{'_id': {id}}})"));
    }
    assert_eq!(told(&world, 1).len(), 3);
    let fresh = world.rows(1, "SELECT * FROM a USE IDS 3, 1");
    assert_eq!(told(&world, 1).last(), Some(&fresh));
}

#[test]
fn declared_types_are_shown_live() {
    let mut world = World::new(1);
    let text = "SELECT * FROM COLLECTION a (n COUNTER) WHERE n > 1";
    observe(&mut world, 1, text);
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    for _ in 0..3 {
        world.ok(1, "UPDATE COLLECTION a (n COUNTER) APPLY n INCREMENT BY 1");
        let fresh = world.rows(1, text);
        assert_eq!(told(&world, 1).last(), Some(&fresh));
    }
    assert_eq!(told(&world, 1).len(), 3);
}

#[test]
fn an_answer_too_large_to_be_kept_is_evaluated_again() {
    let mut world = World::new(1);
    for id in 0..9 {
        world.ok(1, &format!("INSERT INTO a DOCUMENTS ({{'_id': {id}, 'x': repeat('x', 4000000)}})"));
    }
    observe(&mut world, 1, "SELECT x FROM a");
    observe(&mut world, 2, "SELECT byte_length(x) AS n FROM a");
    observe(&mut world, 3, "SELECT a.x FROM a JOIN a AS b ON a._id = b._id");
    let kept =
        |world: &World| world.nodes[1].engine.observers.values().map(|observer| observer.is_kept()).collect::<Vec<_>>();
    assert_eq!(kept(&world), [false, true, false]);
    world.ok(1, "UPDATE a SET y = 1");
    world.ok(1, "DELETE FROM a WHERE _id = 3");
    for id in [1, 2, 3] {
        assert_eq!(told(&world, id).iter().map(Vec::len).collect::<Vec<_>>(), [9, 8]);
    }
}
