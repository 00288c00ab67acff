//! Rich fields that Yjs documents of the application are bound to.
//!
//! A binding asks what its document lacks, hands over what was typed, and is called back: with nothing when the field's
//! document was changed, with bytes when somebody said something about the field (awareness). What is said goes to the other
//! bindings of this page, to the other tabs of the store, and by the tab that holds the links to other peers; it is not kept.

use std::rc::Rc;

use js_sys::{Function, Promise};
use peer::io::{Field, FieldWrite, Input, Lacking, RichKind, WatchId};
use store::Durability;
use value::{ErrorCode, Failure, Value};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use crate::driver::{self, Driver, arguments};
use crate::exports::Peer;
use crate::js;

/// A bound field.
pub struct Bound {
    field: Field,
    topic: u64,
    callback: Function,
}

#[wasm_bindgen]
impl Peer {
    /// Binds a field, `{collection, id, path}` in CBOR; resolves to its number. `callback(bytes | undefined)`, see above.
    #[wasm_bindgen(js_name = watchField)]
    pub fn watch_field(&self, target: &[u8], callback: Function) -> Result<Promise, JsValue> {
        let mut target = arguments(target)?;
        let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned));
        let collection = text(target.remove("collection")).unwrap_or_default();
        let path = match target.remove("path") {
            Some(Value::Array(names)) => names.into_iter().map(|name| text(Some(name)).unwrap_or_default()).collect(),
            _ => Vec::new(),
        };
        let id = target.remove("id").unwrap_or(Value::Null);
        let field = Field::new(&collection, &id, path).map_err(|failure| js::failure(&failure))?;
        let number = self.driver.number();
        self.driver.feed(Input::WatchField { watch: WatchId(number), field: field.clone() });
        self.driver.fields.borrow_mut().insert(number, Bound { topic: field.topic(), field, callback });
        Ok(Promise::resolve(&JsValue::from_f64(number as f64)))
    }

    /// Ends a binding.
    #[wasm_bindgen(js_name = unwatchField)]
    pub fn unwatch_field(&self, number: f64) {
        self.driver.fields.borrow_mut().remove(&(number as u64));
        self.driver.feed(Input::UnwatchField { watch: WatchId(number as u64) });
    }

    /// Resolves to what a document with a state vector lacks, `{kind, life, update}`; `undefined` if there is no content.
    #[wasm_bindgen(js_name = readField)]
    pub fn read_field(&self, number: f64, known: &[u8]) -> Result<Promise, JsValue> {
        let (field, known) = (self.field(number)?, known.to_vec());
        Ok(self.driver.promise(|ticket| Input::ReadField { ticket, field, known }))
    }

    /// Takes in what was typed; resolves to `{kind, life, update}` of the field, without an update, when it is durable.
    #[wasm_bindgen(js_name = writeField)]
    pub fn write_field(
        &self,
        number: f64,
        kind: &str,
        life: Option<f64>,
        update: &[u8],
        durability: Option<String>,
    ) -> Result<Promise, JsValue> {
        let kind = match kind {
            "list" => RichKind::List,
            "xml" => RichKind::Xml,
            _ => RichKind::Text,
        };
        let (life, update) = (life.map(|life| life as u64), update.to_vec());
        let write = FieldWrite { field: self.field(number)?, kind, life, update };
        let durability = match durability.as_deref() {
            Some("memory") => Durability::Memory,
            Some("strict") => Durability::Strict,
            _ => Durability::Relaxed,
        };
        Ok(self.driver.write(|ticket| Input::WriteField { ticket, write, durability }))
    }

    /// Says something, at most 16 KiB, to whoever is bound to the same field.
    pub fn say(&self, number: f64, payload: &[u8]) {
        let topic = self.driver.fields.borrow().get(&(number as u64)).map(|bound| bound.topic);
        let Some(topic) = topic else { return };
        call(&self.driver, |other, bound| *other != number as u64 && bound.topic == topic, &js::bytes_to(payload));
        post(&self.driver, topic, payload, true);
        self.driver.feed(Input::Say { topic, payload: payload.to_vec() });
    }
}

impl Peer {
    fn field(&self, number: f64) -> Result<Field, JsValue> {
        let field = self.driver.fields.borrow().get(&(number as u64)).map(|bound| bound.field.clone());
        let ended = || {
            if self.driver.closed.get() {
                driver::closed()
            } else {
                Failure::new(ErrorCode::QueryExecution, "the binding has ended")
            }
        };
        field.ok_or_else(|| js::failure(&ended()))
    }
}

/// Tells a binding that the field's document was changed.
pub fn changed(driver: &Rc<Driver>, watch: WatchId) {
    call(driver, |number, _| *number == watch.0, &JsValue::UNDEFINED);
}

/// Tells bindings and other tabs what another peer said.
pub fn said(driver: &Rc<Driver>, topic: u64, payload: &[u8]) {
    call(driver, |_, bound| bound.topic == topic, &js::bytes_to(payload));
    post(driver, topic, payload, false);
}

/// Takes what another tab said, `{topic, payload, relay}`; `relay`: other peers have not heard it.
pub fn heard(driver: &Rc<Driver>, body: &JsValue) {
    let topic = js::property(body, "topic").as_string().and_then(|topic| u64::from_str_radix(&topic, 16).ok());
    let Some(topic) = topic else { return };
    let payload = js::property(body, "payload");
    call(driver, |_, bound| bound.topic == topic, &payload);
    if js::property(body, "relay").is_truthy() {
        // An engine without links says it to nobody.
        driver.feed(Input::Say { topic, payload: js::bytes_from(&payload) });
    }
}

fn post(driver: &Rc<Driver>, topic: u64, payload: &[u8], relay: bool) {
    let fields = [("topic", format!("{topic:x}").into()), ("payload", js::bytes_to(payload)), ("relay", relay.into())];
    driver.tabs.post("said", js::object(&fields));
}

fn call(driver: &Rc<Driver>, is_meant: impl Fn(&u64, &Bound) -> bool, argument: &JsValue) {
    let fields = driver.fields.borrow();
    for (_, bound) in fields.iter().filter(|(number, bound)| is_meant(number, bound)) {
        let (callback, argument) = (bound.callback.clone(), argument.clone());
        spawn_local(async move {
            if let Err(exception) = callback.call1(&JsValue::UNDEFINED, &argument) {
                js::warn(&format!("[shoal] a bound field threw: {}", js::describe(&exception)));
            }
        });
    }
}

/// Returns what a document lacks as JavaScript sees it.
pub fn lacking(lacking: Option<Lacking>) -> JsValue {
    let Some(Lacking { kind, life, update, reached: _ }) = lacking else { return JsValue::UNDEFINED };
    let kind = match kind {
        RichKind::List => "list",
        RichKind::Text => "text",
        RichKind::Xml => "xml",
    };
    js::object(&[("kind", kind.into()), ("life", (life as f64).into()), ("update", js::bytes_to(&update))])
}
