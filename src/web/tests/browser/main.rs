//! The skin in a real browser: IndexedDB as a device, and the engine over it.
//!
//! Every test uses a database of its own name, so that they do not see each other.
#![cfg(target_arch = "wasm32")]

mod device;
mod peer;
mod sealed;

use wasm_bindgen_test::wasm_bindgen_test_configure;

wasm_bindgen_test_configure!(run_in_browser);

/// Returns a name that was not used before in this browser.
fn fresh(what: &str) -> String {
    format!("{what}-{}-{}", js_sys::Date::now(), js_sys::Math::random())
}
