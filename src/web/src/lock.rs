//! Web Locks: held by a value, released when it is dropped, and by the browser when the tab dies.
//!
//! Names are `shoal:<store>:<what>`. Hosts without the API (insecure pages, Node 20) have no locks: `available` says so.

use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use crate::js::{self, Deferred};

/// A lock that is held.
pub struct Lock {
    release: Deferred,
    ended: Deferred,
}

impl Lock {
    /// Returns what is fulfilled when the lock is no longer held: with `true` when another tab stole it.
    pub fn ended(&self) -> Deferred {
        self.ended.clone()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.release.resolve(&JsValue::UNDEFINED);
    }
}

/// What to do when another tab holds the lock.
pub enum Patience {
    /// Answer `None`.
    None,
    /// Take it away from whoever holds it, and from all who wait.
    Steal,
    /// Wait, as long as it takes.
    Unlimited,
    /// Wait until an `AbortSignal` says otherwise.
    Until(JsValue),
}

/// Says whether the host has locks.
pub fn available() -> bool {
    js::property(&js::navigator("locks"), "request").is_function()
}

/// Takes a lock; `None` when it is taken and the caller has no patience, or the host refuses.
pub async fn acquire(name: &str, patience: Patience) -> Option<Lock> {
    let (answered, release, ended) = (Deferred::new(), Deferred::new(), Deferred::new());
    let (granted, held) = (answered.clone(), release.clone());
    let callback = Closure::once_into_js(move |lock: JsValue| -> JsValue {
        granted.resolve(&JsValue::from_bool(!lock.is_null()));
        if lock.is_null() { JsValue::UNDEFINED } else { held.promise().into() }
    });
    let options = match patience {
        Patience::None => js::object(&[("ifAvailable", true.into())]),
        Patience::Steal => js::object(&[("steal", true.into())]),
        Patience::Unlimited => js::object(&[]),
        Patience::Until(signal) => js::object(&[("signal", signal)]),
    };
    let arguments = [JsValue::from_str(name), options, callback];
    let (refused, over) = (answered.clone(), ended.clone());
    spawn_local(async move {
        // A lock that was granted and then stolen ends with an AbortError, as does one that was given up waiting for.
        let stolen = js::call_async(&js::navigator("locks"), "request", &arguments).await.is_err();
        refused.resolve(&JsValue::FALSE);
        over.resolve(&stolen.into());
    });
    let granted = answered.wait().await.is_ok_and(|granted| granted.is_truthy());
    granted.then_some(Lock { release, ended })
}

/// Counts the locks that are held under names with a prefix; `None` when the host does not tell.
pub async fn count_held(prefix: &str) -> Option<usize> {
    let snapshot = js::call_async(&js::navigator("locks"), "query", &[]).await.ok()?;
    let held = js_sys::Array::from(&js::property(&snapshot, "held"));
    let name = |lock: &JsValue| js::property(lock, "name").as_string().unwrap_or_default();
    Some(held.iter().filter(|lock| name(lock).starts_with(prefix)).count())
}

/// Takes the first free lock of a numbered family.
pub async fn acquire_slot(prefix: &str, count: u8) -> Option<(u8, Lock)> {
    for slot in 0..count {
        if let Some(lock) = acquire(&format!("{prefix}{slot}"), Patience::None).await {
            return Some((slot, lock));
        }
    }
    None
}
