//! The story as it is printed: for people, or one JSON object a line.

use std::io::Write;

use serde_json::{Value, json};
use undertone::command::{GroupView, InfoView, MessageView};
use undertone::event::Event;

/// Prints the story. Who does not listen any more does not end it.
#[derive(Debug, Clone, Copy)]
pub struct Teller {
    json: bool,
}

impl Teller {
    /// For programs, one JSON object a line; or for people.
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether people read it.
    pub const fn is_plain(self) -> bool {
        !self.json
    }

    /// What is done next.
    pub fn scene(self, text: &str) {
        self.print(&json!({ "event": "scene", "text": text }), &format!("\n== {text}"));
    }

    /// Something worth knowing.
    pub fn note(self, text: &str) {
        self.print(&json!({ "event": "note", "text": text }), &format!("   {text}"));
    }

    /// What somebody's node told. `text` is that of the message that a tick is about.
    pub fn event(self, who: &str, event: &Event, text: Option<&str>) {
        let told = json!({ "event": "node", "node": who, "told": event });
        if let Some(line) = described(event, text) {
            self.print(&told, &format!("   {who:>5} │ {line}"));
        } else if self.json {
            self.print(&told, "");
        }
    }

    /// A group as somebody has it.
    pub fn group(self, who: &str, group: &GroupView) {
        self.print(
            &json!({ "event": "group", "node": who, "group": group }),
            &format!("   {who:>5} │ {}", members(group)),
        );
    }

    /// Who has a message.
    pub fn info(self, who: &str, info: &InfoView) {
        self.print(
            &json!({ "event": "info", "node": who, "info": info }),
            &format!("   {who:>5} │ {}", info.message.text),
        );
        for member in info.members.iter().filter(|_| self.is_plain()) {
            self.print(&Value::Null, &format!("            {}: {}", member.name, mark(&member.state)));
        }
    }

    /// A conversation as one side has it in the end.
    pub fn history(self, who: &str, messages: &[MessageView]) {
        if self.json {
            self.print(&json!({ "event": "history", "node": who, "messages": messages }), "");
            return;
        }
        for message in messages {
            let tick = if message.mine { mark(&message.state) } else { "" };
            let reactions: String =
                message.reactions.iter().map(|one| format!(" {}", one.reaction)).collect();
            let said = format!("{}{reactions}", message.text);
            self.print(&Value::Null, &format!("   {:>5}: {said:<40} {tick}", message.from));
        }
    }

    /// The last line.
    pub fn summary(self, summary: &Value, text: &str) {
        self.print(summary, &format!("\n{text}"));
    }

    fn print(self, object: &Value, line: &str) {
        let mut out = std::io::stdout().lock();
        let written = if self.json { writeln!(out, "{object}") } else { writeln!(out, "{line}") };
        // Nobody reads any more: what the story checks is still worth its exit code.
        drop(written.and_then(|()| out.flush()));
    }
}

fn described(event: &Event, text: Option<&str>) -> Option<String> {
    Some(match event {
        Event::Message { message } => format!("{}: {}", message.from, message.text),
        Event::Tick { state, failed: None, .. } => format!("{} {}", mark(state), text?),
        Event::Tick { failed: Some(why), .. } => format!("✗ {} ({why})", text?),
        Event::Request { contact } => {
            let text = contact.message.as_ref().map_or_else(String::new, |text| format!(": {text}"));
            format!("{} asks to be a contact{text}", contact.name)
        }
        Event::Accepted { contact } => format!("{} is a contact now", contact.name),
        Event::Contact { contact } => format!("{}: {}", contact.name, contact.warning.as_deref()?),
        Event::RolledBack {} | Event::Copied {} => "the store is an old copy, or was copied".to_owned(),
        Event::Lost { lost } => format!("{} messages of {} are lost", lost.messages, lost.from),
        Event::Changed { message } => {
            let reactions = message.reactions.iter().map(|one| format!(", {} by {}", one.reaction, one.from));
            format!("{}: {} (changed{})", message.from, message.text, reactions.collect::<String>())
        }
        Event::Hidden { .. } => "a message was hidden on another device".to_owned(),
        Event::Group { group } => members(group),
        Event::Devices {} => "the devices changed".to_owned(),
        Event::RelayUp { .. } => "connected to the relay".to_owned(),
        Event::RelayDown { .. } => "lost the relay".to_owned(),
        Event::Missed { count } => format!("missed {count} events"),
    })
}

fn members(group: &GroupView) -> String {
    if group.state != "in" {
        return format!("{}: you are not in it any more", group.name);
    }
    let members: Vec<&str> = group.members.iter().map(|member| member.name.as_str()).collect();
    format!("{}: {}", group.name, members.join(", "))
}

fn mark(state: &str) -> &'static str {
    match state {
        "sent" => "✓  sent",
        "delivered" => "✓✓ delivered",
        "read" => "✓✓ read",
        "waiting" => "·  waiting",
        _ => "·  queued",
    }
}
