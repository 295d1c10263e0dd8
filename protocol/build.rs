//! Compiles the wire schema, and that of the device's own records; `protox` needs no protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["device.proto", "relay.proto", "state.proto"], ["proto"])?;
    prost_build::Config::new()
        .bytes([".undertone.v1"])
        // Records hold secrets: not to be printed.
        .skip_debug([".undertone.state.v1"])
        .compile_fds(files)?;
    Ok(())
}
