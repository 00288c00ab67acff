//! Attachments over HTTP: what goes in comes out, also after SIGKILL; what is wrong is refused.

use serde_json::json;

use crate::program::{Answer, Program, TOKEN};

fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

/// Text that does not repeat from chunk to chunk.
fn text(len: usize) -> String {
    (0..len).map(|n| char::from(b'a' + ((n * 7 + n / 1009) % 26) as u8)).collect()
}

fn upload(server: &Program, body: &str, headers: &[(&str, &str)]) -> Answer {
    let bearer = bearer();
    let headers = [&[("authorization", bearer.as_str())], headers].concat();
    server.connect().request("POST", "/api/v4/attachments/upload", &headers, body)
}

fn download(server: &Program, id: &str, headers: &[(&str, &str)]) -> Answer {
    let bearer = bearer();
    let headers = [&[("authorization", bearer.as_str())], headers].concat();
    server.connect().request("GET", &format!("/api/v4/attachments/{id}"), &headers, "")
}

#[test]
fn what_is_uploaded_comes_back_whole_and_in_ranges_also_after_a_kill() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = Program::start(directory.path());
    let content = text(700_000);
    let answer = upload(&server, &content, &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let (id, len) = (answer.json()["id"].as_str().expect("text").to_owned(), answer.json()["len"].clone());
    assert_eq!((id.len(), len), (64, json!(700_000)));
    assert_eq!(upload(&server, &content, &[]).json()["id"], json!(id), "one content, one id");
    let token = json!({ "id": id, "len": 700_000, "metadata": {} });
    server.execute("INSERT INTO a DOCUMENTS (:d)", json!({ "d": { "_id": "1", "f": token } }));
    server.kill();
    let server = Program::start(directory.path());
    let answer = download(&server, &id, &[]);
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("700000")));
    assert!(answer.body == content);
    let answer = download(&server, &id, &[("range", "bytes=262140-524300")]);
    assert_eq!((answer.status, answer.header("content-range")), (206, Some("bytes 262140-524300/700000")));
    assert!(answer.body == content[262_140..=524_300]);
    let answer = download(&server, &id, &[("range", "bytes=700000-")]);
    assert_eq!((answer.status, answer.header("content-range")), (416, Some("bytes */700000")));
}

#[test]
fn a_form_is_taken_as_the_original_sends_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Program::start(directory.path());
    let content = text(300_000);
    let part = |name: &str, content: &str| {
        format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\r\n{content}\r\n")
    };
    let form = ("content-type", "multipart/form-data; boundary=b");
    let body = format!("{}{}--b--\r\n", part("other", "x"), part("file", &content));
    let answer = upload(&server, &body, &[form]);
    assert_eq!(answer.json()["id"], upload(&server, &content, &[]).json()["id"], "{answer:?}");
    let body = format!("{}--b--\r\n", part("other", "x"));
    upload(&server, &body, &[form]).expect_problem(400, "query/arguments-invalid");
}

#[test]
fn an_empty_attachment_and_one_over_the_limit_of_statements_are_taken() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Program::start(directory.path());
    for len in [0, 33 * 1024 * 1024] {
        let content = text(len);
        let answer = upload(&server, &content, &[]);
        assert_eq!(answer.json()["len"], json!(len), "{}", answer.status);
        let id = answer.json()["id"].as_str().expect("text").to_owned();
        assert!(download(&server, &id, &[]).body == content);
    }
}

#[test]
fn who_has_no_token_or_a_wrong_id_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Program::start(directory.path());
    let id = "0".repeat(64);
    let path = format!("/api/v4/attachments/{id}");
    server.get(&path).expect_problem(401, "authentication/failed-to-authenticate");
    let answer = server.connect().request("POST", "/api/v4/attachments/upload", &[], "x");
    answer.expect_problem(401, "authentication/failed-to-authenticate");
    download(&server, &id, &[]).expect_problem(404, "store/attachment-not-found");
    download(&server, "xyz", &[]).expect_problem(400, "store/attachment-token-invalid");
}
