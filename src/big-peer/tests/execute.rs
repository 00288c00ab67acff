//! DQL over HTTP: the answers, and every kind of refusal.

use serde_json::{Value, json};

use crate::program::{Program, TOKEN, command};

fn with_server(test: impl FnOnce(&Program)) {
    let directory = tempfile::tempdir().expect("a directory");
    test(&Program::start(directory.path()));
}

fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

#[test]
fn a_document_goes_in_and_comes_out_with_its_types() {
    with_server(|server| {
        let document = json!({ "_id": "1", "int": 9_007_199_254_740_993_i64, "float": 1.0, "list": [1, null, true],
            "map": { "a": "é" }, "bytes": { "$binary": "AAEC/w==" } });
        let answer = server.execute("INSERT INTO a DOCUMENTS (:doc)", json!({ "doc": document }));
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = answer.json();
        assert_eq!(body["queryType"], "insert");
        assert_eq!(body["mutatedDocumentIds"], json!(["1"]));
        assert_eq!(
            (&body["error"], &body["warnings"], &body["totalWarningsCount"]),
            (&Value::Null, &json!([]), &json!(0))
        );
        let txn = body["transactionId"].as_u64().expect("a number");
        assert_eq!(answer.header("x-shoal-txn-id"), Some(txn.to_string().as_str()));
        let answer = server.execute("SELECT * FROM a WHERE _id = :id", json!({ "id": "1" }));
        let body = answer.json();
        assert_eq!((&body["queryType"], &body["items"]), (&json!("select"), &json!([document])));
        assert!(body["transactionId"].as_u64() >= Some(txn));
        assert!(answer.body.contains("\"float\":1.0"), "{}", answer.body);
    });
}

#[test]
fn update_and_delete_answer_with_the_ids_they_touched() {
    with_server(|server| {
        for id in ["1", "2", "3"] {
            server.execute("INSERT INTO a DOCUMENTS (:doc)", json!({ "doc": { "_id": id, "n": id.len() } }));
        }
        let body = server.execute("UPDATE a SET n = 7 WHERE _id != '2'", json!({})).json();
        assert_eq!((&body["queryType"], &body["mutatedDocumentIds"]), (&json!("update"), &json!(["1", "3"])));
        let body = server.execute("DELETE FROM a WHERE n = 7", json!({})).json();
        assert_eq!((&body["queryType"], &body["mutatedDocumentIds"]), (&json!("delete"), &json!(["1", "3"])));
        assert_eq!(server.rows("SELECT * FROM a"), [json!({ "_id": "2", "n": 1 })]);
    });
}

#[test]
fn statements_that_are_wrong_are_400_with_a_caret() {
    with_server(|server| {
        let answer = server.execute("SELEC * FROM a", json!({}));
        answer.expect_problem(400, "query/invalid");
        assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.contains('^')), "{}", answer.body);
        server.execute("SELECT * FROM a WHERE x = :missing", json!({})).expect_problem(400, "query/arguments-invalid");
        server
            .execute("INSERT INTO a DOCUMENTS (:d)", json!({ "d": { "_id": 1.5 } }))
            .expect_problem(400, "store/document-id");
    });
}

#[test]
fn a_taken_identifier_is_409() {
    with_server(|server| {
        let insert = || server.execute("INSERT INTO a DOCUMENTS (:doc)", json!({ "doc": { "_id": "1" } }));
        assert_eq!(insert().status, 200);
        insert().expect_problem(409, "store/identifier-conflict");
    });
}

#[test]
fn a_request_without_the_token_is_401() {
    with_server(|server| {
        let body = json!({ "statement": "SELECT * FROM a" }).to_string();
        let refused = [vec![], vec![("authorization", "Bearer wrong")], vec![("authorization", "Basic dGVzdA==")]];
        for headers in refused {
            let answer = server.connect().post(&body, &headers);
            answer.expect_problem(401, "authentication/failed-to-authenticate");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert!(!answer.body.contains(TOKEN));
        }
    });
}

