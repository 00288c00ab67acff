//! What the targets of the readers share: their checks, which `tests/native` has, and where mutation starts.

#[path = "../../tests/native/decoders/mod.rs"]
pub mod decoders;

/// A sample stands in place of what libFuzzer has, one time in so many, since there is no corpus to begin with.
const SAMPLE_EVERY: u32 = 64;

/// Makes some bytes into other ones, and says how many.
pub fn mutate(decoder: &decoders::Decoder, data: &mut [u8], size: usize, size_max: usize, seed: u32) -> usize {
    if !seed.is_multiple_of(SAMPLE_EVERY) {
        return libfuzzer_sys::fuzzer_mutate(data, size, size_max);
    }
    let samples = (decoder.samples)();
    let sample = &samples[(seed / SAMPLE_EVERY) as usize % samples.len()];
    let size = sample.len().min(size_max);
    data[..size].copy_from_slice(&sample[..size]);
    size
}

/// Makes a target of a reader.
#[macro_export]
macro_rules! decoder_target {
    ($decoder:ident) => {
        use shoal_fuzz::decoders::$decoder;

        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $decoder.check(bytes));
        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            shoal_fuzz::mutate(&$decoder, data, size, max_size, seed)
        });
    };
}
