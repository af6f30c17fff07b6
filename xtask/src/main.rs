//! Builds the module, boots real kernels and proves the whole way.

fn main() {}
