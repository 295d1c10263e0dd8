//! The `undertone` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    undertone::cli::main()
}
