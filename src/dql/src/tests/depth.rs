//! No text makes the room panic or run out of stack.

use super::parsing::STATEMENTS;
use super::shared::exercise::{mutated, plan_and_run, statements};
use super::shared::random::{XorShift, seed};
use crate::{parse, print};

#[test]
fn random_mutations_of_statements_never_panic() {
    // Method: bytes are replaced, removed and inserted, pieces of other statements are spliced in.
    mutate(seed(0x5eed_0001));
}

#[test]
fn seed_23757_which_found_an_empty_name_printed_in_back_ticks() {
    plan_and_run("UPDATE cars SET a.b[''] = a + 1");
}

#[test]
fn an_intersection_alone_prints_as_it_is_read() {
    for text in [
        "SELECT 1 INTERSECT SELECT 2 ORDER BY a",
        "(SELECT 1 INTERSECT SELECT 2)",
        "SELECT 1 UNION (SELECT 2 INTERSECT SELECT 3)",
    ] {
        plan_and_run(text);
        assert_eq!(parse(text).map(|statement| print(&statement)).as_deref(), Ok(text));
    }
}

#[test]
fn seed_1040_which_found_an_operand_of_in_that_printed_as_a_list() {
    for text in ["SELECT 1 IN 1 .x", "SELECT 1 IN (SELECT 1).x[0] || [2]", "SELECT 1 IN +(a OR b)", "SELECT 1 IN -(1)"]
    {
        plan_and_run(text);
    }
}

fn mutate(seed: u64) {
    let mut random = XorShift(seed);
    let known: Vec<String> = STATEMENTS.iter().map(|text| (*text).to_owned()).chain(statements()).collect();
    for round in 0..60_000 {
        let statement = &known[round % known.len()];
        plan_and_run(&mutated(&mut random, statement, &known));
    }
}

/// Runs on a stack as small as that of a wasm module.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(1024 * 1024).spawn(run);
    thread.expect("a thread").join().expect("no overflow");
}

#[test]
fn nesting_is_bounded_and_fits_a_small_stack() {
    on_a_small_stack(|| {
        let openings = [
            ("(", ")"),
            ("[", "]"),
            ("{'a':", "}"),
            ("-", ""),
            ("+", ""),
            ("NOT ", ""),
            ("upper(", ")"),
            ("a[", "]"),
            ("CASE WHEN ", " THEN 1 END"),
            ("1 IN (", ")"),
            ("COUNT(", ")"),
            ("a OR b XOR c AND d = e || f + g * (", ")"),
            ("NOT a OR b AND c BETWEEN 1 AND - (", ")"),
            ("x LIKE y = z IN [", "]"),
            ("cast(", " AS string)"),
            ("position('a' IN ", ")"),
            ("trim(both 'a' FROM ", ")"),
            ("trim(", ")"),
            ("'a' SIMILAR TO (", ")"),
            ("regexp_like('a', ", ")"),
            ("date_format(1, ", ")"),
            ("ANY x IN ", " SATISFIES x END"),
            ("EVERY k:x WITHIN a SATISFIES ", " END"),
            ("ARRAY ", " FOR x IN a END"),
            ("ARRAY x FOR x IN a WHEN ", " END"),
            ("OBJECT 'a' : ", " FOR x IN c END"),
            ("ANY AND EVERY x IN a SATISFIES ", " END"),
            ("CASE a WHEN 1 THEN ", " END"),
            ("CASE WHEN a THEN b ELSE ", " END"),
            ("(SELECT ", " FROM c)"),
            ("(SELECT a FROM c WHERE ", ")"),
            ("EXISTS (SELECT ", ")"),
            ("a IN (SELECT ", ")"),
            ("(SELECT a FROM c JOIN d ON ", ")"),
            ("(SELECT a FROM c ORDER BY ", ")"),
            ("(SELECT a FROM c GROUP BY ", ")"),
            ("(SELECT a FROM c LIMIT ", ")"),
            ("(WITH t AS (SELECT a FROM c) SELECT ", " FROM t)"),
            ("SUM(a) OVER (PARTITION BY ", ")"),
            ("ROW_NUMBER() OVER (ORDER BY ", ")"),
            ("CAST(", " AS STRING)"),
            ("TRIM(BOTH 'x' FROM ", ")"),
            ("POSITION('x' IN ", ")"),
            ("date_add(", ", 1, 'day')"),
            ("(SELECT ARRAY (SELECT x FROM c) FOR x IN ", " END)"),
        ];
        for (open, close) in openings {
            for depth in [10, 90, 99, 100, 101, 5_000] {
                let text = format!("SELECT {}a{} FROM c", open.repeat(depth), close.repeat(depth));
                plan_and_run(&text);
                assert!(depth <= 101 || parse(&text).is_err(), "{open}");
            }
        }
        let queries = [
            ("(", "SELECT a FROM c", ")"),
            ("SELECT a FROM (", "SELECT a FROM c", ") c"),
            ("SELECT a FROM c JOIN (", "SELECT a FROM c", ") t ON t._id = c._id"),
            ("WITH t AS (", "SELECT a FROM c", ") SELECT a FROM t"),
            ("SELECT 1 UNION (", "SELECT a FROM c", ")"),
            ("(SELECT 1 INTERSECT ", "SELECT a FROM c", ")"),
            ("EXPLAIN ", "SELECT a FROM c", ""),
            ("PROFILE ", "SELECT a FROM c", ""),
            ("ADVISE ", "SELECT a FROM c", ""),
            ("INSERT INTO c (", "SELECT a FROM c", ")"),
        ];
        for (open, inner, close) in queries {
            for depth in [1, 5, 9, 12, 20, 99, 100, 101, 5_000, 60_000] {
                let text = [&open.repeat(depth), inner, &close.repeat(depth)].concat();
                plan_and_run(&text);
                assert!(depth <= 101 || parse(&text).is_err(), "{open}");
            }
        }
        let maps = format!("SELECT * FROM COLLECTION c ({} x TEXT {}", "a MAP (".repeat(5_000), ")".repeat(5_000));
        assert!(parse(&maps).is_err());
    });
}

