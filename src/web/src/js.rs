//! What the other modules need of JavaScript that web-sys does not give, or gives only behind an unstable flag.
//!
//! Property access and method calls by name, promises that Rust resolves, and bytes. No state, no policy.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Function, Object, Promise, Reflect, Uint8Array};
use value::Failure;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// Returns a property, or `undefined`, also of what is not an object.
pub fn property(target: &JsValue, name: &str) -> JsValue {
    Reflect::get(target, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}

/// Returns a property of the global object: the window's, the worker's or Node's.
pub fn global(name: &str) -> JsValue {
    property(&js_sys::global(), name)
}

/// Returns `navigator.<name>`, or `undefined`.
pub fn navigator(name: &str) -> JsValue {
    property(&global("navigator"), name)
}

/// Sets a property of an object that this module made; that cannot fail.
pub fn set(target: &JsValue, name: &str, value: &JsValue) {
    let done = Reflect::set(target, &JsValue::from_str(name), value);
    debug_assert!(done.is_ok(), "a plain object takes properties");
}

/// Makes a plain object.
pub fn object(fields: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    fields.iter().for_each(|(name, value)| set(&object, name, value));
    object.into()
}

/// Calls a method by name.
pub fn call(target: &JsValue, method: &str, arguments: &[JsValue]) -> Result<JsValue, JsValue> {
    let function: Function = property(target, method).dyn_into()?;
    function.apply(target, &arguments.iter().collect::<Array>())
}

/// Calls a method that returns a promise, and waits for it.
pub async fn call_async(target: &JsValue, method: &str, arguments: &[JsValue]) -> Result<JsValue, JsValue> {
    let promise: Promise = call(target, method, arguments)?.dyn_into()?;
    JsFuture::from(promise).await
}

/// Waits for a value that may be a promise.
pub async fn settled(value: &JsValue) -> Result<JsValue, JsValue> {
    JsFuture::from(Promise::resolve(value)).await
}

/// Copies bytes out of JavaScript; a typed array or a buffer.
pub fn bytes_from(value: &JsValue) -> Vec<u8> {
    Uint8Array::new(value).to_vec()
}

/// Copies bytes into JavaScript.
pub fn bytes_to(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

/// Returns an error as JavaScript sees it: `{code, message}`.
pub fn failure(failure: &Failure) -> JsValue {
    object(&[("code", failure.code.as_str().into()), ("message", failure.message.as_str().into())])
}

/// Returns what an exception says: its name and message.
pub fn describe(exception: &JsValue) -> String {
    let name = property(exception, "name").as_string().unwrap_or_default();
    match property(exception, "message").as_string() {
        Some(message) => format!("{name}: {message}"),
        None => exception.as_string().unwrap_or(name),
    }
}

/// Writes a warning to the console.
pub fn warn(message: &str) {
    web_sys::console::warn_1(&JsValue::from_str(message));
}

/// A promise and the means to settle it. Settling twice is harmless.
#[derive(Clone)]
pub struct Deferred {
    promise: Promise,
    resolve: Function,
    reject: Function,
}

impl Deferred {
    /// Makes a pending promise.
    pub fn new() -> Deferred {
        let functions = Rc::new(RefCell::new(None));
        let slot = functions.clone();
        let promise = Promise::new(&mut move |resolve, reject| {
            slot.borrow_mut().replace((resolve, reject));
        });
        let (resolve, reject) = functions.take().expect("a promise runs its executor at once");
        Deferred { promise, resolve, reject }
    }

    /// Returns the promise.
    pub fn promise(&self) -> Promise {
        self.promise.clone()
    }

    /// Fulfils the promise.
    pub fn resolve(&self, value: &JsValue) {
        let called = self.resolve.call1(&JsValue::UNDEFINED, value);
        debug_assert!(called.is_ok(), "a promise's own functions do not throw");
    }

    /// Rejects the promise.
    pub fn reject(&self, reason: &JsValue) {
        let called = self.reject.call1(&JsValue::UNDEFINED, reason);
        debug_assert!(called.is_ok(), "a promise's own functions do not throw");
    }

    /// Waits until the promise is settled.
    pub async fn wait(&self) -> Result<JsValue, JsValue> {
        JsFuture::from(self.promise()).await
    }
}
