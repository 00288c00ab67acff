//! Rich fields as Yjs clients have them: what a client lacks, what it wrote, and that something came.
//!
//! In go state vectors and updates (V1); out come updates. What a client wrote waits in the pipeline like a statement, is
//! evaluated over the draft and answered when it is durable. A watch tells that a document was changed and no more: whoever
//! watches asks for what it lacks when it has time, so nothing piles up for a slow one.
//!
//! Not here: what an update means (`crdt`), and what is said between clients without being kept (`ephemeral`).

use std::rc::Rc;

use crdt::Received;
use store::{Durability, ReadError, Store};
use value::limits::FIELD_NAME_BYTES_MAX;
use value::{CollectionName, DocId, ErrorCode, Failure, SmallMap, Value, Writer, hash64};

use crate::draft::{Change, Effect, Write};
use crate::engine::Engine;
use crate::io::{Field, FieldWrite, Output, Reply, Ticket, WatchId};
use crate::packed::Packed;
use crate::pipeline::{Completion, Job, stronger};
use crate::record::LOCAL;
use crate::system::SYSTEM;
use crate::view::View;

/// What was asked of fields.
#[derive(Debug, Default)]
pub struct Fields {
    /// Reads that wait for their turn or for blocks: the field and the client's state vector.
    reads: Vec<(Ticket, Field, Vec<u8>)>,
    watches: SmallMap<WatchId, Field>,
}

/// What a Yjs client wrote, on its way.
#[derive(Debug)]
pub struct FieldJob {
    /// Of the reply.
    pub ticket: Ticket,
    /// What and where.
    pub write: Rc<FieldWrite>,
    /// What it must survive.
    pub durability: Durability,
}

impl Fields {
    /// Takes the tickets of the reads that wait.
    pub fn take_tickets(&mut self) -> Vec<Ticket> {
        std::mem::take(&mut self.reads).into_iter().map(|(ticket, _, _)| ticket).collect()
    }
}

impl Field {
    /// Names a field. Errors: `query/arguments-invalid` for what cannot be one.
    pub fn new(collection: &str, id: &Value, path: Vec<String>) -> Result<Field, Failure> {
        let refuse = |message: &str| Failure::new(ErrorCode::QueryArgumentsInvalid, message);
        let collection = CollectionName::new(collection).map_err(|error| refuse(&error.to_string()))?;
        let id = DocId::new(id).map_err(|error| refuse(&error.to_string()))?;
        if path.first().is_none_or(|name| name == "_id") || path.iter().any(|name| name.len() > FIELD_NAME_BYTES_MAX) {
            return Err(refuse("a rich field has a path of names, which is not that of the _id"));
        }
        if collection.as_str().starts_with(SYSTEM) {
            return Err(refuse("what the peer itself makes cannot be changed"));
        }
        Ok(Field { collection, id, path })
    }

    /// Returns the topic under which clients of this field speak with each other: the same at every peer.
    pub fn topic(&self) -> u64 {
        let mut writer = Writer::new();
        writer.str(self.collection.as_str()).bytes(self.id.as_bytes());
        self.path.iter().for_each(|name| _ = writer.str(name));
        hash64(&writer.finish())
    }
}

impl<S: Store> Engine<S> {
    pub(crate) fn read_field(&mut self, ticket: Ticket, field: Field, known: Vec<u8>) {
        match &self.broken {
            Some(failure) => {
                let failure = failure.clone();
                self.reply(ticket, Err(failure));
            }
            None => self.fields.reads.push((ticket, field, known)),
        }
    }

    pub(crate) fn write_field(&mut self, ticket: Ticket, write: FieldWrite, durability: Durability) {
        match &self.broken {
            Some(failure) => {
                let failure = failure.clone();
                self.reply(ticket, Err(failure));
            }
            None => {
                let write = Rc::new(write);
                self.pipeline.add(Job::Field(FieldJob { ticket, write, durability }));
            }
        }
    }

    pub(crate) fn watch_field(&mut self, watch: WatchId, field: Field) {
        self.fields.watches.insert(watch, field);
    }

    pub(crate) fn unwatch_field(&mut self, watch: WatchId) {
        self.fields.watches.remove(&watch);
    }

    /// Tells the watches of documents that a commit has changed; all of them when nobody knows what it changed.
    pub(crate) fn tell_watches(&mut self, changes: Option<&[Change]>) {
        let is_changed = |field: &Field| {
            changes.is_none_or(|changes| {
                changes.iter().any(|change| change.id == field.id && change.collection == field.collection)
            })
        };
        let told = self.fields.watches.iter().filter(|(_, field)| is_changed(field));
        self.outputs.extend(told.map(|(watch, _)| Output::FieldChanged { watch: *watch }));
    }

    /// Lets observers and watches look at everything again.
    pub(crate) fn mark_observers(&mut self) {
        self.observers.values_mut().for_each(|observer| observer.mark_anyway());
        self.tell_watches(None);
    }

    /// Answers the reads that wait.
    pub(crate) fn run_fields(&mut self) {
        if !self.booted || self.parked {
            return;
        }
        for (ticket, field, known) in std::mem::take(&mut self.fields.reads) {
            let view = View::new(&self.store, &self.indexes, Vec::new());
            let doc = view.doc(&field.collection, &field.id).and_then(|packed| packed.doc());
            match doc {
                Ok(doc) => {
                    let lacking = doc.lacking(&field.path, &known).map_err(Failure::from);
                    self.reply(ticket, lacking.map(Reply::Field));
                }
                Err(error) => match self.park_on(error) {
                    Ok(()) => {
                        self.fields.reads.push((ticket, field, known));
                        self.parked = true;
                    }
                    Err(failure) => self.reply(ticket, Err(failure)),
                },
            }
        }
    }

    /// Adds what a Yjs client wrote to the group; an error means that blocks are missing.
    pub(crate) fn evaluate_field(&mut self, job: &FieldJob) -> Result<(), ReadError> {
        let FieldWrite { field, kind, life, update } = &*job.write;
        let stamp = self.stamp();
        let view = View::new(&self.store, &self.indexes, vec![&self.pipeline.group.draft]);
        let before = view.doc(&field.collection, &field.id)?;
        let known = before.doc()?;
        let received = Received { path: &field.path, kind: *kind, life: *life, update };
        let (mut result, mut wrote) = (Ok(Reply::Field(None)), false);
        match crdt::receive(&known, received, stamp) {
            Err(error) => result = Err(error.into()),
            Ok(delta) => {
                let mut after = known;
                wrote = after.join(&delta);
                // The life of the field, which a client needs for its next write; nothing that it lacks.
                if let Ok(Some(mut lacking)) = after.lacking(&field.path, &[]) {
                    lacking.update.clear();
                    result = Ok(Reply::Field(Some(lacking)));
                }
                if wrote {
                    let newest = delta.newest();
                    self.clock.observe(newest, self.now);
                    let (delta, after) = (Packed::new(&delta), Packed::new(&after));
                    let effect = Effect::Joined { delta, after, newest };
                    let (collection, id) = (field.collection.clone(), field.id.clone());
                    self.pipeline.group.draft.add(LOCAL, Write { collection, id, before, effect });
                }
            }
        }
        let group = &mut self.pipeline.group;
        group.durability = stronger(group.durability, job.durability);
        group.completions.push(Completion::Reply { ticket: job.ticket, result, wrote });
        Ok(())
    }
}