#[test]
fn long_chains_are_flat() {
    on_a_small_stack(|| {
        for link in [" OR a = ", " AND ", " + ", " || ", " = ", " XOR "] {
            let text = format!("SELECT * FROM c WHERE a{}", format!("{link}1").repeat(20_000));
            assert!(parse(&text).is_ok(), "{link}");
            plan_and_run(&text);
        }
        plan_and_run(&format!("SELECT a{} FROM c", ".b[0]".repeat(20_000)));
        plan_and_run(&format!("SELECT {}a FROM c", "a IS NULL IS NULL ".repeat(20_000)));
    });
}

#[test]
fn telling_comprehensions_from_names_takes_linear_time() {
    on_a_small_stack(|| {
        for text in ["array - ", "array (", "ARRAY x + ", "OBJECT a:", "any ", "array [", "ARRAY ", "EVERY AND "] {
            plan_and_run(&format!("SELECT {} FROM c", text.repeat(50_000)));
            plan_and_run(&format!("SELECT * FROM c WHERE {}a", text.repeat(50_000)));
        }
    });
}

#[test]
fn patterns_and_json_of_any_text_are_harmless() {
    on_a_small_stack(|| {
        for pattern in ["(", "[", "{", "(?:", "a{9999999}", "[[:", "\\\\", "(a|", "[^", "x*", "é{2,", "(?i", "\\\\p{L}"]
        {
            for times in [1, 60, 5_000] {
                let pattern = pattern.repeat(times);
                for closed in [&pattern, &format!("{pattern}{}", ")".repeat(times))] {
                    plan_and_run(&format!("SELECT b SIMILAR TO '{closed}', regexp_like(b, '{closed}', 'imsx') FROM c"));
                    plan_and_run(&format!(
                        "SELECT b SIMILAR TO '{closed}' || b, regexp_like(b, '{closed}' || b) FROM c"
                    ));
                }
            }
        }
        for json in ["[", "{\"a\":", "\"", "-", "1e", "[1,"] {
            plan_and_run(&format!("SELECT deserialize_json('{}')", json.repeat(50_000)));
        }
    });
}

#[test]
fn dates_of_any_numbers_are_missing_and_no_panic() {
    let moments = [
        "9223372036854775807",
        "-9223372036854775808",
        "253402300799999",
        "-62167219200000",
        "'9999-12-31T23:59:59.999-23:59'",
        "'0000-01-01T00:00:00+23:59'",
        "1e18",
        "''",
        "'é'",
    ];
    for moment in moments {
        for part in ["year", "quarter", "month", "week", "day", "millisecond"] {
            for count in ["9223372036854775807", "-9223372036854775808", "1", "-1"] {
                plan_and_run(&format!(
                    "SELECT date_add({moment}, {count}, '{part}') AS a, date_sub({moment}, {count}, '{part}') AS b, \
                     date_trunc({moment}, '{part}') AS c, date_diff({moment}, {count}, '{part}') AS d, \
                     date_range({moment}, {count}, '{part}', {count}) AS e, date_part({moment}, '{part}', '-23:59') AS f"
                ));
            }
        }
        for format in ["%F %T.%L %z", "YYYY-MM-DDThh:mm:ss.sssTZD", "%G %V %j %s %Q %é", "%", "%:", "é%"] {
            plan_and_run(&format!(
                "SELECT date_format({moment}, '{format}', 'local'), date_cast('{format}', '{format}')"
            ));
            plan_and_run(&format!("SELECT date_cast(cast({moment} AS string), '%Q'), duration_format({moment})"));
            plan_and_run(&format!("SELECT date_cast(cast({moment} AS string), '%s', 'UTC'), duration_cast({moment})"));
        }
    }
}
