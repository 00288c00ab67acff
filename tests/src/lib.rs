//! Cross-room tests live in `native/`; this package has no library code.
