//! Reading and printing.

use value::ErrorCode;

use crate::{parse, print};

/// Statements of every kind, for the fixed point and as seeds of random texts.
pub const STATEMENTS: [&str; 57] = [
    "SELECT * FROM cars",
    "SELECT * FROM c WHERE a SIMILAR TO 'x(a|b)%' AND b NOT SIMILAR TO c || '[0-9]+' AND (a SIMILAR TO b) SIMILAR TO c",
    "SELECT regexp_like(a, '^x\\\\d+$', 'im'), cast(a AS integer), CAST(a || b AS String).x, position('x' IN a), TRIM(LEADING 'x' FROM a), trim(BOTH FROM a), trim('x' FROM a), trim(both), trim(leading, 'x') FROM c",
    "SELECT MEDIAN(a), MID(DISTINCT b), joinstr(a, ','), object_rename(o, 'a', 'b'), serialize_json(o), deserialize_json('[1e5]'), request_info() FROM c",
    "SELECT clock(), clock('%F', 'Europe/Berlin'), date_add(a, 1, 'month'), date_part(b, 'tz', '+02:00'), date_trunc(x, 'week', 'local'), tz_offset() FROM c",
    "SELECT date_range(a, b, 'day', 2), date_cast(a, 'YYYY-MM-DD hh:mm:ss.sss TZD', x), duration_cast('1h30m'), duration_format(n), date_diff(a, b, 'day') FROM c",
    "SELECT * FROM c WHERE any x in a satisfies x = 1 end AND NOT EVERY k:x WITHIN {'a': b} SATISFIES x.y IN (1, k) END OR ANY AND EVERY `any`:`a b` IN c.d SATISFIES `a b` END",
    "SELECT ARRAY x FOR x IN tags END, ARRAY [i, x] FOR i:x IN a || b WHEN x > 1 OR i = 0 END[0].c, ARRAY NOT x FOR x WITHIN a END, ARRAY -x FOR x IN a END FROM c",
    "SELECT OBJECT k:v FOR k:v IN o END, OBJECT upper(k) : ARRAY y FOR y IN x END FOR k : x IN o WHEN ANY z IN x SATISFIES z END END, ARRAY CASE WHEN x THEN ARRAY y FOR y IN x END ELSE [x] END FOR x IN a END FROM c",
    "SELECT array, object.x, array[0], array - 1, object NOT IN (1), any AND every, every = array FROM c WHERE every AND any ORDER BY array, object DESC",
    "SELECT ARRAY ANY y IN x SATISFIES y END FOR x IN a END AS array, ARRAY {'a': for} FOR for IN satisfies END AS object, any x FROM c",
    "select distinct color, year as y from cars c where c.color = 'red' and year > 2000 order by y desc, color limit 10 offset 5",
    "SELECT c.*, MISSING notes FROM cars c",
    "SELECT a.b[0]['c'], a[1 + 1].x, `a b`.`order` FROM `my cars`",
    "SELECT 1 + 2 * 3 - -4 % 5, (1 + 2) * 3, 1 - (2 - 3), 8 / (4 / 2), - (-1), -(-9223372036854775808), -a.b",
    "SELECT 0xff, 1.5, 1e10, .5, 1e300, 9223372036854775808, true, FALSE, null, missing AS m",
    "SELECT a || 'x' || \"it's\\n\\u00e9\\ud83d\\ude00\" FROM c",
    "SELECT * FROM c WHERE NOT (a OR b) AND NOT c XOR d OR e",
    "SELECT * FROM c WHERE (a XOR b) AND (c OR (d AND e))",
    "SELECT * FROM c WHERE a = (b = c) AND (a = b) = c AND (a IN (1)) = true",
    "SELECT * FROM c WHERE a BETWEEN 1 AND 2 AND b NOT BETWEEN x + 1 AND y",
    "SELECT * FROM c WHERE a IN (1, 2, :x) OR b NOT IN :list OR c IN [1, 2] OR (d IN (1)) IN (true)",
    "SELECT * FROM c WHERE a LIKE 'x%' ESCAPE '!' AND b NOT ILIKE '_y' AND (a LIKE b) LIKE c AND a = b LIKE c",
    "SELECT * FROM c WHERE a IS NULL AND b IS NOT NULL OR c IS MISSING AND d IS NOT MISSING AND (a IS NULL) IS NULL",
    "SELECT * FROM c WHERE a == 1 AND b <> 2 AND c != 3 AND d <= 4 AND e >= 5 AND a << 1 < b >> 2",
    "SELECT CASE WHEN a THEN 1 WHEN b THEN 2 ELSE 3 END, CASE x WHEN 1 THEN 'a' END FROM c",
    "SELECT {'a': 1, \"b\": [1, {'c': :p}], 'd':x}, [], {} FROM c",
    "SELECT (a = NOT b), (NOT a) = b, NOT NOT a, (NOT a) IS NULL FROM c",
    "SELECT {'a': {'b': 1}}.a.b, [1, 2][0], ('a' || 'b')[0], (1).x, :p.x[0] FROM c",
    "SELECT COUNT(*), COUNT(a), SUM(DISTINCT a + 1), AVG(a) AS m, MIN(a), MAX(a.b) FROM c GROUP BY x, y.z HAVING COUNT(*) > 1",
    "SELECT upper(lower(trim(a))), substr(a, 1, 2), coalesce(a, b, 1), nvl(a, b), character_length(a), object_size(o) FROM c",
    "SELECT type(a), json_type(b), ABS(c), Ceil(d) FROM c",
    "SELECT * FROM COLLECTION cars (n COUNTER, m MAP (x REGISTER, y.z PN_COUNTER), t TEXT, l LIST, w XML, f ATTACHMENT) AS k",
    "SELECT * FROM c USE IDS ('a', 1, true)",
    "SELECT * FROM c USE IDS 'a', 'b' WHERE x = 1",
    "SELECT * FROM c AS d USE IDS LIST :ids",
    "SELECT * FROM default:cars",
    "SELECT * FROM system:indexes WHERE _id = 'x'",
    "SELECT * FROM c -- a comment\nWHERE /* another */ a = 1;",
    "/*+ {\"#index\": \"x\"} */ SELECT * FROM c",
    "SELECT 1 AS one, 2 two ORDER BY one",
    "INSERT INTO cars DOCUMENTS ({'_id': '1', 'color': 'red'}), (:car)",
    "INSERT INTO cars VALUES (:cars) ON ID CONFLICT FAIL",
    "INSERT INTO COLLECTION cars (n COUNTER) INITIAL DOCUMENTS (:a) ON ID CONFLICT DO NOTHING",
    "INSERT INTO cars DOCUMENTS (:a) ON ID CONFLICT NOTHING",
    "INSERT INTO cars DOCUMENTS (:a) ON ID CONFLICT DO UPDATE",
    "INSERT INTO cars DOCUMENTS (:a) ON ID CONFLICT DO UPDATE_LOCAL_DIFF",
    "UPDATE cars SET color = 'blue', a.b['c d'] = a + 1 UNSET x, y.z WHERE _id = '1'",
    "UPDATE COLLECTION cars (n COUNTER) APPLY n INCREMENT BY 1, p PN_INCREMENT BY -1, r RESTART, s RESTART WITH 5 WHERE a",
    "UPDATE cars USE IDS ('1') APPLY n INCREMENT BY 1 APPLY m RESTART SET a = 1",
    "UPDATE COLLECTION c (t TEXT, l LIST) APPLY t SPLICE (:at, ABS(x), 'a' || b), l SPLICE (0, 1) WHERE t = 'x'",
    "UPDATE c APPLY splice SPLICE (1 OR 2, 0, [1, {'a': MISSING}]), n RESTART RETURNING *",
    "UPDATE cars SET a[''].b = 1, b['c'][''] = a['']",
    "DELETE FROM cars WHERE a = 1 LIMIT 5",
    "DELETE FROM cars USE IDS ('a', 'b')",
    "EVICT FROM cars WHERE belongs_to != :me LIMIT :n",
    "EXPLAIN SELECT * FROM cars WHERE _id IN ('1', '2') ORDER BY a",
];

