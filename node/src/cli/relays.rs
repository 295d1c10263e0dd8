use std::time::Duration;

use super::args::{Options, Relay};
use super::session::{Session, ask};
use super::show;
use crate::command::{Command, HomeRelayView, Response};

/// How long an answer waits for the network, in seconds.
const WAIT_S: u64 = 15;

/// Carries out a command about the home relays.
pub(super) async fn relay(options: &Options, command: Relay) -> anyhow::Result<()> {
    let (command, done) = match command {
        Relay::List => return list(options).await,
        Relay::Add { address, priority } => {
            (Command::RelayAdd { addresses: address, priority }, "Your contacts know your home relays.")
        }
        Relay::Remove { relay } => (Command::RelayRemove { relay }, "Your contacts don't use it any more."),
        Relay::Move { address } => {
            (Command::RelayMove { addresses: address }, "Your contacts know your new home relay.")
        }
    };
    let relays = ask(options, command, options.wait(WAIT_S), relays).await?;
    if options.json {
        return show::json(&relays);
    }
    print(&relays, true)?;
    let is_done = relays.iter().all(|relay| relay.state == "retiring" || relay.left.is_empty());
    show::line(if is_done {
        done
    } else {
        "What is left is done by `undertone run`, when relays can be reached."
    })
}

async fn list(options: &Options) -> anyhow::Result<()> {
    let session = Session::open(options).await?;
    let running = matches!(session, Session::Running(_));
    let relays = session.ask(Command::RelayList {}, Duration::ZERO, relays).await;
    session.close().await?;
    let relays = relays?;
    if options.json { show::json(&relays) } else { print(&relays, running) }
}

fn relays(response: Response) -> Option<Vec<HomeRelayView>> {
    match response {
        Response::Relays(relays) => Some(relays),
        _ => None,
    }
}

fn print(relays: &[HomeRelayView], running: bool) -> anyhow::Result<()> {
    if relays.is_empty() {
        return show::line("No home relay: nobody can reach this account. See `undertone relay add --help`.");
    }
    relays.iter().try_for_each(|relay| show::line(&described(relay, running)))
}

fn described(relay: &HomeRelayView, running: bool) -> String {
    let key = relay.relay.get(..8).unwrap_or(&relay.relay);
    let address = show::safe(&relay.addresses.join(", "));
    let since = relay.since_ms.map(|ms| format!(" since {}", show::time(ms))).unwrap_or_default();
    let connection = match &relay.problem {
        Some(problem) if relay.connected => format!("connected{since}, but {}", show::safe(problem)),
        None if relay.connected => format!("connected{since}"),
        Some(problem) => format!("not connected{since}: {}", show::safe(problem)),
        None if running => "connecting".to_owned(),
        None => "not connected".to_owned(),
    };
    let state = match (relay.state.as_str(), relay.ends_ms) {
        ("retiring", Some(ends)) => format!("; given up, and forgotten after {}", show::time(ends)),
        ("adding", _) => "; not in use now".to_owned(),
        _ => String::new(),
    };
    let left = if relay.left.is_empty() {
        String::new()
    } else {
        format!("; left to do: {}", relay.left.join(", "))
    };
    format!("{key} at {address}, priority {}: {connection}{state}{left}", relay.priority)
}
