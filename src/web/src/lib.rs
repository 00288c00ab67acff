//! The browser's skin of the engine: one open store as a class that JavaScript uses.
//!
//! In go calls of the TypeScript facade (`exports`), events of sockets, data channels, timers and other tabs; out come
//! promises, callbacks, IndexedDB transactions and messages. `driver` stands in the middle: it feeds the engine and carries out
//! its outputs. `device` and `folder` are the storage, `sealed` the same behind a cipher; `links`, `socket` and `rtc` carry
//! frames; `tabs` makes many tabs one peer, `election` says which of them does what for all; `lifecycle` puts a page that stops
//! to sleep; `discovery` finds peers of the same origin; `attachment` brings the bytes of
//! attachments in and out; `zones` asks the host for
//! time zones.
//!
//! Invariants, as absences: no rule of the protocol and none of the language; no decision that the simulator could not have
//! tested; no borrow of the engine while JavaScript runs (but for `zones`, where
//! nothing of ours can be called back); no `JsValue` in any other room; nothing secret in a log.
//!
//! Sources: the WHATWG standards of web sockets, channels and locks; W3C IndexedDB 3.0 and WebRTC 1.0; `docs/storage.md`.

mod attachment;
mod backup;
mod channel;
mod cipher;
mod clock;
mod device;
mod discovery;
mod driver;
mod effects;
mod election;
mod exports;
mod field;
mod folder;
mod health;
mod identity;
mod js;
mod lifecycle;
mod links;
mod lock;
mod log;
mod open;
mod rtc;
mod sealed;
mod socket;
mod storage;
mod tabs;
mod verify;
mod view;
mod zones;

/// A bulk insert makes and drops some 100,000 small values; this one answers each in constant time (docs/decisions/0005).
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: rlsf::GlobalTlsf = rlsf::GlobalTlsf::new();

pub use cipher::Secret;
pub use device::IndexedDb;
pub use exports::Peer;
pub use sealed::Sealed;