#[test]
fn printing_what_was_parsed_is_a_fixed_point() {
    for text in STATEMENTS {
        let printed = print(&parse(text).unwrap_or_else(|error| panic!("{}", error.failure(text))));
        let again = parse(&printed).unwrap_or_else(|error| panic!("{text}\n{}", error.failure(&printed)));
        assert_eq!(print(&again), printed, "{text}");
        // The printed text means the same: the trees are equal but for their spans.
        let shape = |statement| without_spans(&format!("{statement:?}"));
        assert_eq!(shape(parse(text).expect("parsed")), shape(again), "{text}");
    }
}

fn without_spans(debug: &str) -> String {
    let mut text = String::new();
    let mut rest = debug;
    while let Some(at) = rest.find("Span {") {
        text.push_str(&rest[..at]);
        rest = &rest[at + rest[at..].find('}').expect("the end of a span") + 1..];
    }
    text + rest
}

#[test]
fn printed_statements_are_canonical() {
    let canonical = |text: &str| print(&parse(text).expect("valid"));
    assert_eq!(
        canonical("select  *\nfrom cars where((a==1))and b<>\"x\""),
        "SELECT * FROM cars WHERE a = 1 AND b != 'x'"
    );
    assert_eq!(canonical("SELECT * FROM `cars` c"), "SELECT * FROM cars AS c");
    assert_eq!(canonical("SELECT ((a + b) + c) - (d - e) FROM c"), "SELECT a + b + c - (d - e) FROM c");
    assert_eq!(canonical("SELECT * FROM c WHERE a IN (1,2)"), "SELECT * FROM c WHERE a IN [1, 2]");
}

