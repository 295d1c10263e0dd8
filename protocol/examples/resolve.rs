//! Who is in a group: reads operations as JSON from standard input, and prints what follows from them
//! (`spec/groups.md`, "Resolving JSON").
//!
//! `cargo run -q -p undertone-protocol --example resolve < ops.json`

use std::io::{self, Read, Write};
use std::process::ExitCode;

use undertone_protocol::membership::resolve_json;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(io::stderr(), "resolve: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|error| format!("standard input: {error}"))?;
    let output = resolve_json(&text).map_err(|error| error.to_string())?;
    writeln!(io::stdout(), "{output}").map_err(|error| format!("standard output: {error}"))
}
