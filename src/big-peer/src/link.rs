//! One WebSocket: messages to and from the engine, and nothing else.
//!
//! Out go the messages of an outbox, as many as wait with one flush (a flush a message costs ten times more). The outbox is
//! bounded by bytes; when a peer reads too slowly for it, the link is closed and the peer catches up from its cursor. In
//! come binary messages; the socket is read only while the engine has room. The room knows nothing of the protocol: liveness
//! and time limits are the engine's, but a socket that takes nothing for 30 seconds is given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use peer::io::LinkId;
use tokio::sync::mpsc;
use value::ErrorCode;

use crate::core::{Core, Request};

/// Largest message of a link: the transport's 64 KiB and room for a later protocol.
pub const MESSAGE_BYTES_MAX: usize = 66 * 1024;
/// Bytes a slow peer may leave waiting: more than one frame of the largest size and the protocol's window.
pub const OUTBOX_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why this side closes a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The engine is done with it.
    Normal,
    /// With a stable code.
    Refused(ErrorCode),
    /// The server stops; another one takes its place.
    Restart,
}

/// Where the engine puts messages for a link.
#[derive(Clone, Debug)]
pub struct Outbox {
    messages: mpsc::UnboundedSender<Outgoing>,
    queued: Arc<AtomicUsize>,
}

#[derive(Debug)]
enum Outgoing {
    Close(Closing),
    Message(Bytes),
}

/// The other end of an outbox.
#[derive(Debug)]
pub struct OutboxReader {
    messages: mpsc::UnboundedReceiver<Outgoing>,
    queued: Arc<AtomicUsize>,
}

impl Outbox {
    /// Makes an empty one.
    pub fn new() -> (Outbox, OutboxReader) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let queued = Arc::new(AtomicUsize::new(0));
        (Outbox { messages: sender, queued: Arc::clone(&queued) }, OutboxReader { messages: receiver, queued })
    }

    /// Adds a message; says whether there was room.
    pub fn push(&self, bytes: Vec<u8>) -> bool {
        let before = self.queued.fetch_add(bytes.len(), Ordering::Relaxed);
        // A socket that is gone reports it itself.
        drop(self.messages.send(Outgoing::Message(bytes.into())));
        before < OUTBOX_BYTES_MAX
    }

    /// Closes the socket behind everything that waits.
    pub fn close(&self, closing: Closing) {
        drop(self.messages.send(Outgoing::Close(closing)));
    }
}

/// Carries a socket's messages until either side closes it.
pub async fn serve(socket: WebSocket, core: Arc<Core>) {
    let link = core.link_id();
    let (outbox, reader) = Outbox::new();
    if !core.send(Request::LinkUp(link, outbox)).await {
        return;
    }
    let (mut sink, mut stream) = socket.split();
    let receiving = async {
        while let Some(Ok(message)) = stream.next().await {
            match message {
                Message::Binary(bytes) => {
                    if !core.send(Request::Frame(link, bytes.into())).await {
                        return;
                    }
                }
                Message::Close(_) | Message::Text(_) => return,
                Message::Ping(_) | Message::Pong(_) => {}
            }
        }
    };
    let closed_here = tokio::select! {
        () = receiving => false,
        closing = send_all(reader, &mut sink, link) => closing,
    };
    core.send(Request::LinkDown(link)).await;
    if closed_here {
        // The peer reads why before the socket goes; what it still sends is of no interest.
        let drain = async { while let Some(Ok(_)) = stream.next().await {} };
        drop(tokio::time::timeout(CLOSE_MAX, drain).await);
    }
}

/// Sends what the outbox has; says whether the last was a close message.
async fn send_all(mut outbox: OutboxReader, sink: &mut SplitSink<WebSocket, Message>, link: LinkId) -> bool {
    while let Some(first) = outbox.messages.recv().await {
        match tokio::time::timeout(SEND_MAX, send_waiting(first, &mut outbox, sink)).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(closing))) => return sink.send(Message::Close(Some(close_frame(closing)))).await.is_ok(),
            Ok(Err(_)) => return false,
            Err(_) => {
                tracing::debug!(link = link.0, "link dropped: it took nothing for 30 seconds");
                return false;
            }
        }
    }
    false
}

/// Feeds everything that waits and flushes once; stops at a close.
async fn send_waiting(
    first: Outgoing,
    outbox: &mut OutboxReader,
    sink: &mut SplitSink<WebSocket, Message>,
) -> Result<Option<Closing>, axum::Error> {
    let mut next = Some(first);
    let mut fed = 0;
    while let Some(outgoing) = next {
        match outgoing {
            Outgoing::Close(closing) => {
                sink.flush().await?;
                return Ok(Some(closing));
            }
            Outgoing::Message(bytes) => {
                let size = bytes.len();
                sink.feed(Message::Binary(bytes)).await?;
                outbox.queued.fetch_sub(size, Ordering::Relaxed);
                fed += size;
            }
        }
        next = if fed < FLUSH_BYTES { outbox.messages.try_recv().ok() } else { None };
    }
    sink.flush().await?;
    Ok(None)
}

fn close_frame(closing: Closing) -> CloseFrame {
    let (code, reason) = match closing {
        Closing::Normal => (1000, ""),
        Closing::Refused(ErrorCode::SyncBusy) => (1013, ErrorCode::SyncBusy.as_str()),
        Closing::Refused(ErrorCode::SyncProtocol) => (1002, ErrorCode::SyncProtocol.as_str()),
        Closing::Refused(code) => (1008, code.as_str()),
        Closing::Restart => (1012, "the server is restarting"),
    };
    CloseFrame { code, reason: reason.into() }
}

/// Bytes after which waiting messages are flushed, so that the time limit measures progress.
const FLUSH_BYTES: usize = 256 * 1024;
/// A socket that takes no bytes for so long is dead.
const SEND_MAX: Duration = Duration::from_secs(30);
/// How long the peer has to answer a close.
const CLOSE_MAX: Duration = Duration::from_secs(1);
