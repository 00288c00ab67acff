//! A folder of the host as the store's device of files needs it: an object that the package makes where there are files.
//!
//! In go names, bytes and lengths; out come bytes and names; what the host throws becomes a typed error by its `code`, which is
//! the operating system's. Every call is synchronous. `pkg/src/node-folder.ts` is the other side.

use js_sys::{Array, Uint8Array};
use store::{DeviceError, Durability, Folder};
use wasm_bindgen::prelude::*;

use crate::js;

/// A locked folder.
#[derive(Clone)]
pub struct HostFolder {
    host: JsValue,
}

impl HostFolder {
    /// Takes `{list, read, write, append, cut, remove, sync, close}`; `None` for `undefined`.
    pub fn from_js(host: &JsValue) -> Option<HostFolder> {
        host.is_object().then(|| HostFolder { host: host.clone() })
    }

    /// Lets go of the folder and its lock; later calls answer `Closed`.
    pub fn close(&self) {
        if let Err(error) = self.call("close", &[]) {
            js::warn(&format!("[shoal] the folder was not unlocked: {error}"));
        }
    }

    fn call(&self, method: &str, arguments: &[JsValue]) -> Result<JsValue, DeviceError> {
        js::call(&self.host, method, arguments).map_err(|exception| named(&exception))
    }
}

impl Folder for HostFolder {
    fn list(&self) -> Result<Vec<String>, DeviceError> {
        let names = self.call("list", &[])?;
        Ok(Array::from(&names).iter().filter_map(|name| name.as_string()).collect())
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, DeviceError> {
        let bytes = self.call("read", &[name.into()])?;
        Ok(bytes.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DeviceError> {
        self.call("write", &[name.into(), js::bytes_to(bytes)]).map(drop)
    }

    fn append(&self, name: &str, bytes: &[u8], durability: Durability) -> Result<(), DeviceError> {
        let strict = durability == Durability::Strict;
        self.call("append", &[name.into(), js::bytes_to(bytes), strict.into()]).map(drop)
    }

    fn cut(&self, name: &str, bytes: u64) -> Result<(), DeviceError> {
        self.call("cut", &[name.into(), JsValue::from_f64(bytes as f64)]).map(drop)
    }

    fn remove(&self, name: &str) -> Result<(), DeviceError> {
        self.call("remove", &[name.into()]).map(drop)
    }

    fn sync(&self) -> Result<(), DeviceError> {
        self.call("sync", &[]).map(drop)
    }
}

fn named(exception: &JsValue) -> DeviceError {
    let text = js::describe(exception);
    match js::property(exception, "code").as_string().as_deref() {
        Some("CLOSED") => DeviceError::Closed,
        Some("EDQUOT" | "ENOSPC") => DeviceError::QuotaExceeded,
        Some("EACCES" | "EPERM" | "EROFS") => DeviceError::PermissionDenied(text),
        Some(_) | None => DeviceError::Other(text),
    }
}
