//! The messages of `y-protocols` that `y-websocket` carries.
//!
//! A number says what it is: 0 sync, then 0 a state vector, 1 its answer or 2 an update, each with its bytes; 1 awareness with
//! its bytes; 3 who is there? Awareness bytes: how many states, then of each the client, its clock, its state as JSON.

use std::collections::BTreeMap;

use value::{DecodeError, Reader, Writer};

/// Who is there?
pub const ASK: [u8; 1] = [3];
/// Awareness of nobody.
pub const EMPTY_AWARENESS: [u8; 3] = [1, 1, 0];
/// States that one client may announce.
pub const STATES_MAX: usize = 64;
/// Longest awareness, bytes.
const AWARENESS_BYTES_MAX: usize = 16 * 1024;

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// Who is there?
    Ask,
    /// These clients have states, at these clocks.
    Awareness(Vec<(u64, u64)>),
    /// Of another kind.
    Other,
    /// What does somebody who has this lack?
    StateVector(&'a [u8]),
    /// This was written.
    Update(&'a [u8]),
}

/// Reads a message. Errors: it is cut off or too long.
pub fn read(bytes: &[u8]) -> Result<Incoming<'_>, DecodeError> {
    let mut reader = Reader::new(bytes);
    Ok(match reader.var()? {
        0 => match reader.var()? {
            0 => Incoming::StateVector(rest(&mut reader)?),
            1 | 2 => Incoming::Update(rest(&mut reader)?),
            _ => Incoming::Other,
        },
        1 => {
            if bytes.len() > AWARENESS_BYTES_MAX {
                return Err(DecodeError::Limit("awareness bytes"));
            }
            let mut reader = Reader::new(rest(&mut reader)?);
            let mut states = Vec::new();
            for _ in 0..reader.count(STATES_MAX)? {
                states.push((reader.var()?, reader.var()?));
                reader.str(AWARENESS_BYTES_MAX)?;
            }
            Incoming::Awareness(states)
        }
        3 => Incoming::Ask,
        _ => Incoming::Other,
    })
}

fn rest<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    reader.bytes(reader.remaining())
}

/// What does somebody who has this lack?
pub fn state_vector(known: &[u8]) -> Vec<u8> {
    sync(0, known)
}

/// The answer to a state vector.
pub fn answer(update: &[u8]) -> Vec<u8> {
    sync(1, update)
}

/// Something that was written.
pub fn update(update: &[u8]) -> Vec<u8> {
    sync(2, update)
}

fn sync(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = Writer::with_capacity(bytes.len() + 8);
    out.u8(0).u8(kind).bytes(bytes);
    out.finish()
}

/// The states of these clients, by their last clocks, have left. A state that leaves needs no newer clock, and one that
/// comes back with the next is seen.
pub fn gone(states: &BTreeMap<u64, u64>) -> Vec<u8> {
    let mut body = Writer::new();
    body.var(states.len() as u64);
    for (client, clock) in states {
        body.var(*client).var(*clock).str("null");
    }
    let mut out = Writer::new();
    out.u8(1).bytes(&body.finish());
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_are_written() {
        assert_eq!(read(&state_vector(&[1, 7, 5])), Ok(Incoming::StateVector(&[1, 7, 5])));
        assert_eq!(read(&answer(&[0, 0])), Ok(Incoming::Update(&[0, 0])));
        assert_eq!(read(&update(&[0, 0])), Ok(Incoming::Update(&[0, 0])));
        assert_eq!(read(&ASK), Ok(Incoming::Ask));
        assert_eq!(read(&EMPTY_AWARENESS), Ok(Incoming::Awareness(Vec::new())));
        assert_eq!(read(&gone(&BTreeMap::from([(7, 1), (300, 9)]))), Ok(Incoming::Awareness(vec![(7, 1), (300, 9)])));
        assert_eq!(read(&[2, 0]), Ok(Incoming::Other));
        assert_eq!(read(&[0, 9]), Ok(Incoming::Other));
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_refused() {
        for bytes in [&[][..], &[0], &[0, 2], &[0, 2, 5, 1], &[1, 9, 1], &[1, 3, 200, 1, 0], &[0xff; 12]] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
        let mut long = vec![1, 0x80, 0x80, 0x02];
        long.resize(4 + 32 * 1024, 0);
        assert!(read(&long).is_err());
    }
}
