use std::time::Duration;

use super::args::Options;
use super::session::ask;
use super::show;
use crate::command::{
    Command, CommandError, CountView, ErrorKind, HistoryItem, LostView, MessageView, Response,
};

/// How long an answer waits for the network, in seconds.
const WAIT_S: u64 = 5;

/// Sends a text and prints how far it has come.
pub(super) async fn send(options: &Options, name: String, text: String) -> anyhow::Result<()> {
    let command = Command::Send { name, text };
    let message = ask(options, command, options.wait(WAIT_S), |response| match response {
        Response::Message(message) => Some(message),
        _ => None,
    })
    .await?;
    if options.json {
        show::json(&message)?;
    } else {
        show::line(&show::state(&message))?;
    }
    match message.failed {
        Some(why) => {
            let name = &message.contact;
            let text = format!("the message failed ({why}): try again with `undertone retry {name}`");
            Err(CommandError::new(ErrorKind::Refused, text).into())
        }
        None => Ok(()),
    }
}

/// Tries failed messages again.
pub(super) async fn retry(options: &Options, name: String) -> anyhow::Result<()> {
    let count = counted(options, Command::Retry { name }).await?;
    print(options, &count, "tried again")
}

/// Marks everything as read.
pub(super) async fn read(options: &Options, name: String) -> anyhow::Result<()> {
    let count = counted(options, Command::Read { name }).await?;
    print(options, &count, "read")
}

async fn counted(options: &Options, command: Command) -> anyhow::Result<CountView> {
    ask(options, command, options.wait(WAIT_S), |response| match response {
        Response::Count(count) => Some(count),
        _ => None,
    })
    .await
}

fn print(options: &Options, count: &CountView, done: &str) -> anyhow::Result<()> {
    if options.json {
        return show::json(count);
    }
    let plural = if count.messages == 1 { "" } else { "s" };
    show::line(&format!("{} message{plural} {done}", count.messages))
}

/// Prints the last messages.
pub(super) async fn history(options: &Options, name: String, limit: usize) -> anyhow::Result<()> {
    let command = Command::History { name, limit };
    let messages = ask(options, command, Duration::ZERO, |response| match response {
        Response::History(messages) => Some(messages),
        _ => None,
    })
    .await?;
    if options.json {
        return show::json(&messages);
    }
    messages.iter().try_for_each(|item| match item {
        HistoryItem::Message(message) => show::line(&written(message)),
        HistoryItem::Lost(lost) => show::line(&missing(lost)),
    })
}

/// What stands in the place of messages that are lost.
pub(super) fn missing(lost: &LostView) -> String {
    let from = show::safe(&lost.from);
    match lost.messages {
        1 => format!("-- 1 message of {from} was lost --"),
        messages => format!("-- {messages} messages of {from} were lost --"),
    }
}

/// A message in a line, or more where its text has more.
pub(super) fn written(message: &MessageView) -> String {
    let time = show::time(message.time_ms);
    let (from, text) = (show::safe(&message.from), show::indented(&message.text));
    let state = match message.state.as_str() {
        "read" if !message.mine => String::new(),
        "received" => "  · new".to_owned(),
        _ => format!("  {}", show::state(message)),
    };
    format!("{time} {from}: {text}{state}")
}
