//! The `undertone-relay` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    undertone_relay::cli::main()
}
