//! The processes of the power cut tests; `undertone_tests::power` says what they are for.
//!
//! It starts itself anew as `undertone-power relay ..`, which is the relay's own command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).peekable();
    if args.peek().is_some_and(|first| first == "relay") {
        return undertone_relay::cli::run_from(args);
    }
    match undertone_tests::power::cli::run(&args.collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("undertone-power: {error:#}");
            ExitCode::FAILURE
        }
    }
}
