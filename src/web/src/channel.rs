//! A BroadcastChannel for small messages between tabs of one origin: `{kind, from, body}`.

use gloo::events::EventListener;
use wasm_bindgen::prelude::*;
use web_sys::{BroadcastChannel, MessageEvent};

use crate::js;

/// An open channel; closed when it is dropped.
pub struct Channel {
    channel: BroadcastChannel,
    from: String,
    _listener: EventListener,
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.channel.close();
    }
}

/// A message of another tab.
pub struct Message {
    /// What it is.
    pub kind: String,
    /// Who sent it.
    pub from: String,
    /// Its content.
    pub body: JsValue,
}

impl Channel {
    /// Opens a channel; `None` where the host has none.
    pub fn open(name: &str, from: String, heard: impl Fn(Message) + 'static) -> Option<Channel> {
        if !js::global("BroadcastChannel").is_function() {
            return None;
        }
        let channel = BroadcastChannel::new(name).ok()?;
        let own = from.clone();
        let listener = EventListener::new(&channel, "message", move |event| {
            let data = event.unchecked_ref::<MessageEvent>().data();
            let text = |name| js::property(&data, name).as_string();
            // Other programs of the origin may use the name; what does not look like ours is not.
            if let (Some(kind), Some(from)) = (text("kind"), text("from"))
                && from != own
            {
                heard(Message { kind, from, body: js::property(&data, "body") });
            }
        });
        Some(Channel { channel, from, _listener: listener })
    }

    /// Sends a message to every other tab.
    pub fn post(&self, kind: &str, body: JsValue) {
        let message = js::object(&[("kind", kind.into()), ("from", self.from.as_str().into()), ("body", body)]);
        if let Err(exception) = self.channel.post_message(&message) {
            js::warn(&format!("[shoal] a message to other tabs was not sent: {}", js::describe(&exception)));
        }
    }
}
