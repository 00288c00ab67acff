//! Any statement is planned and run with arguments and indexes; an index changes no answer.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/dql/src/tests/shared/mod.rs"]
#[allow(dead_code, reason = "the language's own tests use the rest")]
mod shared;

fuzz_target!(|text: &str| shared::exercise::plan_and_run(text));
