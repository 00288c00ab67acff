//! Time and randomness of the host, and the one timer that an engine needs.

use std::cell::RefCell;

use gloo::timers::callback::Timeout;
use js_sys::{Date, Uint8Array};
use value::Millis;
use wasm_bindgen::JsValue;

use crate::js::{self, Deferred};

/// Browsers fire a longer timer at once.
const DELAY_MS_MAX: u64 = 0x7fff_ffff;

/// Returns the host's time.
pub fn now() -> Millis {
    Millis(Date::now() as u64)
}

/// Returns random bytes of the host's cryptographic source.
pub fn random<const N: usize>() -> [u8; N] {
    let array = Uint8Array::new_with_length(N as u32);
    if js::call(&js::global("crypto"), "getRandomValues", &[array.clone().into()]).is_err() {
        // Every host that runs WebAssembly modules of this kind has the Web Crypto API; ids must not come from less.
        panic!("crypto.getRandomValues is missing");
    }
    let mut bytes = [0; N];
    array.copy_to(&mut bytes);
    bytes
}

/// Returns a random number.
pub fn random_u64() -> u64 {
    u64::from_be_bytes(random())
}

/// Returns random bytes in hexadecimal digits, two a byte.
pub fn random_hex<const N: usize>() -> String {
    random::<N>()
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

/// At most one timer; setting it again moves it.
#[derive(Default)]
pub struct Alarm {
    armed: RefCell<Option<(Millis, Timeout)>>,
}

impl Alarm {
    /// Rings at a time, or not at all; the same time again changes nothing.
    pub fn set(&self, deadline: Option<Millis>, ring: impl FnOnce() + 'static) {
        let mut armed = self.armed.borrow_mut();
        match deadline {
            None => *armed = None,
            Some(deadline) if armed.as_ref().is_some_and(|(present, _)| *present == deadline) => {}
            Some(deadline) => {
                let delay_ms = deadline.since(now()).min(DELAY_MS_MAX);
                *armed = Some((deadline, Timeout::new(delay_ms as u32, ring)));
            }
        }
    }

    /// Forgets a timer that has rung.
    pub fn rang(&self) {
        self.armed.take();
    }
}

/// Lets the host do what waits, for so many milliseconds at least.
pub async fn pause(ms: u32) {
    let done = Deferred::new();
    let woken = done.clone();
    Timeout::new(ms, move || woken.resolve(&JsValue::UNDEFINED)).forget();
    drop(done.wait().await);
}
