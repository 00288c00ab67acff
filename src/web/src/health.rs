//! How the storage is doing: full, lost, or well; what the application is told of it, and what the engine.
//!
//! A full device refuses commits or maintenance; reads go on, and the next write that succeeds says that there is room again.
//! A device is lost for good when another page has deleted the database: the engine is told to refuse everything, since a
//! store that went on in memory would look alive and keep nothing.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use peer::io::{CommitOutcome, Input};
use store::DeviceError;
use value::{ErrorCode, Failure};
use wasm_bindgen::JsValue;

use crate::driver::Driver;

/// What is known of the device.
#[derive(Default)]
pub struct Health {
    /// The last commit was refused for want of space.
    commits_refused: Cell<bool>,
    /// The last flush or merge was refused for want of space.
    maintenance_refused: Cell<bool>,
    lost: RefCell<Option<String>>,
    /// Somebody wants to hear when the space in use may have changed.
    pub(crate) watched: Cell<bool>,
}

impl Health {
    /// Returns the name that applications see.
    pub fn condition(&self) -> &'static str {
        match (self.lost.borrow().is_some(), self.commits_refused.get() || self.maintenance_refused.get()) {
            (true, _) => "lost",
            (false, true) => "full",
            (false, false) => "ok",
        }
    }

    /// Returns what has happened to a lost device.
    pub fn reason(&self) -> Option<String> {
        self.lost.borrow().clone()
    }
}

impl Driver {
    /// Learns from an answer of the device that is on its way to the engine.
    pub(crate) fn learn(self: &Rc<Self>, input: &Input) {
        let before = self.health.condition();
        match input {
            Input::Committed { outcome: CommitOutcome::Durable(_), .. } => self.health.commits_refused.set(false),
            Input::Committed { outcome: CommitOutcome::Failed(failure), .. } => match failure.code {
                ErrorCode::StoreQuotaExceeded => self.health.commits_refused.set(true),
                ErrorCode::StoreClosed => self.lose(failure.message.clone()),
                _ => {}
            },
            Input::Maintained { result: Ok(_), .. } => self.health.maintenance_refused.set(false),
            Input::Maintained { result: Err(DeviceError::QuotaExceeded), .. } => {
                self.health.maintenance_refused.set(true);
            }
            Input::Maintained { result: Err(error @ DeviceError::Closed), .. } => self.lose(error.to_string()),
            Input::LoadFailed { failure, .. } | Input::Rebooted { image: Err(failure), .. }
                if failure.code == ErrorCode::StoreClosed =>
            {
                self.lose(failure.message.clone());
            }
            _ => {}
        }
        if self.health.condition() != before {
            self.tell_storage();
        }
        if matches!(input, Input::Committed { .. } | Input::LogGrew { .. } | Input::Maintained { .. }) {
            self.space_changed();
        }
    }

    /// The device is gone for good: the engine refuses everything from now on.
    pub(crate) fn lose(self: &Rc<Self>, message: String) {
        if self.closed.get() || self.health.lost.borrow().is_some() {
            return;
        }
        self.health.lost.replace(Some(message.clone()));
        self.tell_storage();
        self.feed(Input::Lost { failure: Failure::new(ErrorCode::StoreClosed, message) });
    }

    fn space_changed(self: &Rc<Self>) {
        if self.health.watched.get() {
            self.emit("space", JsValue::UNDEFINED);
        }
    }
}
