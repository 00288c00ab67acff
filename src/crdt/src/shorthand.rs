//! The short form of a delta on a link: what the link has said before is not said again.
//!
//! A delta names its actors with eight bytes each and its first stamp with some seven. On a link the same few actors write
//! again and again, soon after each other. So an actor becomes its place among the recent ones, and the milliseconds of the
//! first stamp become the difference to those of the delta before. The rest of the bytes is as it is, and what is restored
//! is byte for byte what was shortened: nothing here decides whether it is a document.
//!
//! Layout: head, epoch if there is one, count of actors, each: 0 and its eight bytes, or its place + 1; count of stamps; if
//! there is one, zigzag of the difference in milliseconds; the rest of the delta.

use value::{DecodeError, Reader, Recent, Writer};

use crate::encode::HEAD_EPOCH;

/// What one direction of a link remembers. Both ends must see the same deltas in the same order.
#[derive(Debug, Default)]
pub struct Shorthand {
    actors: Recent<u64>,
    milliseconds: u64,
}

impl Shorthand {
    /// Returns the short form of a delta's bytes.
    ///
    /// Errors: they are no delta; nothing is remembered then.
    pub fn shorten(&mut self, delta: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut reader = Reader::new(delta);
        let mut out = Writer::with_capacity(delta.len());
        copy_head(&mut reader, &mut out)?;
        let actors = reader.count(delta.len())?;
        let actors = (0..actors).map(|_| reader.fixed64()).collect::<Result<Vec<u64>, _>>()?;
        let stamps = reader.var()?;
        let milliseconds = if stamps > 0 { Some(reader.var()?) } else { None };
        out.var(actors.len() as u64);
        for actor in actors {
            match self.actors.place(|known| *known == actor) {
                Some(place) => _ = out.var(place as u64 + 1),
                None => {
                    out.u8(0).fixed64(actor);
                    self.actors.add(actor);
                }
            }
        }
        out.var(stamps);
        if let Some(milliseconds) = milliseconds {
            out.var_signed(milliseconds.wrapping_sub(self.milliseconds).cast_signed());
            self.milliseconds = milliseconds;
        }
        out.raw(reader.rest());
        Ok(out.finish())
    }

    /// Returns the bytes of a delta from its short form.
    ///
    /// Errors: a place where nothing is, or bytes that end early.
    pub fn restore(&mut self, short: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut reader = Reader::new(short);
        let mut out = Writer::with_capacity(short.len() + 24);
        copy_head(&mut reader, &mut out)?;
        // An actor takes at least a byte.
        let actors = reader.count(short.len())?;
        out.var(actors as u64);
        for _ in 0..actors {
            let actor = match usize::try_from(reader.var()?) {
                Ok(0) => {
                    let actor = reader.fixed64()?;
                    self.actors.add(actor);
                    actor
                }
                Ok(place) => *self.actors.at(place - 1).ok_or(DecodeError::Invalid("actor"))?,
                Err(_) => return Err(DecodeError::Invalid("actor")),
            };
            out.fixed64(actor);
        }
        let stamps = reader.var()?;
        out.var(stamps);
        if stamps > 0 {
            self.milliseconds = self.milliseconds.wrapping_add(reader.var_signed()?.cast_unsigned());
            out.var(self.milliseconds);
        }
        out.raw(reader.rest());
        Ok(out.finish())
    }
}

/// Copies the first byte, and the epoch if it says that there is one.
fn copy_head(reader: &mut Reader<'_>, out: &mut Writer) -> Result<(), DecodeError> {
    let head = reader.u8()?;
    out.u8(head);
    if head & HEAD_EPOCH != 0 {
        out.var(reader.var()?);
    }
    Ok(())
}
