//! The clients that are bound to rich fields, as the engine's thread knows them.
//!
//! A client asks, and is told that its field's document was changed, once however often, and what others say about the field;
//! what it does not take in time of that is dropped, since nothing said is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use peer::io::{Field, FieldWrite, Input, Reply, Ticket, WatchId};
use store::Durability;
use tokio::sync::{Notify, mpsc, oneshot};
use value::Failure;

type Answer = oneshot::Sender<Result<Reply, Failure>>;

/// What a client of a field asks.
#[derive(Debug)]
pub(crate) enum FieldRequest {
    /// What does a client with this state vector lack?
    Read(Field, Vec<u8>, Answer),
    /// Tell all others who are bound to the same field.
    Say(WatchId, Vec<u8>),
    /// Is gone.
    Unwatch(WatchId),
    /// Is there.
    Watch(WatchId, Field, Subscriber),
    /// Take in what it wrote.
    Write(FieldWrite, Answer),
}

/// How a client is told.
#[derive(Debug)]
pub(crate) struct Subscriber {
    /// The field's document was changed.
    pub changed: Arc<Notify>,
    /// Somebody said this.
    pub said: mpsc::Sender<Vec<u8>>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Fields {
    subscribers: BTreeMap<WatchId, (u64, Subscriber)>,
}

impl Fields {
    /// Turns a request into what the engine is told; `ticket` is kept for the answer.
    pub(super) fn take(&mut self, request: FieldRequest, ticket: Ticket) -> (Option<Input>, Option<Answer>) {
        match request {
            FieldRequest::Read(field, known, answer) => (Some(Input::ReadField { ticket, field, known }), Some(answer)),
            FieldRequest::Say(from, payload) => {
                let Some((topic, _)) = self.subscribers.get(&from) else { return (None, None) };
                let topic = *topic;
                self.tell(topic, Some(from), &payload);
                (Some(Input::Say { topic, payload }), None)
            }
            FieldRequest::Unwatch(watch) => {
                self.subscribers.remove(&watch);
                (Some(Input::UnwatchField { watch }), None)
            }
            FieldRequest::Watch(watch, field, subscriber) => {
                self.subscribers.insert(watch, (field.topic(), subscriber));
                (Some(Input::WatchField { watch, field }), None)
            }
            // As over HTTP: what is answered is on the device.
            FieldRequest::Write(write, answer) => {
                (Some(Input::WriteField { ticket, write, durability: Durability::Strict }), Some(answer))
            }
        }
    }

    /// Tells a client that its field's document was changed.
    pub(super) fn changed(&self, watch: WatchId) {
        if let Some((_, subscriber)) = self.subscribers.get(&watch) {
            subscriber.changed.notify_one();
        }
    }

    /// Tells the clients of a topic, but for one, what somebody said.
    pub(super) fn tell(&self, topic: u64, except: Option<WatchId>, payload: &[u8]) {
        for (watch, (of, subscriber)) in &self.subscribers {
            if *of == topic && Some(*watch) != except {
                // A client that is behind misses it, and hears the next.
                drop(subscriber.said.try_send(payload.to_vec()));
            }
        }
    }
}
