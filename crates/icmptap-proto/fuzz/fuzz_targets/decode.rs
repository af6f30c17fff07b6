//! Everything that reads bytes, given a fuzzer's. tests/robust.rs gives the same
//! function other bytes, with any toolchain.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| icmptap_proto::testing::exercise(bytes));
