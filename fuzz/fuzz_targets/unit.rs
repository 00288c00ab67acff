//! A unit of any bytes is refused, or holds documents that read back as written.
#![no_main]

shoal_fuzz::decoder_target!(UNIT);
