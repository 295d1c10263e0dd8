use std::collections::BTreeMap;

use anyhow::bail;
use serde_json::json;

use super::args::Options;
use super::contacts::asked;
use super::groups;
use super::messages::{missing, written};
use super::session::{Session, SessionEvents};
use super::show;
use crate::command::{ContactView, MessageView, quoted};
use crate::event::Event;

/// Prints what happens, until it is interrupted or the node is gone.
pub(super) async fn watch(options: &Options) -> anyhow::Result<()> {
    let session = Session::open(options).await?;
    let events = session.events().await?;
    // From here on nothing is missed: whoever starts this may wait for it.
    if options.json {
        show::json(&json!({ "event": "watching" }))?;
    } else {
        show::line("Watching; Ctrl-C ends it.")?;
    }
    tokio::select! {
        printed = print(options, events) => printed,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            session.close().await
        }
    }
}

async fn print(options: &Options, mut events: SessionEvents) -> anyhow::Result<()> {
    // Of groups the line that was told last: what makes no other one needs none.
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    while let Some(event) = events.next().await {
        if options.json {
            show::json(&event)?;
            continue;
        }
        let line = described(&event);
        if let Event::Group { group } = &event
            && told.insert(group.group.clone(), line.clone()).as_ref() == Some(&line)
        {
            continue;
        }
        show::line(&line)?;
    }
    bail!("the node stopped, so nothing more is told: start it again, then watch again")
}

fn described(event: &Event) -> String {
    match event {
        Event::Message { message } => placed(message),
        Event::Changed { message } => format!("changed: {}", placed(message)),
        Event::Hidden { id } => {
            format!("message {}: deleted for you on another of your devices", id.get(..8).unwrap_or(id))
        }
        Event::Tick { contact, id, state, failed } => {
            let id = id.get(..8).unwrap_or(id);
            let far = match failed {
                Some(why) => format!("✗ failed: {}", show::safe(why)),
                None => show::tick(state),
            };
            format!("message {id} to {}: {far}", show::safe(contact))
        }
        Event::Request { contact } => {
            let name = show::safe(&contact.name);
            let text = contact.message.as_deref().map(|text| format!("\n    {}", show::indented(text)));
            let text = text.unwrap_or_default();
            let what = asked(contact);
            format!("{name} asks {what}: `undertone contact accept {}`{text}", quoted(&name))
        }
        Event::Accepted { contact } => format!("{} is a contact now", show::safe(&contact.name)),
        Event::Contact { contact } => changed(contact),
        Event::Lost { lost } => missing(lost),
        Event::Group { group } => format!("group {}", groups::summary(group)),
        Event::RolledBack {} => "this device's files are an old copy: see `undertone status`".to_owned(),
        Event::Copied {} => "a copy of this device's files is in use: see `undertone status`".to_owned(),
        Event::Devices {} => "your devices changed: see `undertone device list`".to_owned(),
        Event::RelayUp { relay } => format!("relay {}: connected", short(relay)),
        Event::RelayDown { relay, reason } => {
            format!("relay {}: not connected ({})", short(relay), show::safe(reason))
        }
        Event::Missed { count } => format!("{count} events were missed: see `undertone history`"),
    }
}

/// A message with where it was said, if its author alone does not tell.
fn placed(message: &MessageView) -> String {
    let (contact, text) = (show::line_of(&message.contact), written(message));
    if message.from == message.contact { text } else { format!("[{contact}] {text}") }
}

fn changed(contact: &ContactView) -> String {
    let name = show::safe(&contact.name);
    match &contact.warning {
        Some(warning) => format!("{name}: {}", show::safe(warning)),
        None => format!("{name}: {}", contact.state),
    }
}

fn short(relay: &str) -> &str {
    relay.get(..8).unwrap_or(relay)
}
