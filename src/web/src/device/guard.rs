//! What the device knows of the database as a whole: whose store it is, and whether it is still there.
//!
//! A connection that was lost may be opened again only over the store that it was opened on: over an empty or another
//! database the tab would write the second half of a store without its first.

use std::cell::{Cell, RefCell};

use store::DeviceError;

/// The record that tells one store from another.
pub const IDENTITY: &str = "identity";

/// What has become of the database.
#[derive(Default)]
pub struct Guard {
    lost: Cell<bool>,
    identity: RefCell<Option<Vec<u8>>>,
    told: RefCell<Option<Box<dyn FnOnce(String)>>>,
}

impl Guard {
    /// Says whether the database was taken away; nothing is read or written any more.
    pub fn is_lost(&self) -> bool {
        self.lost.get()
    }

    /// Names who is told when it is taken away.
    pub fn on_lost(&self, told: impl FnOnce(String) + 'static) {
        self.told.replace(Some(Box::new(told)));
    }

    /// Remembers whose store this is.
    pub fn belongs_to(&self, identity: &[u8]) {
        self.identity.replace(Some(identity.to_vec()));
    }

    /// Checks what a connection that was opened again has found.
    pub fn check(&self, identity: Option<&[u8]>) -> Result<(), DeviceError> {
        match self.identity.borrow().as_deref() {
            Some(known) if identity != Some(known) => {}
            _ => return Ok(()),
        }
        self.lose("the browser has deleted this database; open it again to start with a fresh replica");
        Err(DeviceError::Closed)
    }

    /// Notes that the database is gone, and why.
    pub fn lose(&self, why: &str) {
        self.lost.set(true);
        let told = self.told.take();
        if let Some(told) = told {
            told(why.to_owned());
        }
    }
}
