//! Any text is read or refused, prints to a fixed point, and takes no longer than its length allows.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;

#[path = "../../src/dql/src/tests/shared/mod.rs"]
#[allow(dead_code, reason = "the language's own tests use the rest")]
mod shared;

fuzz_target!(|text: &str| {
    let started = Instant::now();
    let _ = shared::exercise::parse_text(text);
    // libFuzzer's texts are short.
    assert!(started.elapsed() < Duration::from_secs(2), "{} bytes", text.len());
});
