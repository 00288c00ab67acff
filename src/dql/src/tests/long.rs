//! Statements as long as they may be are answered quickly, with rows or with an error.

#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::time::{Duration, Instant};

use value::limits::STATEMENT_BYTES_MAX;

use super::shared::exercise::run_once;

/// Generous: the tests' build is slow, and so are machines that do something else.
const TIME_MAX: Duration = Duration::from_secs(2);

/// Runs a text on a small stack, and returns how long it takes and whether it was run; of what takes too long, nobody waits for the end.
fn timed(text: String) -> (Duration, bool) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let started = Instant::now();
    let thread = std::thread::Builder::new().stack_size(1024 * 1024).spawn(move || {
        // Nobody waits if it took too long.
        let _ = sender.send(run_once(&text));
    });
    drop(thread.expect("a thread"));
    let ran = receiver.recv_timeout(TIME_MAX + Duration::from_secs(1)).unwrap_or(false);
    (started.elapsed(), ran)
}

#[test]
fn statements_as_long_as_they_may_be_are_answered_quickly() {
    let many = |piece: &str| piece.repeat((STATEMENT_BYTES_MAX - 100) / piece.len());
    let numbered = |count: usize, piece: &dyn Fn(usize) -> String| (0..count).map(piece).collect::<String>();
    let texts = [
        ("text", format!("SELECT '{}'", many("x"))),
        ("name", format!("SELECT `{}` FROM c", many("x"))),
        ("digits", format!("SELECT {}", many("9"))),
        ("fraction", format!("SELECT 0.{}", many("1"))),
        ("comment", format!("SELECT 1 -- {}", many("x"))),
        ("blanks", format!("SELECT 1{}", many(" "))),
        ("array", format!("SELECT [{}1]", many("1,"))),
        ("columns", format!("SELECT {}1 AS x FROM c", numbered(50_000, &|n| format!("a AS a{n},")))),
        ("numbers in IN", format!("SELECT * FROM c WHERE a IN ({}1)", many("1,"))),
        (
            "different numbers in IN",
            format!("SELECT * FROM c WHERE a IN ({}1)", numbered(100_000, &|n| format!("{n},"))),
        ),
        ("ids in IN", format!("SELECT * FROM c WHERE _id IN ({}'1')", numbered(80_000, &|n| format!("'{n}',")))),
        ("IDS", format!("SELECT * FROM c USE IDS ({}'1')", numbered(80_000, &|n| format!("'{n}',")))),
        ("NOT IN", format!("SELECT * FROM c WHERE a NOT IN ({}1)", numbered(100_000, &|n| format!("{n},")))),
        ("AND", format!("SELECT * FROM c WHERE a = 1{}", many(" AND a = 1"))),
        ("AND of ranges", format!("SELECT * FROM c WHERE a > 0{}", numbered(50_000, &|n| format!(" AND a > {n}")))),
        ("AND of !=", format!("SELECT * FROM c WHERE a != 0{}", numbered(50_000, &|n| format!(" AND a != {n}")))),
        ("AND of fields", format!("SELECT * FROM c WHERE a = 1{}", numbered(50_000, &|n| format!(" AND f{n} = 1")))),
        ("OR", format!("SELECT * FROM c WHERE a = 0{}", numbered(60_000, &|n| format!(" OR a = {n}")))),
        (
            "OR of ranges",
            format!("SELECT * FROM c WHERE a = 0{}", numbered(30_000, &|n| format!(" OR a BETWEEN {n} AND {n}"))),
        ),
        ("OR of fields", format!("SELECT * FROM c WHERE a = 1{}", numbered(50_000, &|n| format!(" OR f{n} = 1")))),
        ("OR of ids", format!("SELECT * FROM c WHERE _id = 'x'{}", numbered(50_000, &|n| format!(" OR _id = '{n}'")))),
        ("OR in AND", format!("SELECT * FROM c WHERE a = 1{}", many(" AND (a = 1 OR b = 2)"))),
        ("AND in OR", format!("SELECT * FROM c WHERE a = 1{}", many(" OR (a = 1 AND b = 2)"))),
        ("LIKE", format!("SELECT * FROM c WHERE title LIKE '{}'", many("%A"))),
        ("LIKE of blanks", format!("SELECT * FROM c WHERE title LIKE '{}'", many("_%"))),
        ("SIMILAR TO", format!("SELECT * FROM c WHERE title SIMILAR TO '{}'", many("(a|b)*"))),
        ("CASE", format!("SELECT CASE {}END FROM c", many("WHEN a THEN 1 "))),
        ("ORDER BY", format!("SELECT * FROM c ORDER BY a{}", many(",a"))),
        (
            "ORDER BY names of columns",
            format!(
                "SELECT {}1 AS x FROM c ORDER BY x{}",
                numbered(30_000, &|n| format!("a AS a{n},")),
                numbered(30_000, &|n| format!(",a{n}"))
            ),
        ),
        (
            "WITH that doubles",
            format!(
                "WITH t0 AS (SELECT 1 AS a){} SELECT a FROM t60",
                numbered(60, &|n| {
                    format!(",t{} AS (SELECT x.a FROM t{n} AS x WHERE x.a IN (SELECT y.a FROM t{n} AS y))", n + 1)
                })
            ),
        ),
        ("GROUP BY", format!("SELECT COUNT(*) FROM c GROUP BY a{}", many(",a"))),
        ("aggregates", format!("SELECT {}1 AS x FROM c", numbered(40_000, &|n| format!("SUM(a) AS a{n},")))),
        (
            "window functions",
            format!("SELECT {}1 AS x FROM c", numbered(20_000, &|n| format!("SUM(a) OVER () AS a{n},"))),
        ),
        ("sub-queries", format!("SELECT {}1 AS x FROM c", numbered(20_000, &|n| format!("(SELECT 1) AS a{n},")))),
        (
            "sub-queries over documents",
            format!(
                "SELECT {}1 AS x FROM c",
                numbered(15_000, &|n| format!("(SELECT a FROM d WHERE d.a = c.a LIMIT 1) AS a{n},"))
            ),
        ),
        ("UNION", format!("SELECT 1 AS a{}", " UNION SELECT 1 AS a".repeat(20_000))),
        ("UNION ALL", format!("SELECT a FROM c{}", " UNION ALL SELECT a FROM c".repeat(20_000))),
        ("UNION of many", format!("SELECT 0 AS a{}", numbered(20_000, &|n| format!(" UNION SELECT {n} AS a")))),
        ("EXCEPT", format!("SELECT a FROM c{}", " EXCEPT SELECT a FROM c".repeat(20_000))),
        ("INTERSECT", format!("SELECT a FROM c{}", " INTERSECT SELECT a FROM c".repeat(20_000))),
        (
            "WITH",
            format!(
                "WITH t0 AS (SELECT 1 AS a){} SELECT a FROM t0",
                numbered(20_000, &|n| format!(",t{} AS (SELECT 1 AS a)", n + 1))
            ),
        ),
        (
            "WITH, one after another",
            format!(
                "WITH t0 AS (SELECT 1 AS a){} SELECT a FROM t19000",
                numbered(19_000, &|n| format!(",t{} AS (SELECT a FROM t{n})", n + 1))
            ),
        ),
        (
            "joins",
            format!("SELECT 1 AS a FROM c{}", numbered(20_000, &|n| format!(" JOIN d AS d{n} ON d{n}._id = c.author"))),
        ),
        ("documents", format!("INSERT INTO c DOCUMENTS ({{}}){}", many(",({})"))),
        ("SET", format!("UPDATE c SET x = 1{}", numbered(60_000, &|n| format!(",a{n}=1")))),
        ("SET below", format!("UPDATE c SET x = 1{}", numbered(50_000, &|n| format!(",a.b.a{n}=1")))),
        ("UNSET", format!("UPDATE c UNSET x{}", numbered(80_000, &|n| format!(",a{n}")))),
        ("RETURNING", format!("DELETE FROM c RETURNING a{}", numbered(50_000, &|n| format!(",a AS a{n}")))),
    ];
    let mut slow = Vec::new();
    for (name, text) in texts {
        assert!(text.len() <= STATEMENT_BYTES_MAX, "{name}");
        let (taken, ran) = timed(text);
        println!("{name}: {taken:?}{}", if ran { "" } else { ", refused" });
        slow.extend((taken > TIME_MAX).then_some((name, taken)));
    }
    assert!(slow.is_empty(), "{slow:?}");
}
