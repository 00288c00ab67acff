//! The engine's thread: one input, then all outputs, then the next input.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use peer::io::{BlobAnswer, BlobTask, CommitOutcome, Input, LinkId, LinkKind, Output, Reply, Ticket};
use store::{DeviceError, Durability, Store};
use tokio::sync::{mpsc, oneshot, watch};
use value::{ErrorCode, Failure, Seq};

use super::Request;
use super::fields::Fields;
use crate::clock::{Stopwatch, now};
use crate::link::{Closing, Outbox};
use crate::log::{AppendError, LogEngine};
use crate::metrics::Metrics;
use crate::view::View;

/// The engine over the view.
pub(super) type Engine = peer::Engine<View>;

/// What is served before any request.
#[derive(Debug)]
pub(crate) enum Event {
    /// The disk of blobs answered.
    Blob(BlobAnswer),
    /// The log answered.
    Committed(Ticket, CommitOutcome),
    /// End cleanly.
    Stop,
}

type Waiter = oneshot::Sender<Result<Reply, Failure>>;

pub(super) struct Worker {
    engine: Engine,
    log: Arc<dyn LogEngine>,
    database: String,
    metrics: Arc<Metrics>,
    events: mpsc::UnboundedSender<Event>,
    blobs: std::sync::mpsc::Sender<BlobTask>,
    applied: watch::Sender<Seq>,
    links: BTreeMap<LinkId, Outbox>,
    fields: Fields,
    waiting: HashMap<Ticket, Waiter>,
    tickets: u64,
    /// When the commit that is on its way was asked for.
    committing: Option<Stopwatch>,
    /// Why a link is closed that the engine closes without a code.
    closing: Closing,
}

impl Worker {
    pub(super) fn new(
        engine: Engine,
        log: Arc<dyn LogEngine>,
        database: String,
        metrics: Arc<Metrics>,
        (events, blobs): (mpsc::UnboundedSender<Event>, std::sync::mpsc::Sender<BlobTask>),
        applied: watch::Sender<Seq>,
    ) -> Worker {
        Worker {
            engine,
            log,
            database,
            metrics,
            events,
            blobs,
            applied,
            links: BTreeMap::new(),
            fields: Fields::default(),
            waiting: HashMap::new(),
            tickets: 0,
            committing: None,
            closing: Closing::Normal,
        }
    }

