//! A document or a delta of any bytes is refused, or encodes to the same bytes.
#![no_main]

shoal_fuzz::decoder_target!(DOCUMENT);
