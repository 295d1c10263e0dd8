use std::time::Duration;

use anyhow::Context;

use super::args::{Device, Link, Options};
use super::home::home;
use super::session::{Session, SessionEvents, ask};
use super::{init, show};
use crate::account;
use crate::command::{Command, CommandError, DeviceCodeView, DeviceView, ErrorKind, IdView, Response};
use crate::event::Event;

/// How long an answer waits for the network, in seconds.
const WAIT_S: u64 = 15;
/// How long a new device waits to be added, in seconds; `undertone run` waits for longer.
const LINK_WAIT_S: u64 = 600;

/// Carries out a command about the user's own devices.
pub(super) async fn device(options: &Options, command: Device) -> anyhow::Result<()> {
    match command {
        Device::Link(new) => link(options, &new).await,
        Device::Add { code } => {
            let device = one(options, Command::DeviceAdd { code }).await?;
            let waits = device.state == "waiting";
            print_one(options, &device, |name| added_text(name, waits))
        }
        Device::List => list(options).await,
        Device::Revoke { name } => {
            let device = one(options, Command::DeviceRevoke { name }).await?;
            print_one(options, &device, |name| format!("{name} is revoked: it gets nothing more."))
        }
    }
}

async fn one(options: &Options, command: Command) -> anyhow::Result<DeviceView> {
    ask(options, command, options.wait(WAIT_S), |response| match response {
        Response::Device(device) => Some(device),
        _ => None,
    })
    .await
}

fn print_one(options: &Options, device: &DeviceView, text: impl Fn(&str) -> String) -> anyhow::Result<()> {
    if options.json { show::json(device) } else { show::line(&text(&show::safe(&device.name))) }
}

async fn list(options: &Options) -> anyhow::Result<()> {
    let devices = ask(options, Command::DeviceList {}, Duration::ZERO, |response| match response {
        Response::Devices(devices) => Some(devices),
        _ => None,
    })
    .await?;
    if options.json {
        return show::json(&devices);
    }
    devices.iter().try_for_each(|device| show::line(&described(device)))
}

fn described(device: &DeviceView) -> String {
    let id = device.device.get(..8).unwrap_or(&device.device);
    let state = match device.state.as_str() {
        "active" if device.this => "this device".to_owned(),
        "linking" => "added; not heard of yet".to_owned(),
        "waiting" => "added; its relay is not reached yet".to_owned(),
        other => other.to_owned(),
    };
    let warning = device.warning.as_ref().map_or_else(String::new, |text| format!(" ! {}", show::safe(text)));
    format!("{} ({id}): {state}, since {}{warning}", show::safe(&device.name), show::time(device.added_ms))
}

fn added_text(name: &str, waits: bool) -> String {
    if waits {
        return format!(
            "{name} is one of your devices, but its relay is not reached yet. What it needs is kept, and sent when \
             it is: keep `undertone run` going."
        );
    }
    format!("{name} is one of your devices. It gets your contacts and messages by itself.")
}

/// Makes this device's account where there is none, shows its code, and waits until it was added.
async fn link(options: &Options, new: &Link) -> anyhow::Result<()> {
    let home = home(options)?;
    if account::check_new(&home).is_ok() {
        init::linking(options, &home, new)?;
    }
    let session = Session::open(options).await?;
    let linked = show_and_wait(options, &session).await;
    session.close().await?;
    linked
}

async fn show_and_wait(options: &Options, session: &Session) -> anyhow::Result<()> {
    let mut events = session.events().await?;
    let wait = options.wait(LINK_WAIT_S);
    let code = session
        .ask(Command::DeviceCode {}, wait.min(Duration::from_secs(WAIT_S)), |response| match response {
            Response::DeviceCode(code) => Some(code),
            _ => None,
        })
        .await?;
    if let Some(text) = &code.code {
        print_code(options, &code, text)?;
        if tokio::time::timeout(wait, added(&mut events)).await.is_err() {
            let message = "not added yet: `undertone run` goes on waiting; `undertone device link` shows the code again";
            return Err(CommandError::new(ErrorKind::Conflict, message).into());
        }
    }
    let id = session
        .ask(Command::Id {}, Duration::ZERO, |response| match response {
            Response::Id(id) => Some(id),
            _ => None,
        })
        .await?;
    print_linked(options, &id)
}

fn print_code(options: &Options, code: &DeviceCodeView, text: &str) -> anyhow::Result<()> {
    if options.json {
        show::json(code)?;
    } else {
        show::line(text)?;
        eprintln!(
            "On the device that you have: `undertone device add CODE`, with this code. Show it to nobody else."
        );
    }
    if !code.ready {
        let why = show::because(code.problem.as_deref());
        eprintln!("warning: no relay knows this device yet{why}, and until one does, it can't be answered");
    }
    Ok(())
}

async fn added(events: &mut SessionEvents) -> anyhow::Result<()> {
    loop {
        if let Event::Devices {} = events.next().await.context("the node stopped")? {
            return Ok(());
        }
    }
}

fn print_linked(options: &Options, id: &IdView) -> anyhow::Result<()> {
    if options.json {
        return show::json(id);
    }
    show::line(&format!(
        "This device is one of {}'s. Its contacts and messages come as `undertone run` goes on.",
        show::safe(&id.name)
    ))
}
