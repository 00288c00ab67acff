//! An entry of the presence map of any bytes is refused, or reads back as written.
#![no_main]

shoal_fuzz::decoder_target!(PRESENCE);