#[test]
fn names_may_be_words_of_the_language_that_are_not_reserved() {
    for name in [
        "type",
        "value",
        "count",
        "list",
        "map",
        "values",
        "documents",
        "initial",
        "array",
        "object",
        "any",
        "date",
        "key",
    ] {
        let text = format!("SELECT {name}, a.{name} AS x FROM c WHERE {name} = 1 AND t.order = 2 ORDER BY {name}");
        let printed = print(&parse(&text).unwrap_or_else(|error| panic!("{}", error.failure(&text))));
        assert!(parse(&printed).is_ok(), "{printed}");
    }
}

fn failure(text: &str) -> String {
    parse(text).expect_err("invalid").failure(text).message
}

#[test]
fn an_error_shows_the_place_and_what_was_expected() {
    let message = failure("SELECT *\nFORM cars");
    assert!(message.starts_with("expected FROM, "), "{message}");
    assert!(
        message.contains("found FORM; did you mean FROM instead of FORM? at 2:1\n  FORM cars\n  ^^^^"),
        "{message}"
    );
    let message = failure("SELECT * FROM cars WHERE a = ");
    assert!(
        message.contains("expected an expression") || message.contains("an expression, found the end"),
        "{message}"
    );
    assert!(message.ends_with("\n  SELECT * FROM cars WHERE a = \n                               ^"), "{message}");
    let message = failure("SELECT uper(a) FROM c");
    assert!(message.starts_with("there is no function uper; did you mean upper? at 1:8"), "{message}");
    assert!(failure("SELECT a FORM cars").contains("did you mean FROM instead of FORM?"));
    assert!(failure("DELETE FRMO cars").contains("did you mean FROM instead of FRMO?"));
    assert!(failure("SELECT 'abc").starts_with("this string has no closing quote at 1:8"));
    assert!(failure("SELECT * FROM é ? x").contains("at 1:17"));
}

#[test]
fn a_failure_of_another_text_does_not_panic() {
    let error = parse("SELECT * FROM cars WHERE").expect_err("invalid");
    for text in ["", "é", "\n\n", "aé\né"] {
        assert!(error.failure(text).message.contains("\n  "));
    }
}

#[test]
fn parts_that_are_not_built_are_named() {
    let parts = [
        ("SELECT * FROM a FULL OUTER JOIN b ON true", "FULL JOIN"),
        ("SELECT * FROM a, b", "a join by comma; write JOIN … ON …"),
        ("SELECT 1 EXCEPT ALL SELECT 1", "EXCEPT ALL"),
        ("SYNC CONTEXT (PEERS WHERE true) SELECT * FROM a", "SYNC"),
        ("UPDATE a SET x[0] = 1", "assignment to an item of an array"),
    ];
    for (text, part) in parts {
        let error = parse(text).expect_err("not built");
        assert_eq!(error.code, ErrorCode::QueryUnsupported, "{text}: {error}");
        assert_eq!(error.message, format!("Unsupported feature: {part}"), "{text}");
        assert!(error.span.is_some());
    }
}

#[test]
fn a_statement_over_the_limit_is_refused() {
    let text = " ".repeat(value::limits::STATEMENT_BYTES_MAX + 1);
    assert_eq!(parse(&text).expect_err("too long").code, ErrorCode::ValidationSizeLimitExceeded);
}
