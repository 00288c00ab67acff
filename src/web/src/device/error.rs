//! What browsers throw, as the store's typed errors.
//!
//! rexie carries the browser's exception only in the text of its cause; the exception's name is the first word of it.

use store::DeviceError;
use value::DecodeError;
use wasm_bindgen::JsValue;

use crate::js;

/// Names an error of rexie.
pub fn from_rexie(error: rexie::Error) -> DeviceError {
    match error {
        rexie::Error::IdbError(cause) => from_text(&cause.to_string()),
        other => from_text(&other.to_string()),
    }
}

/// Names an error of making a key range; our keys are always valid, so it is the browser's fault.
pub fn from_key(error: impl std::fmt::Display) -> DeviceError {
    DeviceError::Other(error.to_string())
}

/// Names an exception.
pub fn from_exception(exception: &JsValue) -> DeviceError {
    from_text(&js::describe(exception))
}

/// Names a record that cannot be read.
pub fn damaged(what: &str, error: DecodeError) -> DeviceError {
    match error {
        DecodeError::Version(format) => DeviceError::NewerFormat(format),
        other => DeviceError::Damaged(format!("{what} ({other})")),
    }
}

fn from_text(text: &str) -> DeviceError {
    let says = |word: &str| text.contains(word);
    if says("QuotaExceededError") {
        DeviceError::QuotaExceeded
    } else if says("VersionError") {
        DeviceError::NewerFormat(0)
    } else if says("InvalidStateError") || says("Indexed Database server lost") || says("connection is closing") {
        DeviceError::Closed
    } else if says("SecurityError")
        || says("NotAllowedError")
        || says("not found")
        || says("A mutation operation was attempted")
    {
        // Firefox's private windows answer `InvalidStateError: A mutation operation was attempted on a database that did
        // not allow mutations`; browsers that block storage throw SecurityError, or have no `indexedDB` at all.
        DeviceError::PermissionDenied(text.to_owned())
    } else {
        DeviceError::Other(text.to_owned())
    }
}
