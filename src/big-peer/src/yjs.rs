//! One WebSocket of a stock Yjs client, bound to one rich field.
//!
//! In come the messages of `y-protocols` as `y-websocket` sends them: state vectors, updates, awareness. Out go updates that
//! the client lacks and what others say about the field. An update is answered by nothing; the next message is read when it
//! is durable, so a client that writes fast is held back by its socket. A client that reads slowly gets fewer and larger
//! updates and misses awareness; one that takes nothing for 30 seconds is given up.
//!
//! Not here: what an update means, and who may write (a token is all there is, see `http`).

mod message;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::SinkExt;
use futures_util::stream::{SplitSink, StreamExt};
use peer::io::{Field, FieldWrite, Lacking, Reply, RichKind, WatchId};
use tokio::sync::{Notify, mpsc, oneshot};
use value::limits::DOCUMENT_BYTES_MAX;
use value::{ErrorCode, Failure};

use crate::core::{Core, FieldRequest, Request, Subscriber};
use message::{ASK, EMPTY_AWARENESS, Incoming};

/// Largest message of a client: a whole document and its framing.
pub const MESSAGE_BYTES_MAX: usize = DOCUMENT_BYTES_MAX + 1024;
/// What is said and waits for a client.
const SAID_MAX: usize = 64;
/// Awareness messages that a client may send in a second.
const SAID_PER_SECOND_MAX: u32 = 50;
/// Other clients that a client's session remembers.
const OTHERS_MAX: usize = 4096;
/// A client that hears nothing for 30 s connects again; `y-websocket` does not see pings.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);
/// A socket that takes no bytes for so long is dead.
const SEND_MAX: Duration = Duration::from_secs(30);

/// A bound client.
struct Client {
    core: Arc<Core>,
    watch: WatchId,
    field: Field,
    kind: RichKind,
    /// The life of the field that it is bound to.
    life: Option<u64>,
    /// The state vector that it has come to, once it has asked.
    known: Option<Vec<u8>>,
    /// The last update sent, so that a change of other fields sends nothing.
    sent: Vec<u8>,
    /// The states it has announced, with their clocks: they leave with it.
    states: BTreeMap<u64, u64>,
    /// Those it has heard of: `y-websocket` sends them back, and they are not its own.
    others: BTreeSet<u64>,
    sink: SplitSink<WebSocket, Message>,
    said_since: tokio::time::Instant,
    said_count: u32,
}

/// Why a session ends.
enum End {
    /// The socket or the engine is gone.
    Gone,
    /// The client is told why.
    Refused(ErrorCode),
}

/// Serves a client until either side closes.
pub async fn serve(socket: WebSocket, core: Arc<Core>, field: Field, kind: RichKind) {
    let (sink, mut stream) = socket.split();
    let (said, mut hears) = mpsc::channel(SAID_MAX);
    let changed = Arc::new(Notify::new());
    let watch = WatchId(core.link_id().0);
    let subscriber = Subscriber { changed: Arc::clone(&changed), said };
    if !core.send(Request::Field(FieldRequest::Watch(watch, field.clone(), subscriber))).await {
        return;
    }
    let (life, known, sent) = (None, None, Vec::new());
    let (states, others) = (BTreeMap::new(), BTreeSet::new());
    let said_since = tokio::time::Instant::now();
    let mut client =
        Client { core, watch, field, kind, life, known, sent, states, others, sink, said_since, said_count: 0 };
    let mut alive = tokio::time::interval(SIGN_OF_LIFE);
    let mut end = client.greet().await.err();
    while end.is_none() {
        let done = tokio::select! {
            message = stream.next() => match message {
                Some(Ok(Message::Binary(bytes))) => client.take(&bytes).await,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                Some(Ok(Message::Close(_) | Message::Text(_)) | Err(_)) | None => Err(End::Gone),
            },
            () = changed.notified() => client.send_news().await,
            payload = hears.recv() => match payload {
                Some(payload) => client.pass_on(payload).await,
                None => Err(End::Gone),
            },
            _ = alive.tick() => client.send(EMPTY_AWARENESS.to_vec()).await,
        };
        end = done.err();
    }
    client.leave(end).await;
}

