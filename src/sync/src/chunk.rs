//! Cuts frames to the size of a transport's messages and puts them together again.
//!
//! A chunk is one flag byte and bytes: 0 whole frame, 1 more follows, 2 last. A link is ordered, so no number is needed.

use value::DecodeError;
use value::limits::FRAME_BYTES_MAX;

const WHOLE: u8 = 0;
const MORE: u8 = 1;
const LAST: u8 = 2;

/// Cuts a frame into messages of at most `message_bytes_max` bytes (at least 2).
pub fn split(frame: &[u8], message_bytes_max: usize) -> Vec<Vec<u8>> {
    let body = message_bytes_max.max(2) - 1;
    if frame.len() <= body {
        return vec![chunk(WHOLE, frame)];
    }
    let count = frame.len().div_ceil(body);
    let flag = |index| if index + 1 == count { LAST } else { MORE };
    frame.chunks(body).enumerate().map(|(index, part)| chunk(flag(index), part)).collect()
}

fn chunk(flag: u8, part: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(part.len() + 1);
    message.push(flag);
    message.extend_from_slice(part);
    message
}

/// Puts chunks together, up to a limit that grows when the other side has been authenticated.
#[derive(Debug)]
pub struct Reassembler {
    partial: Vec<u8>,
    open: bool,
    bytes_max: usize,
}

impl Reassembler {
    /// Starts with a small limit, for strangers.
    pub fn new(bytes_max: usize) -> Reassembler {
        Reassembler { partial: Vec::new(), open: false, bytes_max }
    }

    /// Allows whole frames.
    pub fn trust(&mut self) {
        self.bytes_max = FRAME_BYTES_MAX;
    }

    /// Takes a message; returns a frame when it is complete.
    pub fn push(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, DecodeError> {
        let (flag, part) = message.split_first().ok_or(DecodeError::End)?;
        if self.partial.len() + part.len() > self.bytes_max {
            return Err(DecodeError::Limit("frame bytes"));
        }
        match (*flag, self.open) {
            (WHOLE, false) => Ok(Some(part.to_vec())),
            (MORE, _) => {
                self.open = true;
                self.partial.extend_from_slice(part);
                Ok(None)
            }
            (LAST, true) => {
                self.open = false;
                self.partial.extend_from_slice(part);
                Ok(Some(std::mem::take(&mut self.partial)))
            }
            _ => Err(DecodeError::Invalid("chunk flag")),
        }
    }
}
