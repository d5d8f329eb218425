//! See `checks::assertion`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| doorward_fuzz::assertion(input));
