//! Tests that cross rooms: one binary, one module an area.

mod wire_vectors;
