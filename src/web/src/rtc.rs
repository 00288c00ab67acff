//! WebRTC: a connection a peer, one ordered reliable data channel on it.
//!
//! The side that the engine told to dial makes the offer. When both dial at once, the offer of the smaller peer key stands
//! and the other side answers it. Candidates trickle. Signals are CBOR maps `{t: offer | answer | ice, n: nonce, …}`; the nonce
//! names the attempt, so that signals of an older one are ignored. They travel through the engine or by BroadcastChannel.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use gloo::events::EventListener;
use gloo::timers::callback::Timeout;
use js_sys::ArrayBuffer;
use peer::io::{DialTarget, Input, LinkId, LinkKind, SignalPath};
use value::{ErrorCode, Object, PeerKey, Value, cbor};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    MessageEvent, RtcConfiguration, RtcDataChannel, RtcDataChannelInit, RtcDataChannelState, RtcDataChannelType,
    RtcIceCandidateInit, RtcPeerConnection, RtcPeerConnectionIceEvent, RtcPeerConnectionState, RtcSdpType,
    RtcSessionDescriptionInit,
};

use crate::driver::Driver;
use crate::{clock, js};

const DIAL_MS_MAX: u32 = 15_000;
const SIGNAL_BYTES_MAX: usize = 64 * 1024;
/// `send` throws at 16 MiB; long before, messages wait here.
const BUFFERED_BYTES_MAX: u32 = 1024 * 1024;
const BUFFERED_BYTES_LOW: u32 = 256 * 1024;

/// An attempt at a connection with a peer, and then the connection.
pub struct Call {
    pub(crate) link: Cell<Option<LinkId>>,
    peer: PeerKey,
    path: SignalPath,
    nonce: String,
    /// The engine asked for it and waits for `LinkUp` or `DialFailed`.
    target: RefCell<Option<DialTarget>>,
    offers: bool,
    connection: RtcPeerConnection,
    channel: RtcDataChannel,
    described: Cell<bool>,
    candidates: RefCell<Vec<RtcIceCandidateInit>>,
    listeners: RefCell<Vec<EventListener>>,
    patience: RefCell<Option<Timeout>>,
}

/// The data channel of a link.
pub struct Pipe {
    pub(crate) peer: PeerKey,
    channel: RtcDataChannel,
    waiting: RefCell<VecDeque<Vec<u8>>>,
}

impl Pipe {
    /// Sends a message, now or when the browser's queue has shrunk.
    pub fn send(&self, bytes: Vec<u8>) {
        self.waiting.borrow_mut().push_back(bytes);
        self.drain();
    }

    fn drain(&self) {
        while self.channel.buffered_amount() < BUFFERED_BYTES_MAX {
            let Some(bytes) = self.waiting.borrow_mut().pop_front() else { return };
            if self.channel.ready_state() != RtcDataChannelState::Open
                || self.channel.send_with_u8_array(&bytes).is_err()
            {
                self.waiting.borrow_mut().clear();
                return self.channel.close();
            }
        }
    }
}

impl Call {
    /// Ends it without a word to the engine.
    pub fn close(&self) {
        self.patience.take();
        self.listeners.take();
        self.channel.close();
        self.connection.close();
    }
}

/// Says whether the host has WebRTC.
pub fn available() -> bool {
    js::global("RTCPeerConnection").is_function()
}

/// Calls a peer.
pub fn dial(driver: &Rc<Driver>, peer: PeerKey, path: SignalPath) {
    let target = DialTarget::Peer { peer: peer.clone(), path };
    let present = driver.links.calls.borrow().get(&peer).cloned();
    if let Some(call) = present {
        if call.link.get().is_none() {
            // The peer is calling already; its call answers the engine's wish.
            call.target.replace(Some(target));
            return;
        }
        end(driver, &call);
    }
    let nonce = clock::random_hex::<8>();
    match begin(driver, &peer, path, nonce, true) {
        Ok(call) => {
            call.target.replace(Some(target));
            negotiate(driver, call, None);
        }
        Err(_) => driver.feed(Input::DialFailed { target, code: ErrorCode::SyncUnreachable }),
    }
}

