use std::time::Duration;

use super::args::Options;
use super::session::ask;
use super::show;
use crate::command::{
    Command, CommandError, CountView, ErrorKind, HistoryItem, LostView, MessageView, ReactionView, ReplyView,
    Response, quoted,
};

/// How long an answer waits for the network, in seconds.
pub(super) const WAIT_S: u64 = 5;
/// Digits of a message's id that are shown.
pub(super) const SHORT_ID: usize = 8;

/// Sends a text and prints how far it has come.
pub(super) async fn send(options: &Options, name: String, text: String) -> anyhow::Result<()> {
    sent(options, Command::Send { name, text }).await
}

/// Sends a message by a command and prints how far it has come.
pub(super) async fn sent(options: &Options, command: Command) -> anyhow::Result<()> {
    let failed = |message: &MessageView| Some((message.failed.clone()?, message.retry));
    done(options, command, "message", show::state, failed).await
}

/// Does something to a conversation, prints how far it has come, and says why it failed; `failed`: that, and whether it can be
/// tried again.
pub(super) async fn done(
    options: &Options,
    command: Command,
    what: &str,
    shown: impl FnOnce(&MessageView) -> String,
    failed: impl FnOnce(&MessageView) -> Option<(String, bool)>,
) -> anyhow::Result<()> {
    let message = ask(options, command, options.wait(WAIT_S), |response| match response {
        Response::Message(message) => Some(message),
        _ => None,
    })
    .await?;
    if options.json {
        show::json(&message)?;
    } else {
        show::line(&shown(&message))?;
    }
    match failed(&message) {
        Some((why, retry)) => {
            let text = failure(what, &why, retry, &message.contact);
            Err(CommandError::new(ErrorKind::Refused, text).into())
        }
        None => Ok(()),
    }
}

fn failure(what: &str, why: &str, retry: bool, contact: &str) -> String {
    let again =
        if retry { format!(": try again with `undertone retry {}`", quoted(contact)) } else { String::new() };
    format!("the {what} failed ({why}){again}")
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

pub(super) async fn counted(options: &Options, command: Command) -> anyhow::Result<CountView> {
    ask(options, command, options.wait(WAIT_S), |response| match response {
        Response::Count(count) => Some(count),
        _ => None,
    })
    .await
}

pub(super) fn print(options: &Options, count: &CountView, done: &str) -> anyhow::Result<()> {
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

/// A message in a line with the beginning of its id first, or more where its text has more.
pub(super) fn written(message: &MessageView) -> String {
    let id = message.id.get(..SHORT_ID).unwrap_or(&message.id);
    let (time, from) = (show::time(message.time_ms), show::safe(&message.from));
    let state = match message.state.as_str() {
        "read" if !message.mine => String::new(),
        "received" => "  · new".to_owned(),
        _ => format!("  {}", show::state(message)),
    };
    if message.kind == "notice" {
        // Nobody can write what looks so.
        let text = message.text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
        let text = show::line_of(text.unwrap_or(&message.text));
        return format!("{id} {time} * {from} {text}{state}");
    }
    format!("{id} {time} {from}: {}{state}{}", said(message), reactions(message))
}

/// The text with what is to be known of it.
fn said(message: &MessageView) -> String {
    if message.deleted {
        return "(deleted)".to_owned();
    }
    let mut said = String::new();
    if let Some(reply) = &message.reply_to {
        said.push_str(&format!("{}\n    ", quote(reply)));
    }
    if message.forwarded {
        said.push_str("(forwarded) ");
    }
    said.push_str(&show::indented(&message.text));
    let mentions_me = message.mentions.iter().any(|mention| mention.me);
    for (is_so, mark) in
        [(message.edited, " (edited)"), (message.pinned, " (pinned)"), (mentions_me, " (mentions you)")]
    {
        said.push_str(if is_so { mark } else { "" });
    }
    said
}

fn quote(reply: &ReplyView) -> String {
    let id = reply.id.get(..SHORT_ID).unwrap_or(&reply.id);
    match (&reply.from, &reply.text) {
        _ if reply.deleted => "> (deleted)".to_owned(),
        (Some(from), Some(text)) => format!("> {}: {}", show::line_of(from), show::line_of(text)),
        _ => format!("> (message {id}, which is not here)"),
    }
}

fn reactions(message: &MessageView) -> String {
    if message.reactions.is_empty() {
        return String::new();
    }
    let one =
        |view: &ReactionView| format!("{} {}", show::line_of(&view.reaction), show::line_of(&view.from));
    format!("\n    {}", message.reactions.iter().map(one).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_tried_again_is_said_to_be() {
        let may = failure("message", "expired: nobody fetched it", true, "Book Club");
        assert_eq!(
            may,
            "the message failed (expired: nobody fetched it): try again with `undertone retry 'Book Club'`"
        );
        assert_eq!(failure("change", "too large", false, "Bob"), "the change failed (too large)");
    }
}
