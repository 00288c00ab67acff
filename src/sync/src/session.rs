//! One link's session: handshake, keep-alive, chunking. What the messages say is the peer's business.
//!
//! Both sides say Hello at once. A side that accepts the other's Hello answers Welcome; the session is established when
//! both have. Until then nothing but Hello, Welcome, Reject and Bye is accepted, within 64 KiB and ten seconds.

use std::collections::VecDeque;

use value::limits::CLOCK_SKEW_MS_MAX;
use value::{DecodeError, ErrorCode, Millis};

use crate::chunk::{Reassembler, split};
use crate::wire::{Credentials, Hello, Message};

/// A link is silent this long before it is asked for a sign of life, milliseconds.
pub const KEEP_ALIVE_MS: u64 = 10_000;
/// A link is silent this long before it is dropped, milliseconds.
pub const DEAD_MS: u64 = 3 * KEEP_ALIVE_MS;
/// The handshake must be done by then, milliseconds.
pub const HANDSHAKE_MS: u64 = 10_000;
/// Largest frame before the handshake is done, bytes.
const STRANGER_BYTES_MAX: usize = 64 * 1024;

/// What a session is told at its start.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Says who we are.
    pub hello: Hello,
    /// What the other side must show; `None`: nothing.
    pub required_token: Option<String>,
    /// Largest message of the transport, bytes.
    pub message_bytes_max: usize,
}

/// What happened on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The session is over; close the link.
    Closed {
        /// Why; `None`: an orderly goodbye.
        code: Option<ErrorCode>,
        /// The other side refused us (it said so), rather than we it.
        refused: bool,
    },
    /// The handshake is done.
    Established(Box<Hello>),
    /// A message after the handshake, never of the handshake itself; with the bytes of its frame.
    Message(Message, usize),
}

/// Where the handshake stands.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Closed,
    Established,
    /// We wait for the other's Hello, its Welcome, or both.
    Greeting {
        remote: Option<Box<Hello>>,
        welcomed: bool,
    },
}

/// The state machine of one link.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    state: State,
    started: Millis,
    heard: Millis,
    pinged: bool,
    reassembler: Reassembler,
    events: VecDeque<Event>,
    messages: VecDeque<Vec<u8>>,
}

impl Session {
    /// Says Hello.
    pub fn new(config: SessionConfig, now: Millis) -> Session {
        let mut session = Session {
            state: State::Greeting { remote: None, welcomed: false },
            started: now,
            heard: now,
            pinged: false,
            reassembler: Reassembler::new(STRANGER_BYTES_MAX),
            events: VecDeque::new(),
            messages: VecDeque::new(),
            config,
        };
        let hello = Message::Hello(Box::new(session.config.hello.clone()));
        session.transmit(&hello);
        session
    }

    /// Says whether data may flow.
    pub fn is_established(&self) -> bool {
        self.state == State::Established
    }

    /// Takes one message of the transport.
    pub fn handle(&mut self, bytes: &[u8], now: Millis) {
        if self.state == State::Closed {
            return;
        }
        self.heard = now;
        self.pinged = false;
        let decoded = self.reassembler.push(bytes).and_then(|frame| match frame {
            Some(frame) => Ok(Message::decode(&frame)?.map(|message| (message, frame.len()))),
            None => Ok(None),
        });
        match decoded {
            Ok(Some((message, size))) => self.receive(message, size, now),
            Ok(None) => {}
            Err(DecodeError::Version(_)) => self.reject(ErrorCode::SyncVersion, "another major version"),
            Err(error) => self.reject(ErrorCode::SyncProtocol, &error.to_string()),
        }
    }

    /// Sends a message; returns the bytes of its frame. Ignored once closed.
    pub fn send(&mut self, message: &Message) -> usize {
        if self.state == State::Closed { 0 } else { self.transmit(message) }
    }

    /// Ends the session in order.
    pub fn close(&mut self, code: Option<ErrorCode>) {
        if self.state != State::Closed {
            self.transmit(&Message::Bye { code });
            self.end(code, false);
        }
    }

    /// Returns what happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Returns a message for the transport, in order.
    pub fn poll_message(&mut self) -> Option<Vec<u8>> {
        self.messages.pop_front()
    }

    /// Returns when `timeout` wants to be called.
    pub fn next_timeout(&self) -> Option<Millis> {
        match self.state {
            State::Closed => None,
            State::Established if self.pinged => Some(self.heard.plus(DEAD_MS)),
            // What we say ourselves is no sign of life of the other side.
            State::Established => Some(self.heard.plus(KEEP_ALIVE_MS)),
            State::Greeting { .. } => Some(self.started.plus(HANDSHAKE_MS)),
        }
    }