    /// Serves until `Event::Stop`.
    pub(super) fn serve(mut self, mut requests: mpsc::Receiver<Request>, mut events: mpsc::UnboundedReceiver<Event>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "the engine's timer cannot be made"),
        };
        runtime.block_on(async {
            // The engine is alone on its view and its links are its own.
            self.handle(Input::MayCompact(true));
            self.handle(Input::MayLink(true));
            self.handle(Input::SyncOn(true));
            self.run(&mut requests, &mut events).await;
            self.stop(&mut requests, &mut events).await;
        });
    }

    /// Tells the waiting requests how far readers see.
    pub(super) fn publish(&self) {
        let seq = self.engine.store().applied();
        self.applied.send_if_modified(|applied| {
            let moved = *applied != seq;
            *applied = seq;
            moved
        });
    }

    async fn run(&mut self, requests: &mut mpsc::Receiver<Request>, events: &mut mpsc::UnboundedReceiver<Event>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let timeout = self.engine.next_timeout();
            if timeout.is_some_and(|at| at <= now()) {
                self.handle(Input::Timeout);
            }
            let sleep = timeout.map_or(IDLE, |at| Duration::from_millis(at.since(now())).min(IDLE));
            tokio::select! {
                biased;
                event = events.recv() => match event {
                    Some(Event::Blob(answer)) => self.handle(Input::BlobAnswered(answer)),
                    Some(Event::Committed(ticket, outcome)) => self.committed(ticket, outcome),
                    Some(Event::Stop) | None => return,
                },
                count = requests.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    for request in batch.drain(..) {
                        self.serve_request(request);
                    }
                }
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Ends: no more requests, all links closed, the commit on its way and those behind it answered.
    async fn stop(&mut self, requests: &mut mpsc::Receiver<Request>, events: &mut mpsc::UnboundedReceiver<Event>) {
        requests.close();
        while let Ok(request) = requests.try_recv() {
            self.serve_request(request);
        }
        self.closing = Closing::Restart;
        self.handle(Input::SyncOn(false));
        let deadline = tokio::time::Instant::now() + STOP_MAX;
        while self.committing.is_some() {
            match tokio::time::timeout_at(deadline, events.recv()).await {
                Ok(Some(Event::Committed(ticket, outcome))) => self.committed(ticket, outcome),
                Ok(Some(Event::Blob(_) | Event::Stop)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        for (_, waiter) in self.waiting.drain() {
            drop(waiter.send(Err(super::closed())));
        }
    }

    fn serve_request(&mut self, request: Request) {
        match request {
            Request::Blob { ask, answer } => {
                self.tickets += 1;
                let ticket = Ticket(self.tickets);
                self.waiting.insert(ticket, answer);
                self.handle(Input::Blob(ask.request(ticket)));
            }
            Request::Execute { text, args, answer } => {
                self.tickets += 1;
                let ticket = Ticket(self.tickets);
                self.waiting.insert(ticket, answer);
                // A reply over HTTP always means that the write is on the device.
                let durability = Durability::Strict;
                self.handle(Input::Execute { ticket, transaction: None, text, args, durability });
            }
            Request::Field(request) => {
                self.tickets += 1;
                let ticket = Ticket(self.tickets);
                let (input, answer) = self.fields.take(request, ticket);
                if let Some(answer) = answer {
                    self.waiting.insert(ticket, answer);
                }
                if let Some(input) = input {
                    self.handle(input);
                }
            }
            Request::Frame(link, bytes) if self.links.contains_key(&link) => {
                self.metrics.frames_received.inc();
                self.metrics.bytes_received.inc_by(bytes.len() as u64);
                self.handle(Input::Frame { link, bytes });
            }
            // Of a link that this side has closed.
            Request::Frame(..) => {}
            Request::LinkDown(link) => {
                if self.links.remove(&link).is_some() {
                    self.metrics.links.dec();
                    self.handle(Input::LinkDown { link });
                }
            }
            Request::LinkUp(link, outbox) => {
                self.links.insert(link, outbox);
                self.metrics.links.inc();
                self.handle(Input::LinkUp { link, kind: LinkKind::WebSocket, target: None });
            }
        }
    }

    fn committed(&mut self, ticket: Ticket, outcome: CommitOutcome) {
        if let Some(start) = self.committing.take() {
            self.metrics.commit_seconds.observe(start.seconds());
        }
        self.handle(Input::Committed { ticket, outcome });
    }

    /// Gives the engine an input and carries out everything that it wants.
    fn handle(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            self.engine.handle(now(), input);
            // Readers see a commit before its author hears of it.
            self.publish();
            while let Some(output) = self.engine.poll() {
                self.carry_out(output, &mut inputs);
            }
        }
    }

    fn carry_out(&mut self, output: Output, inputs: &mut Vec<Input>) {
        match output {
            Output::Blob(task) => {
                if self.blobs.send(task).is_err() {
                    tracing::error!(database = %self.database, "the thread of the attachments has ended");
                }
            }
            Output::Close { link, code } => {
                if let Some(outbox) = self.links.remove(&link) {
                    self.metrics.links.dec();
                    tracing::debug!(database = %self.database, link = link.0, code = ?code, "link closed");
                    outbox.close(code.map_or(self.closing, Closing::Refused));
                }
            }
            Output::Commit { ticket, expected, record, .. } => self.append(ticket, expected, record),
            Output::Load { ticket, .. } => {
                let failure = Failure::new(ErrorCode::Internal, "the view has no blocks to load");
                inputs.push(Input::LoadFailed { ticket, failure });
            }
            Output::Maintain { ticket, .. } => {
                let error = DeviceError::Other("the view maintains itself".to_owned());
                inputs.push(Input::Maintained { ticket, result: Err(error) });
            }
            Output::BlobDamaged { what } | Output::Damaged { what } => {
                tracing::error!(database = %self.database, what, "damaged data was given up")
            }
            Output::Reboot { ticket } => {
                let failure = Failure::new(ErrorCode::Internal, "nobody else writes to the log of a server");
                inputs.push(Input::Rebooted { ticket, image: Err(failure) });
            }
            Output::Reload { ticket } => {
                let failure = Failure::new(ErrorCode::Internal, "the view has no manifest");
                inputs.push(Input::Reloaded { ticket, manifest: Err(failure) });
            }
            Output::Reply { ticket, result } => {
                if let Some(waiter) = self.waiting.remove(&ticket) {
                    // The requester may have gone; its statement was carried out all the same.
                    drop(waiter.send(result));
                }
            }
            Output::FieldChanged { watch } => self.fields.changed(watch),
            Output::Said { topic, payload } => self.fields.tell(topic, None, &payload),
            Output::Send { link, bytes } => self.send(link, bytes, inputs),
            Output::TransactionOpen { transaction, open_ms } => {
                tracing::warn!(transaction = transaction.0, open_ms, "a transaction is open for long");
            }
            // A server dials nobody, has no application beside it and no other tab.
            Output::AuthenticationRequired { .. }
            | Output::BlobProgress { .. }
            | Output::Dial { .. }
            | Output::Notify { .. }
            | Output::Presence(_)
            | Output::Published { .. }
            | Output::Signal { .. }
            | Output::Status(_) => {}
        }
    }

    fn append(&mut self, ticket: Ticket, expected: Seq, record: Vec<u8>) {
        self.committing = Some(Stopwatch::start());
        let events = self.events.clone();
        let answer = move |result| {
            let outcome = match result {
                Ok(seq) => CommitOutcome::Durable(seq),
                Err(AppendError::Conflict(entries)) => CommitOutcome::Conflict(entries),
                Err(AppendError::Failed(error)) => CommitOutcome::Failed(error.to_failure()),
            };
            // The engine's thread is gone only after it has stopped waiting.
            drop(events.send(Event::Committed(ticket, outcome)));
        };
        self.log.append(&self.database, Some(expected), record, Box::new(answer));
    }

    fn send(&mut self, link: LinkId, bytes: Vec<u8>, inputs: &mut Vec<Input>) {
        let Some(outbox) = self.links.get(&link) else { return };
        self.metrics.frames_sent.inc();
        self.metrics.bytes_sent.inc_by(bytes.len() as u64);
        if outbox.push(bytes) {
            return;
        }
        tracing::debug!(database = %self.database, link = link.0, "link closed: it reads too slowly");
        self.metrics.links_overflowed.inc();
        if let Some(outbox) = self.links.remove(&link) {
            self.metrics.links.dec();
            outbox.close(Closing::Refused(ErrorCode::SyncBusy));
        }
        inputs.push(Input::LinkDown { link });
    }
}

/// Requests served before the log's answers are looked at again.
const BATCH: usize = 64;
/// A timer that is never due is looked at this often.
const IDLE: Duration = Duration::from_secs(3600);
/// How long a stop waits for the log.
const STOP_MAX: Duration = Duration::from_secs(5);
