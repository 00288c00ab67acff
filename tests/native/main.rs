//! Tests that cross rooms: one binary, one module an area.

mod decoders;
mod decoding;
#[path = "../../src/dql/src/tests/shared/mod.rs"]
#[allow(dead_code, reason = "the language's own tests use the rest")]
mod language;
mod sqlite;
mod wire_vectors;
