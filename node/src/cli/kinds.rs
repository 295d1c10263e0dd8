//! What is done to one message.

use std::time::Duration;

use super::args::{Message, Options};
use super::messages::{counted, done, print, sent, written};
use super::session::ask;
use super::show;
use crate::command::{
    ChangeView, Command, CommandError, DeviceInfo, ErrorKind, InfoView, MemberInfo, MessageView, Response,
};

/// Answers a message.
pub(super) async fn reply(options: &Options, message: Message, text: String) -> anyhow::Result<()> {
    let Message { name, message } = message;
    sent(options, Command::Reply { name, message, text }).await
}

/// Sends a message's text on.
pub(super) async fn forward(options: &Options, message: Message, to: String) -> anyhow::Result<()> {
    let Message { name, message } = message;
    sent(options, Command::Forward { name, message, to }).await
}

/// Reacts, or takes the reaction back.
pub(super) async fn react(options: &Options, message: Message, emoji: Option<String>) -> anyhow::Result<()> {
    let Message { name, message } = message;
    if emoji.as_ref().is_some_and(|emoji| emoji.trim().is_empty()) {
        let text = "a reaction is not empty: `--off` takes it back";
        return Err(CommandError::new(ErrorKind::Invalid, text).into());
    }
    changed(options, Command::React { name, message, reaction: emoji.unwrap_or_default() }).await
}

/// Puts another text in the place of one.
pub(super) async fn edit(options: &Options, message: Message, text: String) -> anyhow::Result<()> {
    let Message { name, message } = message;
    changed(options, Command::Edit { name, message, text }).await
}

/// Deletes a message for everyone, or for oneself.
pub(super) async fn delete(options: &Options, message: Message, for_me: bool) -> anyhow::Result<()> {
    let Message { name, message } = message;
    let command = Command::Delete { name, message, for_me };
    if for_me {
        let count = counted(options, command).await?;
        return print(options, &count, "deleted for you");
    }
    changed(options, command).await
}

/// Pins a message, or takes the pin off.
pub(super) async fn pin(options: &Options, message: Message, off: bool) -> anyhow::Result<()> {
    let Message { name, message } = message;
    changed(options, Command::Pin { name, message, off }).await
}

/// Changes a message, and prints it with how far the change has come.
async fn changed(options: &Options, command: Command) -> anyhow::Result<()> {
    let failed = |message: &MessageView| {
        message.change.as_ref().and_then(|change| Some((change.failed.clone()?, change.retry)))
    };
    done(options, command, "change", change_of, failed).await
}

fn change_of(message: &MessageView) -> String {
    match &message.change {
        Some(change) => {
            let far = show::progress(&change.state, change.failed.as_deref(), change.note.as_deref());
            format!("{}: {far}", called(change))
        }
        None => "it is so already".to_owned(),
    }
}

/// Prints who has a message.
pub(super) async fn info(options: &Options, message: Message) -> anyhow::Result<()> {
    let Message { name, message } = message;
    let command = Command::Info { name, message };
    let info = ask(options, command, Duration::ZERO, |response| match response {
        Response::Info(info) => Some(info),
        _ => None,
    })
    .await?;
    if options.json {
        return show::json(&info);
    }
    lines(&info).iter().try_for_each(|line| show::line(line))
}

fn lines(info: &InfoView) -> Vec<String> {
    let mut lines = vec![written(&info.message), format!("id: {}", info.message.id)];
    for member in &info.members {
        let MemberInfo { name, state, delivered_ms, read_ms, devices, .. } = member;
        lines.push(format!("{}: {}", show::line_of(name), far(state, *delivered_ms, *read_ms)));
        for device in devices {
            let DeviceInfo { name, state, delivered_ms, read_ms, .. } = device;
            lines.push(format!("    {}: {}", show::line_of(name), far(state, *delivered_ms, *read_ms)));
        }
    }
    if !info.message.mine {
        lines.push(format!("Who else has it, only {} is told.", show::line_of(&info.message.from)));
    }
    if !info.members.is_empty() {
        lines.push("Times: when a device first said so, by its own clock.".to_owned());
    }
    lines.extend(info.changes.iter().map(change));
    lines
}

fn far(state: &str, delivered_ms: Option<u64>, read_ms: Option<u64>) -> String {
    let at = |what: &str, ms: Option<u64>| ms.map(|ms| format!("{what} {}", show::time(ms)));
    let times: Vec<String> =
        [at("delivered", delivered_ms), at("read", read_ms)].into_iter().flatten().collect();
    // Of a message this says that it waits at a relay; of a device nobody knows more than that it said nothing.
    let tick = if state == "waiting" { "· not yet".to_owned() } else { show::tick(state) };
    if times.is_empty() { tick } else { format!("{tick} ({})", times.join(", ")) }
}

fn change(change: &ChangeView) -> String {
    let (from, time) = (show::line_of(&change.from), show::time(change.time_ms));
    let far = match (change.mine, &change.failed) {
        (false, _) => String::new(),
        (true, failed) => {
            format!("  {}", show::progress(&change.state, failed.as_deref(), change.note.as_deref()))
        }
    };
    format!("{} by {from} at {time}{far}", called(change))
}

fn called(change: &ChangeView) -> &str {
    match change.kind.as_str() {
        "reaction_off" => "reaction taken back",
        "pin_off" => "pin taken off",
        kind => kind,
    }
}
