//! The command line of `undertone`.
//!
//! A command asks the node that runs for the account, by its local API; where none runs, it starts one
//! within itself for as long as it takes. Exit codes: 0, 2 for a command line that makes no sense, else
//! those of [`ErrorKind::code`](crate::command::ErrorKind::code).

mod args;
mod contacts;
mod devices;
mod groups;
mod home;
mod init;
mod kinds;
mod messages;
mod passphrase;
mod relays;
mod run;
mod session;
mod show;
mod watch;
mod who;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::command::{CommandError, ErrorKind};
use crate::runtime::NodeError;
use args::{Cli, Command, Options};

/// The library of the local API would write whatever is said into the log, at level trace. What goes wrong
/// there comes back as an error.
const API_LOG: &str = "jsonrpsee=off";
/// What `--log` takes.
const LOG_HELP: &str = "give error, warn, info, debug or trace, or a filter like info,undertone=debug";

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    run_from(std::env::args_os())
}

/// Runs the given command line, the program's name first; for programs that carry a node within them.
pub fn run_from(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too; there is nowhere else to say that stdout is gone.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", show::safe(&format!("{error:#}")));
            ExitCode::from(code(&error))
        }
    }
}

fn code(error: &anyhow::Error) -> u8 {
    let kind = if let Some(error) = error.downcast_ref::<CommandError>() {
        error.kind
    } else if let Some(error) = error.downcast_ref::<NodeError>() {
        error.kind()
    } else {
        ErrorKind::Internal
    };
    kind.code()
}

/// What was given makes no sense.
fn invalid(message: impl Into<String>) -> anyhow::Error {
    CommandError::new(ErrorKind::Invalid, message).into()
}

fn execute(cli: Cli) -> anyhow::Result<()> {
    let Cli { options, command } = cli;
    log(&options, &command)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("threads can't be started")?;
    runtime.block_on(carry_out(&options, command))
}

async fn carry_out(options: &Options, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Init(init) => init::init(options, init),
        Command::Run => run::run(options).await,
        Command::Id => who::id(options).await,
        Command::Status => who::status(options).await,
        Command::Invite(invite) => contacts::invite(options, invite).await,
        Command::Contact { command } => contacts::contact(options, command).await,
        Command::Send { name, text } => messages::send(options, name, text).await,
        Command::Reply { message, text } => kinds::reply(options, message, text).await,
        Command::Forward { message, to } => kinds::forward(options, message, to).await,
        Command::React { message, emoji, off: _ } => kinds::react(options, message, emoji).await,
        Command::Edit { message, text } => kinds::edit(options, message, text).await,
        Command::Delete { message, for_me } => kinds::delete(options, message, for_me).await,
        Command::Pin { message, off } => kinds::pin(options, message, off).await,
        Command::Info { message } => kinds::info(options, message).await,
        Command::Retry { name } => messages::retry(options, name).await,
        Command::History { name, limit } => messages::history(options, name, limit).await,
        Command::Read { name } => messages::read(options, name).await,
        Command::Group { command } => groups::group(options, command).await,
        Command::Device { command } => devices::device(options, command).await,
        Command::Relay { command } => relays::relay(options, command).await,
        Command::Watch => watch::watch(options).await,
    }
}

fn log(options: &Options, command: &Command) -> anyhow::Result<()> {
    // Libraries name peers by whole keys at level info.
    let usual = if matches!(command, Command::Run) { "warn,undertone=info" } else { "error" };
    let filter = options.log.as_deref().unwrap_or(usual);
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| invalid(format!("--log {filter}: {error}; {LOG_HELP}")))?;
    let filter = filter.add_directive(API_LOG.parse()?);
    // An error says that the program which carries this one logs already.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // It would say on the same stderr that it is gone, and panic.
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal())
        .try_init();
    Ok(())
}
