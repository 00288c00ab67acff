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

fn mutate(seed: u64) {
    let mut random = XorShift(seed);
    let known: Vec<String> = STATEMENTS.iter().map(|text| (*text).to_owned()).chain(statements()).collect();
    for round in 0..20_000 {
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
            ("ANY x IN ", " SATISFIES x END"),
            ("EVERY k:x WITHIN a SATISFIES ", " END"),
            ("ARRAY ", " FOR x IN a END"),
            ("ARRAY x FOR x IN a WHEN ", " END"),
            ("OBJECT 'a' : ", " FOR x IN c END"),
        ];
        for (open, close) in openings {
            for depth in [10, 90, 99, 100, 101, 5_000] {
                let text = format!("SELECT {}a{} FROM c", open.repeat(depth), close.repeat(depth));
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
