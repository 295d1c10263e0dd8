//! The processes of the power cut tests; `undertone_tests::power` says what they are for.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match undertone_tests::power::cli::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("undertone-power: {error:#}");
            ExitCode::FAILURE
        }
    }
}
