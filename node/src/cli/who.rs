use std::time::Duration;

use serde::Serialize;

use super::args::Options;
use super::session::{Session, ask};
use super::show;
use crate::command::{Command, RelayView, Response, StatusView};

/// Prints who this node is.
pub(super) async fn id(options: &Options) -> anyhow::Result<()> {
    let id = ask(options, Command::Id {}, Duration::ZERO, |response| match response {
        Response::Id(id) => Some(id),
        _ => None,
    })
    .await?;
    if options.json {
        return show::json(&id);
    }
    show::line(&format!("{}\nuser   {}\ndevice {}", id.name, id.user, id.device))
}

/// The status with whether a node runs.
#[derive(Serialize)]
struct Status {
    running: bool,
    #[serde(flatten)]
    status: StatusView,
}

/// Prints how the node is.
pub(super) async fn status(options: &Options) -> anyhow::Result<()> {
    let session = Session::open(options).await?;
    let running = matches!(session, Session::Running(_));
    let status = session
        .ask(Command::Status {}, Duration::ZERO, |response| match response {
            Response::Status(status) => Some(status),
            _ => None,
        })
        .await;
    session.close().await?;
    let status = Status { running, status: status? };
    if options.json { show::json(&status) } else { print(&status) }
}

fn print(Status { running, status }: &Status) -> anyhow::Result<()> {
    let node = if *running { "runs" } else { "does not run: start it with `undertone run`" };
    show::line(&format!("{}: the node {node}", status.id.name))?;
    for relay in &status.relays {
        show::line(&format!("relay    {}", described(relay, *running)))?;
    }
    if status.device_state != "active" {
        show::line(&format!("device   {}", status.device_state))?;
    }
    if let Some(warning) = &status.warning {
        show::line(&format!("warning  {warning}"))?;
    }
    if status.relays.is_empty() {
        show::line("relay    none: nobody can reach this account")?;
    }
    show::line(&format!("contacts {}", status.contacts))?;
    if status.requests > 0 {
        let full = match status.requests_kept {
            0 => String::new(),
            kept => format!("; {kept} more show when you accepted or declined some"),
        };
        show::line(&format!("requests {}: see `undertone contact list`{full}", status.requests))?;
    }
    show::line(&format!("to send  {}", status.outbox))
}

fn described(relay: &RelayView, running: bool) -> String {
    let state = match &relay.problem {
        Some(problem) if relay.connected => format!("connected, but {}", show::safe(problem)),
        None if relay.connected => "connected".to_owned(),
        Some(problem) => format!("not connected: {}", show::safe(problem)),
        None if running => "connecting".to_owned(),
        None => "not connected".to_owned(),
    };
    let home = if relay.home { "" } else { " (a contact's)" };
    let key = relay.relay.get(..8).unwrap_or(&relay.relay);
    format!("{key}{home} at {}: {state}", show::safe(&relay.addresses.join(", ")))
}