/// Takes a signal of a peer.
pub fn signalled(driver: &Rc<Driver>, from: PeerKey, path: SignalPath, payload: &[u8]) {
    let Some(signal) = cbor::decode(payload, SIGNAL_BYTES_MAX).ok().and_then(Value::into_object) else { return };
    let text = |name: &str| signal.get(name).and_then(Value::as_str).map(str::to_owned);
    let (Some(kind), Some(nonce)) = (text("t"), text("n")) else { return };
    let present = driver.links.calls.borrow().get(&from).cloned();
    match (kind.as_str(), present) {
        ("offer", present) => {
            let mut target = None;
            if let Some(call) = present {
                let glare = call.offers && call.link.get().is_none();
                if call.nonce == nonce || glare && driver.links.own < from {
                    return;
                }
                if glare {
                    target = call.target.take();
                }
                end(driver, &call);
            }
            if let (Some(sdp), Ok(call)) = (text("sdp"), begin(driver, &from, path, nonce, false)) {
                call.target.replace(target);
                negotiate(driver, call, Some((RtcSdpType::Offer, sdp)));
            }
        }
        ("answer", Some(call)) if call.nonce == nonce && call.offers => {
            if let Some(sdp) = text("sdp") {
                negotiate(driver, call, Some((RtcSdpType::Answer, sdp)));
            }
        }
        ("ice", Some(call)) if call.nonce == nonce => add_candidate(call, &signal),
        _ => {}
    }
}

fn begin(
    driver: &Rc<Driver>,
    peer: &PeerKey,
    path: SignalPath,
    nonce: String,
    offers: bool,
) -> Result<Rc<Call>, JsValue> {
    if !available() {
        return Err(JsValue::UNDEFINED);
    }
    let configuration = RtcConfiguration::new();
    configuration.set_ice_servers(&driver.links.ice_servers.borrow());
    let connection = RtcPeerConnection::new_with_configuration(&configuration)?;
    let init = RtcDataChannelInit::new();
    init.set_negotiated(true);
    init.set_id(0);
    let channel = connection.create_data_channel_with_data_channel_dict("shoal", &init);
    channel.set_binary_type(RtcDataChannelType::Arraybuffer);
    channel.set_buffered_amount_low_threshold(BUFFERED_BYTES_LOW);
    let call = Rc::new(Call {
        link: Cell::new(None),
        peer: peer.clone(),
        path,
        nonce,
        target: RefCell::new(None),
        offers,
        connection,
        channel,
        described: Cell::new(false),
        candidates: RefCell::default(),
        listeners: RefCell::default(),
        patience: RefCell::default(),
    });
    listen(driver, &call);
    driver.links.calls.borrow_mut().insert(peer.clone(), call.clone());
    Ok(call)
}

fn listen(driver: &Rc<Driver>, call: &Rc<Call>) {
    let on =
        |target: &web_sys::EventTarget, event: &'static str, heard: fn(&Rc<Driver>, &Rc<Call>, &web_sys::Event)| {
            let (driver, call) = (Rc::downgrade(driver), Rc::downgrade(call));
            EventListener::new(target, event, move |event| {
                if let (Some(driver), Some(call)) = (driver.upgrade(), call.upgrade()) {
                    heard(&driver, &call, event);
                }
            })
        };
    let listeners = vec![
        on(&call.connection, "icecandidate", |driver, call, event| {
            if let Some(candidate) = event.unchecked_ref::<RtcPeerConnectionIceEvent>().candidate() {
                let line = candidate.sdp_m_line_index().map_or(Value::Null, |line| Value::Int(line.into()));
                let mid = candidate.sdp_mid().map_or(Value::Null, Value::Str);
                send_signal(driver, call, "ice", [("c", Value::Str(candidate.candidate())), ("l", line), ("m", mid)]);
            }
        }),
        on(&call.connection, "connectionstatechange", |driver, call, _| {
            if matches!(
                call.connection.connection_state(),
                RtcPeerConnectionState::Failed | RtcPeerConnectionState::Closed
            ) {
                end(driver, call);
            }
        }),
        on(&call.channel, "open", |driver, call, _| opened(driver, call)),
        on(&call.channel, "close", |driver, call, _| end(driver, call)),
        on(&call.channel, "bufferedamountlow", |driver, call, _| {
            let pipe = call.link.get().and_then(|link| driver.links.pipes.borrow().get(&link).cloned());
            pipe.iter().for_each(|pipe| pipe.drain());
        }),
        on(&call.channel, "message", |driver, call, event| {
            let data = event.unchecked_ref::<MessageEvent>().data();
            if let Some(link) = call.link.get().filter(|_| data.is_instance_of::<ArrayBuffer>()) {
                driver.feed(Input::Frame { link, bytes: js::bytes_from(&data) });
            }
        }),
    ];
    call.listeners.replace(listeners);
    let (weak_driver, weak_call) = (Rc::downgrade(driver), Rc::downgrade(call));
    let patience = Timeout::new(DIAL_MS_MAX, move || {
        if let (Some(driver), Some(call)) = (weak_driver.upgrade(), weak_call.upgrade()) {
            end(&driver, &call);
        }
    });
    call.patience.replace(Some(patience));
}

