//! The engine over IndexedDB, through the class that JavaScript uses.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Function, Promise, Reflect, Uint8Array};
use value::{Value, cbor};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;
use web::Peer;

use crate::fresh;

const NO_ARGUMENTS: &[u8] = &[0xa0];

async fn open(directory: &str, database: &str) -> Result<Peer, JsValue> {
    let options = js_sys::Object::new();
    let fields = [("database", database), ("directory", directory), ("deviceName", "test"), ("version", "0")];
    for (name, text) in fields {
        Reflect::set(&options, &name.into(), &text.into()).expect("a plain object takes properties");
    }
    Peer::open(options.into(), Function::new_no_args("")).await
}

async fn run(peer: &Peer, text: &str) -> Result<JsValue, JsValue> {
    JsFuture::from(peer.execute(None, text.to_owned(), NO_ARGUMENTS, None)?).await
}

fn rows(answer: &JsValue) -> Vec<Value> {
    let field = |name: &str| Reflect::get(answer, &name.into()).expect("an answer has this field");
    let bytes = Uint8Array::new(&field("bytes")).to_vec();
    let ends = js_sys::Uint32Array::new(&field("ends")).to_vec();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let row = |(start, end): (u32, &u32)| {
        cbor::decode(&bytes[start as usize..*end as usize], 1 << 20).expect("rows are CBOR")
    };
    starts.zip(&ends).map(row).collect()
}

async fn close(peer: Peer) {
    JsFuture::from(peer.close()).await.expect("closing does not fail");
}

async fn pause(ms: i32) {
    let promise = Promise::new(&mut |resolve, _| {
        let window = web_sys::window().expect("the tests run in a page");
        window.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, ms).expect("a page has timers");
    });
    JsFuture::from(promise).await.expect("a timer does not fail");
}

#[wasm_bindgen_test]
async fn documents_are_there_after_reopening() {
    let name = fresh("peer");
    let peer = open(&name, "db").await.expect("opens");
    run(&peer, "INSERT INTO a VALUES ({'_id': '1', 'x': 7})").await.expect("inserts");
    assert_eq!(rows(&run(&peer, "SELECT * FROM a").await.expect("selects")).len(), 1);
    close(peer).await;
    let peer = open(&name, "db").await.expect("opens again");
    let expected = Value::from([("_id", Value::from("1")), ("x", Value::Int(7))]);
    assert_eq!(rows(&run(&peer, "SELECT * FROM a").await.expect("selects")), vec![expected]);
    close(peer).await;
}

#[wasm_bindgen_test]
async fn a_directory_of_another_database_is_refused() {
    let name = fresh("other");
    close(open(&name, "db").await.expect("opens")).await;
    let refused = open(&name, "another").await.err().expect("is refused");
    let code = Reflect::get(&refused, &"code".into()).expect("failures have codes");
    assert_eq!(code.as_string().as_deref(), Some("validation/invalid-ditto-config"));
}

#[wasm_bindgen_test]
async fn a_write_of_one_tab_reaches_the_observer_of_another() {
    let name = fresh("tabs");
    let (one, two) = (open(&name, "db").await.expect("opens"), open(&name, "db").await.expect("opens"));
    let heard = Rc::new(RefCell::new(Vec::new()));
    let sink = heard.clone();
    let callback =
        Closure::<dyn FnMut(JsValue)>::new(move |answer: JsValue| sink.borrow_mut().push(rows(&answer).len()));
    let function: Function = callback.as_ref().clone().unchecked_into();
    let observer = two.observe("SELECT * FROM a".to_owned(), NO_ARGUMENTS, function).expect("is a SELECT");
    while heard.borrow().is_empty() {
        pause(5).await;
    }
    two.observer_ready(observer);
    run(&one, "INSERT INTO a VALUES ({'_id': '1'})").await.expect("inserts");
    while heard.borrow().last() != Some(&1) {
        pause(5).await;
    }
    assert!(run(&two, "INSERT INTO a VALUES ({'_id': '1'})").await.is_err(), "the other tab's document is in the way");
    close(one).await;
    close(two).await;
}

#[wasm_bindgen_test]
async fn a_wrong_statement_is_refused_with_its_code() {
    let peer = open(&fresh("wrong"), "db").await.expect("opens");
    let refused = run(&peer, "SELEKT 1").await.expect_err("is refused");
    let code = Reflect::get(&refused, &"code".into()).expect("failures have codes");
    assert_eq!(code.as_string().as_deref(), Some("query/invalid"));
    assert!(peer.observe("DELETE FROM a".to_owned(), NO_ARGUMENTS, Function::new_no_args("")).is_err());
    close(peer).await;
}