#[test]
fn bodies_that_are_not_the_contract_are_refused() {
    with_server(|server| {
        let mut connection = server.connect();
        let bearer = bearer();
        let token = [("authorization", bearer.as_str())];
        for body in ["", "{", "[]", "{}", r#"{"statement":1}"#, r#"{"statement":"SELECT 1","arguments":{}}"#] {
            connection.post(body, &token).expect_problem(400, "validation/invalid-json");
        }
        let big = r#"{"statement":"SELECT * FROM a","args":{"n":9223372036854775808}}"#;
        connection.post(big, &token).expect_problem(400, "validation/invalid-json");
        let list = r#"{"statement":"SELECT * FROM a","args":[]}"#;
        connection.post(list, &token).expect_problem(400, "validation/not-an-object");
        let deep = format!(r#"{{"statement":"SELECT * FROM a","args":{{"a":{}1{}}}}}"#, "[".repeat(70), "]".repeat(70));
        connection.post(&deep, &token).expect_problem(400, "validation/depth-limit-exceeded");
        let cbor = [("authorization", bearer.as_str()), ("content-type", "application/cbor")];
        let answer = connection.request("POST", "/api/v4/store/execute", &cbor, "\u{1}");
        answer.expect_problem(415, "unsupported");
        let long = json!({ "statement": " ".repeat(2 << 20) }).to_string();
        server.connect().post(&long, &token).expect_problem(413, "validation/size-limit-exceeded");
    });
}

#[test]
fn a_body_over_the_limit_is_413() {
    with_server(|server| {
        let bearer = bearer();
        let headers = [("authorization", bearer.as_str()), ("content-length", "999999999")];
        // The length alone is enough; the body is never sent.
        let text = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
        let mut stream = std::net::TcpStream::connect(server.address).expect("it listens");
        std::io::Write::write_all(
            &mut stream,
            format!("POST /api/v5/store/execute HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{text}\r\n")
                .as_bytes(),
        )
        .expect("sent");
        let mut start = [0; 12];
        std::io::Read::read_exact(&mut stream, &mut start).expect("an answer");
        assert_eq!(&start, b"HTTP/1.1 413");
    });
}

#[test]
fn a_transaction_that_is_not_there_is_503_after_two_seconds() {
    with_server(|server| {
        let bearer = bearer();
        let body = json!({ "statement": "SELECT * FROM a" }).to_string();
        let txn = server.execute("INSERT INTO a DOCUMENTS (:d)", json!({ "d": { "_id": "1" } })).json();
        let txn = txn["transactionId"].as_u64().expect("a number");
        for name in ["x-ditto-txn-id", "x-shoal-txn-id"] {
            let seen = server.connect().post(&body, &[("authorization", &bearer), (name, &txn.to_string())]);
            assert_eq!(seen.status, 200);
        }
        let future = (txn + 1_000_000).to_string();
        let answer = server.connect().post(&body, &[("authorization", &bearer), ("x-ditto-txn-id", &future)]);
        answer.expect_problem(503, "sync/unreachable");
        assert!(answer.header("retry-after").is_some());
        let answer = server.connect().post(&body, &[("authorization", &bearer), ("x-ditto-txn-id", "soon")]);
        answer.expect_problem(400, "validation/invalid-json");
    });
}

#[test]
fn databases_are_apart_and_unknown_ones_are_404() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Program::spawn(command(directory.path()).args(["--database", "a", "--database", "b/ü"]));
    let bearer = bearer();
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let run = |db: &str, statement: &str| {
        let body = json!({ "statement": statement }).to_string();
        server.connect().request("POST", &format!("/api/v5/store/execute{db}"), &headers, &body)
    };
    assert_eq!(run("?db=a", "INSERT INTO c DOCUMENTS ({'_id': 'x'})").status, 200);
    assert_eq!(run("?db=a", "SELECT * FROM c").json()["items"], json!([{ "_id": "x" }]));
    assert_eq!(run("?db=b%2F%C3%BC", "SELECT * FROM c").json()["items"], json!([]));
    run("?db=c", "SELECT * FROM c").expect_problem(404, "sync/database");
    run("", "SELECT * FROM c").expect_problem(400, "sync/database");
}

#[test]
fn unknown_paths_and_methods_are_problems_too() {
    with_server(|server| {
        server.get("/nothing").expect_problem(404, "io/not-found");
        server.get("/api/v5/store/execute").expect_problem(405, "unsupported");
        server.get("/sync").expect_problem(426, "sync/protocol");
    });
}

#[test]
fn a_web_page_of_another_origin_may_call() {
    let directory = tempfile::tempdir().expect("a directory");
    let preliminary = [
        ("origin", "http://127.0.0.1:8090"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    let server = Program::start(directory.path());
    let answer = server.connect().request("OPTIONS", "/api/v5/store/execute", &preliminary, "");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some("http://127.0.0.1:8090")));
    assert!(answer.header("access-control-allow-headers").is_some_and(|list| list.contains("authorization")));
    drop(server);
    let server = Program::spawn(command(directory.path()).args(["--allow-origin", "http://other.example"]));
    let answer = server.connect().request("OPTIONS", "/api/v5/store/execute", &preliminary, "");
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn metrics_count_what_happened() {
    with_server(|server| {
        server.execute("INSERT INTO a DOCUMENTS (:d)", json!({ "d": { "_id": "1" } }));
        server.execute("SELEC", json!({}));
        let answer = server.get("/metrics");
        assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/openmetrics-text")));
        for line in [
            "shoal_statements_total{result=\"ok\"} 1",
            "shoal_statements_total{result=\"query/invalid\"} 1",
            "shoal_log_records_total 1",
            "shoal_links 0",
            "shoal_fdatasync_seconds_count 1",
        ] {
            assert!(answer.body.lines().any(|found| found == line), "{line} in {}", answer.body);
        }
    });
}
