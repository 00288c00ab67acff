//! Shorthand of any bytes is refused or restored, and a delta comes back as it was shortened.
#![no_main]

shoal_fuzz::decoder_target!(SHORTHAND);
