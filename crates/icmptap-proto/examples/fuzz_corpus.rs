//! Writes what the fuzzer in `fuzz/` starts from: a file for each message.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/decode");
    fs::create_dir_all(&directory)?;
    for (i, bytes) in icmptap_proto::testing::corpus().iter().enumerate() {
        fs::write(directory.join(format!("message-{i:03}")), bytes)?;
    }
    println!("{}", directory.display());
    Ok(())
}
