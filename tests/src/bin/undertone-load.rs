//! Load on a real relay over the loopback interface; `BENCHMARKS.md` has the figures and how they were taken.
//!
//! It starts itself anew as `undertone-load relay ..`, which is the relay's own command line, and as `undertone-load
//! clients ..`, which is a share of the clients.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    if args.peek().is_some_and(|first| first == "relay") {
        return undertone_relay::cli::run_from(args);
    }
    let ended = if args.peek().is_some_and(|first| first == "clients") {
        undertone_tests::load::clients_from(args)
    } else {
        undertone_tests::load::run_from(std::env::args_os())
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("undertone-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}
