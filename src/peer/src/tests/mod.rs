//! Goal: the engine keeps its contract with applications, with the device and with other peers.
//!
//! Method: whole engines over memory stores and a plain log, joined by links that carry every message at once.

mod blob;
mod blob_faults;
mod blob_walk;
mod columns;
mod commands;
mod export;
mod field;
mod harness;
mod index;
mod index_scan;
mod index_walk;
#[path = "../../../dql/src/tests/shared/mod.rs"]
#[allow(dead_code, reason = "the language's own tests use the rest")]
mod language;
mod live;
mod local;
mod reap;
mod reconcile;
mod repair;
mod replication;
mod scope;
mod shared;
mod tabs;
mod unit;
mod vectors;
