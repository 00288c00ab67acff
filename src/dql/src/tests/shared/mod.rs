//! What the tests of the language share with those of the engine, with `tests/native` and with the fuzz targets, each of which
//! names this file in a `#[path]`: the cases of `tests/vectors/dql`, documents and statements at random, and a reader over lists.
//!
//! Invariant: nothing here needs more of the language than what is public.

pub mod case;
pub mod exercise;
pub mod json;
pub mod list;
pub mod query;
pub mod random;
