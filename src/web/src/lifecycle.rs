//! The life of the page: hidden, frozen, in the back-forward cache, and back.
//!
//! A page that is about to stop (`freeze`, or `pagehide` into the cache) lets go of what others wait for, and of what keeps
//! a page out of the cache: links, locks, its number among the co-writers, channels. What happens to it then waits.
//! When it comes back (`resume`, `pageshow`) it takes a number again, reads what the others wrote, and queues for the locks. A
//! page that is discarded is gone like one that crashed; the browser frees its locks.

use std::rc::Rc;

use gloo::events::EventListener;
use peer::io::Input;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use crate::driver::Driver;
use crate::{js, tabs};

impl Driver {
    /// Says whether nobody sees the page. A host without pages counts as seen.
    pub(crate) fn is_hidden(&self) -> bool {
        js::property(&js::global("document"), "hidden").is_truthy()
    }
}

/// Hears of the page's life from now on.
pub fn listen(driver: &Rc<Driver>) {
    let persisted = |event: &JsValue| js::property(event, "persisted").is_truthy();
    let seen = |driver: &Rc<Driver>, _: &JsValue| {
        if !driver.is_hidden() {
            driver.feed(Input::Online);
        }
    };
    on(driver, js_sys::global().into(), "online", seen);
    on(driver, js::global("document"), "visibilitychange", seen);
    on(driver, js::global("document"), "freeze", |driver, _| sleep(driver));
    on(driver, js::global("document"), "resume", |driver, _| wake(driver));
    on(driver, js_sys::global().into(), "pagehide", move |driver, event| {
        if persisted(event) {
            sleep(driver);
        }
    });
    on(driver, js_sys::global().into(), "pageshow", move |driver, event| {
        if persisted(event) {
            wake(driver);
        }
    });
}

fn on(driver: &Rc<Driver>, target: JsValue, event: &'static str, heard: impl Fn(&Rc<Driver>, &JsValue) + 'static) {
    if !js::property(&target, "addEventListener").is_function() {
        return;
    }
    let weak = Rc::downgrade(driver);
    let listener = EventListener::new(target.unchecked_ref(), event, move |event| {
        if let Some(driver) = weak.upgrade().filter(|driver| !driver.closed.get()) {
            heard(&driver, event);
        }
    });
    driver.host.borrow_mut().push(listener);
}

/// Lets go of everything that others may need; a store of this page alone has nothing of the kind but its links.
fn sleep(driver: &Rc<Driver>) {
    if driver.asleep.get() {
        return;
    }
    // First, so that what letting go tells the engine waits too: a question to IndexedDB that begins now would not end
    // before the page stops, and a browser evicts a cached page whose transaction others wait for.
    driver.asleep.set(true);
    tabs::sleep(driver);
}

fn wake(driver: &Rc<Driver>) {
    if !driver.asleep.get() || driver.tabs.waking.replace(true) {
        return;
    }
    let driver = driver.clone();
    spawn_local(async move {
        let seat = driver.tabs.sit_down_again().await;
        driver.tabs.waking.set(false);
        if driver.closed.get() {
            return;
        }
        let slot = seat.slot;
        tabs::seat(&driver, seat);
        driver.asleep.set(false);
        // No stamp may be made under the number that another tab has by now.
        driver.feed_first(Input::Seated { slot });
        driver.feed(Input::Online);
        tabs::start(&driver);
    });
}
