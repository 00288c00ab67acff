//! No text makes the room panic or run out of stack.

use value::{Object, Value};

use super::parsing::STATEMENTS;
use crate::{Around, Plan, parse, plan, print};

/// Reads, prints, plans and runs a text, and does not care what comes out.
fn exercise(text: &str) {
    let Ok(statement) = parse(text).map_err(|error| error.failure(text)) else { return };
    let printed = print(&statement);
    let again = parse(&printed).unwrap_or_else(|error| panic!("{text}\n{}", error.failure(&printed)));
    assert_eq!(print(&again), printed, "{text}");
    let argument = Value::Array(vec![Value::Int(i64::MIN), Value::from("é"), Value::Float(1e308), Value::Null]);
    let names = ["x", "p", "list", "ids", "car", "cars", "a", "me", "n"];
    let args: Object = names.into_iter().map(|name| (name.to_owned(), argument.clone())).collect();
    let document = super::object(
        r#"{"_id": "1", "a": -9223372036854775808, "b": "é\u0000x", "c": [1, [2]], "d": {"e": null}, "x": 1e308, "tags": [true]}"#,
    );
    let _ = crate::subscription(text, &args, &crate::Context::default())
        .map(|subscription| subscription.matches(&document));
    match plan(&statement, &args, &crate::Context::default()) {
        Ok(Plan::Select(query)) => {
            let Ok(_) = crate::Runner::new(&super::list::List::of(&[document, Object::new()])).query(&query);
        }
        Ok(Plan::Update(update)) => {
            let _ = update.operations(&document, Around::default());
        }
        Ok(Plan::Delete(delete) | Plan::Evict(delete)) => {
            let _ = delete.matches(&document, Around::default());
        }
        Ok(_) => {}
        Err(error) => {
            let _ = error.failure(text);
        }
    }
}

struct XorShift(u64);

impl XorShift {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn random_mutations_of_statements_never_panic() {
    // Method: bytes are replaced, removed and inserted, pieces of other statements are spliced in.
    let seed = std::env::var("DQL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed_0001_u64);
    mutate(seed);
}

#[test]
fn seed_23757_which_found_an_empty_name_printed_in_back_ticks() {
    mutate(23757);
    exercise("UPDATE cars SET a.b[''] = a + 1");
}

fn mutate(seed: u64) {
    println!("seed {seed}");
    let mut random = XorShift(seed);
    let alphabet = b"'\"`()[]{}:;,.*+-/%<>=!|0159aeExX_ \n\\\xc3\xa9\xff";
    for round in 0..40_000 {
        let mut bytes = STATEMENTS[round % STATEMENTS.len()].as_bytes().to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len().max(1)).min(bytes.len());
            match random.below(4) {
                0 if at < bytes.len() => bytes[at] = alphabet[random.below(alphabet.len())],
                1 if at < bytes.len() => {
                    let end = (at + 1 + random.below(6)).min(bytes.len());
                    bytes.drain(at..end);
                }
                2 => bytes.insert(at, alphabet[random.below(alphabet.len())]),
                _ => {
                    let other = STATEMENTS[random.below(STATEMENTS.len())].as_bytes();
                    let start = random.below(other.len());
                    let end = (start + 1 + random.below(20)).min(other.len());
                    bytes.splice(at..at, other[start..end].iter().copied());
                }
            }
        }
        exercise(&String::from_utf8_lossy(&bytes));
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
        ];
        for (open, close) in openings {
            for depth in [10, 90, 99, 100, 101, 5_000] {
                let text = format!("SELECT {}a{} FROM c", open.repeat(depth), close.repeat(depth));
                exercise(&text);
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
            exercise(&text);
        }
        exercise(&format!("SELECT a{} FROM c", ".b[0]".repeat(20_000)));
        exercise(&format!("SELECT {}a FROM c", "a IS NULL IS NULL ".repeat(20_000)));
    });
}

#[test]
fn telling_comprehensions_from_names_takes_linear_time() {
    on_a_small_stack(|| {
        for text in ["array - ", "array (", "ARRAY x + ", "OBJECT a:", "any ", "array [", "ARRAY ", "EVERY AND "] {
            exercise(&format!("SELECT {} FROM c", text.repeat(50_000)));
            exercise(&format!("SELECT * FROM c WHERE {}a", text.repeat(50_000)));
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
                    exercise(&format!("SELECT b SIMILAR TO '{closed}', regexp_like(b, '{closed}', 'imsx') FROM c"));
                    exercise(&format!("SELECT b SIMILAR TO '{closed}' || b, regexp_like(b, '{closed}' || b) FROM c"));
                }
            }
        }
        for json in ["[", "{\"a\":", "\"", "-", "1e", "[1,"] {
            exercise(&format!("SELECT deserialize_json('{}')", json.repeat(50_000)));
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
                exercise(&format!(
                    "SELECT date_add({moment}, {count}, '{part}') AS a, date_sub({moment}, {count}, '{part}') AS b, \
                     date_trunc({moment}, '{part}') AS c, date_diff({moment}, {count}, '{part}') AS d, \
                     date_range({moment}, {count}, '{part}', {count}) AS e, date_part({moment}, '{part}', '-23:59') AS f"
                ));
            }
        }
        for format in ["%F %T.%L %z", "YYYY-MM-DDThh:mm:ss.sssTZD", "%G %V %j %s %Q %é", "%", "%:", "é%"] {
            exercise(&format!("SELECT date_format({moment}, '{format}', 'local'), date_cast('{format}', '{format}')"));
            exercise(&format!("SELECT date_cast(cast({moment} AS string), '%Q'), duration_format({moment})"));
            exercise(&format!("SELECT date_cast(cast({moment} AS string), '%s', 'UTC'), duration_cast({moment})"));
        }
    }
}
