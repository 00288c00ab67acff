//! A parcel of any bytes is refused, or holds rows that read back as written.
#![no_main]

shoal_fuzz::decoder_target!(PARCEL);