    /// Lets time pass: asks for a sign of life, or gives the link up.
    pub fn timeout(&mut self, now: Millis) {
        match self.state {
            State::Closed => {}
            State::Established if now.since(self.heard) >= DEAD_MS => self.end(Some(ErrorCode::SyncUnreachable), false),
            State::Established if !self.pinged && now.since(self.heard) >= KEEP_ALIVE_MS => {
                self.pinged = true;
                self.transmit(&Message::Ping);
            }
            State::Established => {}
            State::Greeting { .. } if now.since(self.started) >= HANDSHAKE_MS => {
                self.end(Some(ErrorCode::SyncUnreachable), false);
            }
            State::Greeting { .. } => {}
        }
    }

    fn receive(&mut self, message: Message, size: usize, now: Millis) {
        match (&mut self.state, message) {
            (State::Closed, _) => {}
            (_, Message::Bye { code }) => self.end(code, code.is_some()),
            (State::Greeting { .. }, Message::Reject { code, detail: _ }) => self.end(Some(code), true),
            (State::Greeting { remote: None, .. }, Message::Hello(hello)) => self.check(hello, now),
            (State::Greeting { welcomed: welcomed @ false, .. }, Message::Welcome) => {
                *welcomed = true;
                self.establish_when_complete();
            }
            (State::Established, Message::Ping) => _ = self.transmit(&Message::Pong),
            (State::Established, Message::Pong) => {}
            (State::Greeting { .. }, _)
            | (State::Established, Message::Hello(_) | Message::Welcome | Message::Reject { .. }) => {
                self.reject(ErrorCode::SyncProtocol, "a message out of order");
            }
            (State::Established, message) => self.events.push_back(Event::Message(message, size)),
        }
    }

    fn check(&mut self, hello: Box<Hello>, now: Millis) {
        if let Err((code, detail)) = self.acceptable(&hello, now) {
            self.reject(code, detail);
            return;
        }
        self.transmit(&Message::Welcome);
        if let State::Greeting { remote, .. } = &mut self.state {
            *remote = Some(hello);
        }
        self.establish_when_complete();
    }

    fn acceptable(&self, hello: &Hello, now: Millis) -> Result<(), (ErrorCode, &'static str)> {
        if hello.database != self.config.hello.database {
            return Err((ErrorCode::SyncDatabase, "another database"));
        }
        let shown = hello.credentials.as_ref().map(|credentials: &Credentials| credentials.token.as_bytes());
        if let Some(required) = &self.config.required_token
            && !shown.is_some_and(|shown| equal_in_constant_time(shown, required.as_bytes()))
        {
            return Err((ErrorCode::AuthenticationFailedToAuthenticate, "the token was not accepted"));
        }
        if hello.hlc.millis().since(now) > CLOCK_SKEW_MS_MAX {
            return Err((ErrorCode::SyncClockSkew, "your clock is more than a day ahead"));
        }
        if hello.replica == self.config.hello.replica || hello.peer_key == self.config.hello.peer_key {
            return Err((ErrorCode::SyncDuplicateReplica, "this replica id is taken"));
        }
        Ok(())
    }

    fn establish_when_complete(&mut self) {
        if let State::Greeting { remote: remote @ Some(_), welcomed: true } = &mut self.state {
            let hello = remote.take().expect("the pattern says it is there");
            self.state = State::Established;
            self.reassembler.trust();
            self.events.push_back(Event::Established(hello));
        }
    }

    fn reject(&mut self, code: ErrorCode, detail: &str) {
        match self.state {
            State::Greeting { .. } => self.transmit(&Message::Reject { code, detail: detail.to_owned() }),
            State::Closed | State::Established => self.transmit(&Message::Bye { code: Some(code) }),
        };
        self.end(Some(code), false);
    }

    fn end(&mut self, code: Option<ErrorCode>, refused: bool) {
        self.state = State::Closed;
        self.events.push_back(Event::Closed { code, refused });
    }

    fn transmit(&mut self, message: &Message) -> usize {
        let frame = message.encode();
        self.messages.extend(split(&frame, self.config.message_bytes_max));
        frame.len()
    }
}

/// Compares secrets without telling by the time taken where they differ.
fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a ^ b));
    a.len() == b.len() && differing == 0
}
