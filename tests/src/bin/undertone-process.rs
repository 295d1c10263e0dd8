//! The programs under test in one: `undertone-process node ..` is the command line of a node,
//! `undertone-process relay ..` that of a relay. Tests start it as they would start the two.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    match args.peek().and_then(|first| first.to_str()) {
        Some("node") => undertone::cli::run_from(args),
        Some("relay") => undertone_relay::cli::run_from(args),
        _ => {
            eprintln!("usage: undertone-process node|relay ARGUMENTS");
            ExitCode::from(2)
        }
    }
}