impl Client {
    /// Asks the client for what is lacking here, and the others who they are.
    async fn greet(&mut self) -> Result<(), End> {
        let known = self.read(Vec::new()).await?.map_or(vec![0], |field| field.reached);
        self.send(message::state_vector(&known)).await?;
        self.ask(FieldRequest::Say(self.watch, ASK.to_vec())).await
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), End> {
        match message::read(bytes) {
            Err(_) => Err(End::Refused(ErrorCode::SyncProtocol)),
            Ok(Incoming::Other) => Ok(()),
            Ok(Incoming::StateVector(known)) => {
                let lacking = self.read(known.to_vec()).await?;
                let (update, reached) = lacking.map_or((vec![0, 0], vec![0]), |field| (field.update, field.reached));
                self.known = Some(reached);
                self.send(message::answer(&update)).await
            }
            Ok(Incoming::Update(update)) => self.write(update.to_vec()).await,
            Ok(Incoming::Ask) => self.ask(FieldRequest::Say(self.watch, bytes.to_vec())).await,
            Ok(Incoming::Awareness(states)) => {
                if self.said_since.elapsed() >= Duration::from_secs(1) {
                    (self.said_since, self.said_count) = (tokio::time::Instant::now(), 0);
                }
                self.said_count += 1;
                if self.said_count > SAID_PER_SECOND_MAX || states.len() + self.states.len() > message::STATES_MAX {
                    return Ok(());
                }
                self.states.extend(states.into_iter().filter(|(client, _)| !self.others.contains(client)));
                self.ask(FieldRequest::Say(self.watch, bytes.to_vec())).await
            }
        }
    }

    /// Sends what somebody else said.
    async fn pass_on(&mut self, payload: Vec<u8>) -> Result<(), End> {
        // It is a message of another client, checked there or made by one of ours; what is none is not for this one.
        let Ok(heard) = message::read(&payload) else { return Ok(()) };
        if let Incoming::Awareness(states) = heard
            && self.others.len() < OTHERS_MAX
        {
            self.others.extend(states.into_iter().map(|(client, _)| client));
        }
        self.send(payload).await
    }

    /// Sends what has come since the client asked.
    async fn send_news(&mut self) -> Result<(), End> {
        let Some(known) = self.known.clone() else { return Ok(()) };
        let Some(field) = self.read(known.clone()).await? else { return Ok(()) };
        self.known = Some(field.reached);
        if field.update == [0, 0] || field.update == self.sent && self.known.as_ref() == Some(&known) {
            return Ok(());
        }
        self.sent.clone_from(&field.update);
        self.send(message::update(&field.update)).await
    }

    async fn write(&mut self, update: Vec<u8>) -> Result<(), End> {
        // A client that comes and has nothing makes no field.
        if update == [0, 0] {
            return Ok(());
        }
        let write = FieldWrite { field: self.field.clone(), kind: self.kind, life: self.life, update };
        let (answer, reply) = oneshot::channel();
        self.ask(FieldRequest::Write(write, answer)).await?;
        if let Some(field) = answered(reply).await? {
            self.life = Some(field.life);
        }
        Ok(())
    }

    /// Reads what a client with a state vector lacks; a field that has begun another life ends the session.
    async fn read(&mut self, known: Vec<u8>) -> Result<Option<Lacking>, End> {
        let (answer, reply) = oneshot::channel();
        self.ask(FieldRequest::Read(self.field.clone(), known, answer)).await?;
        let field = answered(reply).await?;
        let life = field.as_ref().map(|field| field.life);
        if self.life.is_some() && life != self.life {
            return Err(End::Refused(ErrorCode::StoreCrdt));
        }
        self.life = life;
        self.kind = field.as_ref().map_or(self.kind, |field| field.kind);
        Ok(field)
    }

    async fn ask(&self, request: FieldRequest) -> Result<(), End> {
        if self.core.send(Request::Field(request)).await { Ok(()) } else { Err(End::Gone) }
    }

    async fn send(&mut self, bytes: Vec<u8>) -> Result<(), End> {
        match tokio::time::timeout(SEND_MAX, self.sink.send(Message::Binary(bytes.into()))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    /// Tells the others that the client's states have left, and the client why.
    async fn leave(mut self, end: Option<End>) {
        if !self.states.is_empty() {
            let gone = FieldRequest::Say(self.watch, message::gone(&self.states));
            drop(self.ask(gone).await);
        }
        drop(self.ask(FieldRequest::Unwatch(self.watch)).await);
        if let Some(End::Refused(code)) = end {
            let frame = CloseFrame { code: 1008, reason: code.as_str().into() };
            drop(tokio::time::timeout(SEND_MAX, self.sink.send(Message::Close(Some(frame)))).await);
        }
    }
}

async fn answered(reply: oneshot::Receiver<Result<Reply, Failure>>) -> Result<Option<Lacking>, End> {
    match reply.await {
        Ok(Ok(Reply::Field(field))) => Ok(field),
        Ok(Ok(_)) => Err(End::Refused(ErrorCode::Internal)),
        Ok(Err(failure)) => Err(End::Refused(failure.code)),
        Err(_) => Err(End::Gone),
    }
}
