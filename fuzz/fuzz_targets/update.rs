//! An update of any bytes is refused, or merges like any other.
#![no_main]

shoal_fuzz::decoder_target!(UPDATE);
