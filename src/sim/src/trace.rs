//! What happened: a hash that two runs of one seed must share, and lines for people.
//!
//! The hash takes in every input and output of every engine with its time, so that the first difference between two runs
//! shows. Lines are made only when somebody wants them.

use peer::io::{BlobAnswer, BlobTask, Input, Output, Reply};
use value::{Millis, Value, Writer, cbor, hash64};

/// The record of a run.
#[derive(Debug, Default)]
pub struct Trace {
    hash: u64,
    lines: Lines,
}

impl Trace {
    /// Starts a record, with or without lines.
    pub fn new(lines: Lines) -> Trace {
        Trace { hash: 0, lines }
    }

    /// Returns the hash of everything so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Notes an event of the simulator itself.
    pub fn note(&mut self, at: Millis, text: &str) {
        self.mix(at, u64::MAX, text.as_bytes());
        if self.lines == Lines::Printed {
            println!("{:>8}    {text}", at.0);
        }
    }

    /// Notes what an engine is told.
    pub fn input(&mut self, at: Millis, node: usize, input: &Input) {
        let bytes = match input {
            Input::Frame { link, bytes } => Writer::new().var(link.0).raw(bytes).clone().finish(),
            Input::Loaded { ticket, blocks } => {
                let mut writer = Writer::new();
                writer.var(ticket.0);
                for (block, bytes) in blocks {
                    writer.raw(&block.to_bytes()).bytes(bytes.as_deref().unwrap_or_default());
                }
                writer.finish()
            }
            Input::BlobAnswered(BlobAnswer::Read { ticket, bytes }) => {
                let bytes = bytes.as_ref().ok().and_then(Option::as_deref);
                Writer::new().var(ticket.0).raw(bytes.unwrap_or_default()).clone().finish()
            }
            other => format!("{other:?}").into_bytes(),
        };
        self.mix(at, node as u64 * 2, &bytes);
        if self.lines == Lines::Printed {
            let text = match input {
                Input::Frame { link, bytes } => format!("Frame {} {} bytes {}", link.0, bytes.len(), kind(bytes)),
                Input::BlobAnswered(BlobAnswer::Read { ticket, .. }) => format!("BlobAnswered Read {}", ticket.0),
                other => clip(format!("{other:?}")),
            };
            println!("{:>8} {node} <- {text}", at.0);
        }
    }

    /// Notes what an engine asks.
    pub fn output(&mut self, at: Millis, node: usize, output: &Output) {
        let bytes = match output {
            Output::Send { link, bytes } => Writer::new().var(link.0).raw(bytes).clone().finish(),
            Output::Commit { ticket, record, .. } => Writer::new().var(ticket.0).raw(record).clone().finish(),
            Output::Notify { observer, rows } => {
                let rows = rows.iter().map(|row| Value::clone(row)).collect();
                Writer::new().var(observer.0).raw(&cbor::encode(&Value::Array(rows))).clone().finish()
            }
            Output::Maintain { ticket, batch } => {
                let mut writer = Writer::new();
                writer.var(ticket.0).bytes(&batch.manifest);
                batch.puts.iter().for_each(|(_, bytes)| _ = writer.bytes(bytes));
                writer.finish()
            }
            Output::Status(status) => {
                let links = status.links.len() as u64;
                let mut writer = Writer::new();
                writer.var(status.pending_commits).var(status.catching_up).var(status.documents_received).var(links);
                writer.finish()
            }
            Output::Blob(BlobTask::Write { ticket, place, part, bytes }) => {
                Writer::new().var(ticket.0).var(place.0).var(u64::from(*part)).raw(bytes).clone().finish()
            }
            Output::Reply { ticket, result: Ok(Reply::BlobChunk(bytes)) } => {
                Writer::new().var(ticket.0).raw(bytes).clone().finish()
            }
            other => format!("{other:?}").into_bytes(),
        };
        self.mix(at, node as u64 * 2 + 1, &bytes);
        if self.lines == Lines::Printed {
            let text = match output {
                Output::Send { link, bytes } => format!("Send {} {} bytes {}", link.0, bytes.len(), kind(bytes)),
                Output::Commit { ticket, expected, record, durability, .. } => {
                    format!("Commit {} after {} {} bytes {durability:?}", ticket.0, expected.0, record.len())
                }
                Output::Maintain { ticket, batch } => {
                    format!("Maintain {} +{} -{} blocks", ticket.0, batch.puts.len(), batch.deletes.len())
                }
                Output::Blob(BlobTask::Write { ticket, place, part, bytes }) => {
                    format!("Blob Write {} part {part} of {place:?} {} bytes", ticket.0, bytes.len())
                }
                Output::Reply { ticket, result: Ok(Reply::BlobChunk(bytes)) } => {
                    format!("Reply {} chunk of {} bytes", ticket.0, bytes.len())
                }
                other => clip(format!("{other:?}")),
            };
            println!("{:>8} {node} -> {text}", at.0);
        }
    }

    fn mix(&mut self, at: Millis, who: u64, bytes: &[u8]) {
        let mut writer = Writer::new();
        writer.fixed64(self.hash).fixed64(at.0).fixed64(who).raw(bytes);
        self.hash = hash64(&writer.finish());
    }
}

/// Whether lines are made. They are printed at once, so that those before a panic are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lines {
    /// Only the hash.
    #[default]
    None,
    /// To the standard output.
    Printed,
}

fn clip(mut text: String) -> String {
    const SHOWN: usize = 900;
    if text.len() > SHOWN {
        let end = (0..=SHOWN).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Names the message in an unchunked frame.
fn kind(bytes: &[u8]) -> String {
    match bytes.split_first() {
        Some((0, frame)) => match sync::wire::Message::decode(frame) {
            Ok(Some(message)) => clip(format!("{message:?}")),
            Ok(None) => "of an unknown kind".to_owned(),
            Err(error) => format!("that do not parse: {error}"),
        },
        _ => "of a longer frame".to_owned(),
    }
}
