//! A frame of any bytes is refused, or is a message that reads back as written.
#![no_main]

shoal_fuzz::decoder_target!(MESSAGE);
