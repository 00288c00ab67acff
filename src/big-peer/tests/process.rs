//! The program as an operator sees it: kills, signals, locks, damage and the help page; and a link from outside.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tungstenite::{Message, WebSocket};

use crate::program::{Connection, Program, TOKEN, command};

fn run(command: &mut Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("the program starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Writes from several connections until the server goes away; returns the ids that were acknowledged.
fn write_until_killed(server: &mut Program, prefix: &str, limit: Duration) -> Vec<String> {
    let address = server.address;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let stop = &stop;
                scope.spawn(move || {
                    let mut connection = Connection::open(address);
                    let mut acknowledged = Vec::new();
                    let bearer = format!("Bearer {TOKEN}");
                    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
                    for count in 0.. {
                        let id = format!("{prefix}-{writer}-{count}");
                        let body =
                            json!({ "statement": "INSERT INTO a DOCUMENTS (:d)", "args": { "d": { "_id": id } } });
                        let path = "/api/v5/store/execute";
                        match connection.try_request("POST", path, &headers, &body.to_string()) {
                            Ok(answer) if answer.status == 200 => acknowledged.push(id),
                            Ok(answer) => panic!("{answer:?}"),
                            Err(_) => break,
                        }
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                    acknowledged
                })
            })
            .collect();
        std::thread::sleep(limit);
        server.kill();
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect()
    })
}

#[test]
fn everything_acknowledged_survives_sigkill_under_load() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        let mut server = Program::start(directory.path());
        let limit = Duration::from_millis(300 + 150 * round);
        acknowledged.extend(write_until_killed(&mut server, &format!("r{round}"), limit));
        if round == 1 {
            // The view is only a view.
            fs::remove_dir_all(directory.path().join("databases/shoal/view")).expect("there");
        }
    }
    let server = Program::start(directory.path());
    let mut found: Vec<String> =
        server.rows("SELECT _id FROM a").iter().map(|row| row["_id"].as_str().expect("text").to_owned()).collect();
    found.sort();
    let missing: Vec<_> = acknowledged.iter().filter(|id| found.binary_search(id).is_err()).collect();
    assert!(missing.is_empty(), "{} of {} missing: {missing:?}", missing.len(), acknowledged.len());
    assert!(acknowledged.len() > 50, "only {} writes", acknowledged.len());
}

#[test]
fn a_second_process_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut first = Program::start(directory.path());
    let output = run(&mut command(directory.path()));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("store/persistence-directory-locked"), "{}", stderr(&output));
    first.kill();
    drop(Program::start(directory.path()));
}

#[test]
fn sigterm_stops_it_cleanly_with_links_open() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = Program::start(directory.path());
    assert_eq!(server.execute("INSERT INTO a DOCUMENTS (:d)", json!({ "d": { "_id": "1" } })).status, 200);
    let mut idle = server.connect();
    assert_eq!(idle.request("GET", "/readyz", &[], "").status, 200);
    let mut link = open_link(&server);
    let start = Instant::now();
    server.terminate();
    let close = loop {
        match link.read() {
            Ok(Message::Close(frame)) => break frame,
            Ok(_) => {}
            Err(error) => panic!("closed without a reason: {error}"),
        }
    };
    // A link that has not shaken hands yet may be closed by the engine or by the stop.
    assert!(close.is_some());
    assert!(server.wait(Duration::from_secs(8)).success());
    assert!(start.elapsed() < Duration::from_secs(8));
    let server = Program::start(directory.path());
    assert_eq!(server.rows("SELECT * FROM a"), [json!({ "_id": "1" })]);
}

#[test]
fn probes_answer() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Program::start(directory.path());
    assert_eq!(server.get("/livez").status, 200);
    assert_eq!(server.get("/readyz").status, 200);
}

#[test]
fn nonsense_on_a_link_closes_it_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Program::start(directory.path());
    for message in [Message::binary(vec![0xff; 100]), Message::binary(Vec::new()), Message::text("hello")] {
        let mut link = open_link(&server);
        link.send(message).expect("sent");
        while let Ok(message) = link.read() {
            if message.is_close() {
                break;
            }
        }
    }
    // Over the limit of a message.
    let mut link = open_link(&server);
    drop(link.send(Message::binary(vec![0; 100 * 1024])));
    while link.read().is_ok() {}
    assert_eq!(server.get("/livez").status, 200);
    assert_eq!(server.execute("SELECT * FROM a", json!({})).status, 200);
}

#[test]
fn no_more_links_than_allowed() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Program::spawn(command(directory.path()).args(["--links-max", "2"]));
    let _links = [open_link(&server), open_link(&server)];
    let headers = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    server.connect().request("GET", "/sync?db=shoal", &headers, "").expect_problem(503, "sync/busy");
}

#[test]
fn a_damaged_log_stops_the_start_until_it_is_salvaged() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = Program::start(directory.path());
    for id in ["1", "2", "3"] {
        server.execute("INSERT INTO a DOCUMENTS (:d)", json!({ "d": { "_id": id } }));
    }
    server.kill();
    let log = directory.path().join("databases/shoal/log");
    let segment = fs::read_dir(&log).expect("a directory").next().expect("a segment").expect("an entry").path();
    let mut bytes = fs::read(&segment).expect("readable");
    bytes[60] ^= 1;
    fs::write(&segment, &bytes).expect("writable");
    let output = run(&mut command(directory.path()));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("offset 29") && stderr(&output).contains("--salvage"), "{}", stderr(&output));
    let identity = || fs::read(directory.path().join("databases/shoal/identity.json")).expect("readable");
    let before = identity();
    let server = Program::spawn(command(directory.path()).arg("--salvage"));
    assert_eq!(server.rows("SELECT * FROM a"), [json!({ "_id": "2" }), json!({ "_id": "3" })]);
    assert_ne!(identity(), before, "cursors of peers are void");
}

#[test]
fn the_environment_and_the_help_page_work_and_secrets_stay_secret() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut help = command(directory.path());
    let output = run(help.arg("--help").env("SHOAL_DEV_TOKEN", "hush").env("SHOAL_LINKS_MAX", "7"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("--data <DIR>") && text.contains("SHOAL_LINKS_MAX"), "{text}");
    assert!(!text.contains("hush"), "{text}");
    let mut plain = Command::new(env!("CARGO_BIN_EXE_shoal-big-peer"));
    plain.env("SHOAL_DEV", "true").env("SHOAL_LISTEN", "127.0.0.1:0").env("SHOAL_DATA", directory.path());
    let server = Program::spawn(plain.env("SHOAL_LOG_LEVEL", "warn").stdout(Stdio::piped()));
    let token = fs::read_to_string(directory.path().join("dev-token")).expect("made at the start");
    let body = json!({ "statement": "SELECT * FROM a" }).to_string();
    assert_eq!(server.connect().post(&body, &[("authorization", &format!("Bearer {token}"))]).status, 200);
}

fn open_link(server: &Program) -> WebSocket<std::net::TcpStream> {
    let stream = std::net::TcpStream::connect(server.address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
    let url = format!("ws://{}/sync?db=shoal", server.address);
    tungstenite::client(url, stream).expect("an upgrade").0
}
