//! The pipes that are up: which link id is which socket or data channel.
//!
//! Link ids count up and are never used again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use value::SmallMap;

use js_sys::Array;
use peer::io::{DialTarget, Input, LinkId, LinkKind};
use value::{ErrorCode, PeerKey};

use crate::driver::Driver;
use crate::rtc::{self, Call, Pipe};
use crate::socket::{PipeEvent, Socket};

/// The pipes of one store.
pub struct Links {
    pub(crate) own: PeerKey,
    next: Cell<u64>,
    sockets: RefCell<SmallMap<LinkId, Socket>>,
    pub(crate) pipes: RefCell<SmallMap<LinkId, Rc<Pipe>>>,
    /// WebRTC connections by peer, those that are being made included.
    pub(crate) calls: RefCell<SmallMap<PeerKey, Rc<Call>>>,
    /// `RTCIceServer` objects as the application gave them.
    pub(crate) ice_servers: RefCell<Array>,
}

impl Links {
    /// Starts with none.
    pub fn new(own: PeerKey) -> Links {
        Links {
            own,
            next: Cell::new(1),
            sockets: RefCell::default(),
            pipes: RefCell::default(),
            calls: RefCell::default(),
            ice_servers: RefCell::default(),
        }
    }

    /// Returns a fresh id.
    pub fn id(&self) -> LinkId {
        LinkId(self.next.replace(self.next.get() + 1))
    }

    /// Sends a message; on a link that is gone it is lost, and the engine learns of it by `LinkDown`.
    pub fn send(&self, link: LinkId, bytes: Vec<u8>) {
        if let Some(socket) = self.sockets.borrow().get(&link) {
            return socket.send(&bytes);
        }
        let pipe = self.pipes.borrow().get(&link).cloned();
        if let Some(pipe) = pipe {
            pipe.send(bytes);
        }
    }

    /// Closes a link at the engine's wish; it hears no more of it.
    pub fn close(&self, link: LinkId) {
        let socket = self.sockets.borrow_mut().remove(&link);
        let pipe = self.pipes.borrow_mut().remove(&link);
        if let Some(pipe) = pipe {
            self.hang_up(&pipe.peer, |call| call.link.get() == Some(link));
        }
        drop(socket);
    }

    /// Ends the connection with a peer, if it is that one.
    pub fn hang_up(&self, peer: &PeerKey, which: impl FnOnce(&Call) -> bool) {
        let call = self.calls.borrow().get(peer).cloned();
        if let Some(call) = call.filter(|call| which(call)) {
            self.calls.borrow_mut().remove(peer);
            call.close();
        }
    }

    /// Closes everything.
    pub fn close_all(&self) {
        let sockets = std::mem::take(&mut *self.sockets.borrow_mut());
        let calls = std::mem::take(&mut *self.calls.borrow_mut());
        self.pipes.borrow_mut().clear();
        calls.into_values().for_each(|call| call.close());
        drop(sockets);
    }
}

/// Makes a link for the engine.
pub fn dial(driver: &Rc<Driver>, target: DialTarget) {
    match target {
        DialTarget::BigPeer { url } => dial_socket(driver, url),
        DialTarget::Peer { peer, path } => rtc::dial(driver, peer, path),
    }
}

fn dial_socket(driver: &Rc<Driver>, url: String) {
    let link = driver.links.id();
    let target = DialTarget::BigPeer { url: url.clone() };
    let weak = Rc::downgrade(driver);
    let (up, failed) = (Rc::new(Cell::new(false)), target.clone());
    let heard = move |event| {
        let Some(driver) = weak.upgrade() else { return };
        match event {
            PipeEvent::Up => {
                up.set(true);
                driver.feed(Input::LinkUp { link, kind: LinkKind::WebSocket, target: Some(target.clone()) });
            }
            PipeEvent::Message(bytes) => driver.feed(Input::Frame { link, bytes }),
            PipeEvent::Down => {
                // An error is followed by a close: the first of the two ends it, and a link closed by the engine is gone already.
                let Some(socket) = driver.links.sockets.borrow_mut().remove(&link) else { return };
                drop(socket);
                driver.feed(if up.get() {
                    Input::LinkDown { link }
                } else {
                    Input::DialFailed { target: target.clone(), code: ErrorCode::SyncUnreachable }
                });
            }
        }
    };
    match Socket::dial(&url, heard) {
        Some(socket) => {
            driver.links.sockets.borrow_mut().insert(link, socket);
        }
        None => driver.feed(Input::DialFailed { target: failed, code: ErrorCode::SyncUnreachable }),
    }
}
