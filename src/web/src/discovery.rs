//! Finding peers of the same origin: tabs of one database with other directories.
//!
//! Only the tab that holds a store's links takes part. Messages on `shoal:peers:<database>`: `here` (body: true asks for an
//! answer), and `signal` (body: `{to, payload}`). `from` is the peer key.

use std::cell::RefCell;
use std::rc::Rc;

use gloo::timers::callback::Interval;
use peer::io::{Input, SignalPath};
use value::PeerKey;
use wasm_bindgen::JsValue;

use crate::channel::{Channel, Message};
use crate::driver::Driver;
use crate::{js, rtc};

/// A peer that was missed, or whose link broke, is heard again after so long.
const ANNOUNCE_MS: u32 = 5_000;

/// The channel, while this tab holds the links.
#[derive(Default)]
pub struct Discovery {
    running: RefCell<Option<(Channel, Interval)>>,
}

impl Discovery {
    /// Sends a signal to a peer of this origin.
    pub fn signal(&self, to: &PeerKey, payload: &[u8]) {
        let body = js::object(&[("to", to.0.as_str().into()), ("payload", js::bytes_to(payload))]);
        self.post("signal", body);
    }

    /// Says that this peer is here, and asks who else is.
    pub fn announce(&self) {
        self.post("here", JsValue::TRUE);
    }

    /// Stops taking part.
    pub fn stop(&self) {
        self.running.take();
    }

    fn post(&self, kind: &str, body: JsValue) {
        if let Some((channel, _)) = self.running.borrow().as_ref() {
            channel.post(kind, body);
        }
    }
}

/// Takes part from now on. Without WebRTC there is nothing to find peers for.
pub fn start(driver: &Rc<Driver>) {
    if !rtc::available() {
        return;
    }
    let name = format!("shoal:peers:{}", driver.identity.database);
    let weak = Rc::downgrade(driver);
    let heard = move |message| {
        if let Some(driver) = weak.upgrade() {
            hear(&driver, message);
        }
    };
    let Some(channel) = Channel::open(&name, driver.identity.peer_key.0.clone(), heard) else { return };
    let weak = Rc::downgrade(driver);
    let interval = Interval::new(ANNOUNCE_MS, move || {
        if let Some(driver) = weak.upgrade() {
            driver.discovery.announce();
        }
    });
    driver.discovery.running.replace(Some((channel, interval)));
    driver.discovery.announce();
}

fn hear(driver: &Rc<Driver>, message: Message) {
    let from = PeerKey(message.from);
    match message.kind.as_str() {
        "here" => {
            if message.body.is_truthy() {
                driver.discovery.post("here", JsValue::FALSE);
            }
            driver.feed(Input::PeerSeen { peer: from });
        }
        "signal" if js::property(&message.body, "to").as_string().as_deref() == Some(&driver.identity.peer_key.0) => {
            let payload = js::bytes_from(&js::property(&message.body, "payload"));
            rtc::signalled(driver, from, SignalPath::Broadcast, &payload);
        }
        _ => {}
    }
}