fn opened(driver: &Rc<Driver>, call: &Rc<Call>) {
    let link = driver.links.id();
    call.patience.take();
    call.link.set(Some(link));
    let pipe = Pipe { peer: call.peer.clone(), channel: call.channel.clone(), waiting: RefCell::default() };
    driver.links.pipes.borrow_mut().insert(link, Rc::new(pipe));
    driver.feed(Input::LinkUp { link, kind: LinkKind::WebRtc, target: call.target.take() });
}

/// Ends a call and tells the engine what that means for it.
fn end(driver: &Rc<Driver>, call: &Rc<Call>) {
    driver.links.hang_up(&call.peer, |present| std::ptr::eq(present, Rc::as_ptr(call)));
    let known = call.link.take().filter(|link| driver.links.pipes.borrow_mut().remove(link).is_some());
    if let Some(link) = known {
        driver.feed(Input::LinkDown { link });
    } else if let Some(target) = call.target.take() {
        driver.feed(Input::DialFailed { target, code: ErrorCode::SyncUnreachable });
    }
}

/// Takes the next step of offer and answer; a step that fails ends the call.
fn negotiate(driver: &Rc<Driver>, call: Rc<Call>, remote: Option<(RtcSdpType, String)>) {
    let driver = driver.clone();
    spawn_local(async move {
        if describe(&driver, &call, remote).await.is_err() {
            end(&driver, &call);
        }
    });
}

async fn describe(driver: &Rc<Driver>, call: &Rc<Call>, remote: Option<(RtcSdpType, String)>) -> Result<(), JsValue> {
    if let Some((kind, sdp)) = remote {
        let description = RtcSessionDescriptionInit::new(kind);
        description.set_sdp(&sdp);
        JsFuture::from(call.connection.set_remote_description(&description)).await?;
        call.described.set(true);
        for candidate in call.candidates.take() {
            add(call, &candidate);
        }
        if kind == RtcSdpType::Answer {
            return Ok(());
        }
    }
    let (kind, name, made) = if call.offers {
        (RtcSdpType::Offer, "offer", call.connection.create_offer())
    } else {
        (RtcSdpType::Answer, "answer", call.connection.create_answer())
    };
    let sdp = js::property(&JsFuture::from(made).await?, "sdp").as_string().unwrap_or_default();
    let description = RtcSessionDescriptionInit::new(kind);
    description.set_sdp(&sdp);
    JsFuture::from(call.connection.set_local_description(&description)).await?;
    send_signal(driver, call, name, [("sdp", Value::Str(sdp))]);
    Ok(())
}

fn add_candidate(call: Rc<Call>, signal: &Object) {
    let Some(text) = signal.get("c").and_then(Value::as_str) else { return };
    let candidate = RtcIceCandidateInit::new(text);
    candidate.set_sdp_mid(signal.get("m").and_then(Value::as_str));
    candidate.set_sdp_m_line_index(signal.get("l").and_then(Value::as_int).and_then(|line| u16::try_from(line).ok()));
    if call.described.get() {
        add(&call, &candidate);
    } else {
        call.candidates.borrow_mut().push(candidate);
    }
}

/// A candidate that the browser refuses is one way less to connect; the others go on.
fn add(call: &Rc<Call>, candidate: &RtcIceCandidateInit) {
    let added = call.connection.add_ice_candidate_with_opt_rtc_ice_candidate_init(Some(candidate));
    spawn_local(async move {
        if let Err(exception) = JsFuture::from(added).await {
            js::warn(&format!("[shoal] a candidate was refused: {}", js::describe(&exception)));
        }
    });
}

fn send_signal<const N: usize>(driver: &Rc<Driver>, call: &Call, kind: &str, fields: [(&str, Value); N]) {
    let mut signal: Object = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    signal.insert("n".into(), Value::Str(call.nonce.clone()));
    signal.insert("t".into(), Value::from(kind));
    let payload = cbor::encode(&Value::Object(signal));
    match call.path {
        SignalPath::Broadcast => driver.discovery.signal(&call.peer, &payload),
        SignalPath::Relay => driver.feed(Input::Signal { to: call.peer.clone(), payload }),
    }
}
