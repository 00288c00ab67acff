//! The Big Peer from the outside: its log and view on real files, and the real program over HTTP and signals.

#![allow(clippy::disallowed_methods, reason = "these tests wait for real processes")]

mod attachment;
mod config;
mod execute;
mod file_log;
mod peer;
mod process;
mod program;
mod view;
