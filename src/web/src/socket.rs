//! One WebSocket as a pipe of messages. No back-off and no protocol: the engine decides when to dial.

use gloo::events::EventListener;
use js_sys::ArrayBuffer;
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, MessageEvent, WebSocket};

use crate::js;

/// What happens on a pipe.
pub enum PipeEvent {
    /// It is gone, or never came up. The last event.
    Down,
    /// One whole message.
    Message(Vec<u8>),
    /// Messages may flow.
    Up,
}

/// A WebSocket; closed when it is dropped.
pub struct Socket {
    socket: WebSocket,
    _listeners: [EventListener; 4],
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Closing what is closed is allowed; nothing else can go wrong without a code.
        drop(self.socket.close());
    }
}

impl Socket {
    /// Dials; the events tell the rest. `None` where the host has no WebSocket or the address is refused.
    pub fn dial(url: &str, heard: impl Fn(PipeEvent) + Clone + 'static) -> Option<Socket> {
        if !js::global("WebSocket").is_function() {
            return None;
        }
        let socket = WebSocket::new(url).ok()?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let listen = |event: &'static str| {
            let heard = heard.clone();
            EventListener::new(&socket, event, move |event| match event.type_().as_str() {
                "open" => heard(PipeEvent::Up),
                "message" => {
                    let data = event.unchecked_ref::<MessageEvent>().data();
                    // Text is not our protocol; the engine would refuse it, so it gets what it will refuse: nothing.
                    let bytes = if data.is_instance_of::<ArrayBuffer>() { js::bytes_from(&data) } else { Vec::new() };
                    heard(PipeEvent::Message(bytes));
                }
                _ => heard(PipeEvent::Down),
            })
        };
        let listeners = [listen("open"), listen("message"), listen("close"), listen("error")];
        Some(Socket { socket, _listeners: listeners })
    }

    /// Sends a message; one that the socket does not take is lost with the link.
    pub fn send(&self, bytes: &[u8]) {
        if self.socket.send_with_u8_array(bytes).is_err() {
            drop(self.socket.close());
        }
    }
}
