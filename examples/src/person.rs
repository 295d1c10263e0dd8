//! A person: an account, its node's process, and what `watch` tells of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;
use undertone::command::{ContactView, CountView, GroupView, InfoView, InvitationView, MessageView};
use undertone::event::Event;

use crate::process::{Process, run};
use crate::tell::Teller;

/// A person with a node.
pub struct Person {
    /// What they are called.
    pub name: &'static str,
    /// The conversation that the story follows: what the other is called here, or the group.
    conversation: &'static str,
    home: PathBuf,
    passphrase: PathBuf,
    node: Option<Process>,
    watch: Option<Process>,
    teller: Teller,
    /// Texts that this person wrote, in order.
    pub wrote: Vec<String>,
    /// Texts of one's own messages, by id.
    texts: BTreeMap<String, String>,
    /// How far they have come, as far as was told.
    pub ticks: BTreeMap<String, String>,
    /// Texts that came, as far as was told.
    pub came: Vec<String>,
    /// Who asked to be a contact, as far as was told.
    pub requests: Vec<String>,
    /// Whether somebody let them in.
    pub accepted: bool,
    /// Whether the node is connected to a relay, as far as was told.
    pub connected: bool,
    /// Who is in the group, as far as was told; `None`: nobody told of it, or this person is out.
    pub members: Option<Vec<String>>,
    /// What this person may do in it; empty: nothing.
    pub role: String,
    /// How messages show after somebody reacted, as far as was told: text and reactions.
    pub reacted: Vec<(String, usize)>,
}

impl Person {
    /// Makes the account.
    pub async fn new(
        dir: &Path,
        name: &'static str,
        conversation: &'static str,
        relay: &str,
        teller: Teller,
    ) -> anyhow::Result<Self> {
        let passphrase = dir.join(format!("{name}.passphrase"));
        fs::write(&passphrase, format!("the passphrase of {name}\n"))?;
        let person = Self {
            name,
            conversation,
            home: dir.join(name),
            passphrase,
            node: None,
            watch: None,
            teller,
            wrote: Vec::new(),
            texts: BTreeMap::new(),
            ticks: BTreeMap::new(),
            came: Vec::new(),
            requests: Vec::new(),
            accepted: false,
            connected: false,
            members: None,
            role: String::new(),
            reacted: Vec::new(),
        };
        person.command::<Value>(&["init", "--name", name, "--relay", relay]).await?;
        Ok(person)
    }

    /// Starts the node and watches it.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let mut node = self.process("run")?;
        expect(&mut node, "ready").await?;
        self.node = Some(node);
        let mut watch = self.process("watch")?;
        expect(&mut watch, "watching").await?;
        self.watch = Some(watch);
        self.look().await
    }

    /// Stops the node as a user does.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.watch.take().context("nobody watches")?.kill().await?;
        self.connected = false;
        self.node.take().context("the node does not run")?.stop().await
    }

    /// kill -9 of the node. Gives the id of the process that was killed.
    pub async fn kill(&mut self) -> anyhow::Result<u32> {
        self.watch.take().context("nobody watches")?.kill().await?;
        self.connected = false;
        let node = self.node.take().context("the node does not run")?;
        let id = node.id().context("the node is gone already")?;
        node.kill().await?;
        Ok(id)
    }

    /// Takes another home relay.
    pub async fn add_relay(&self, address: &str) -> anyhow::Result<()> {
        self.command::<Value>(&["relay", "add", address]).await?;
        Ok(())
    }

    /// Makes a link.
    pub async fn invite(&self) -> anyhow::Result<String> {
        let invitation: InvitationView = self.command(&["invite"]).await?;
        if !invitation.ready {
            bail!("the relay does not know {}'s invitation", self.name);
        }
        Ok(invitation.link)
    }

    /// Asks by a link.
    pub async fn ask(&self, link: &str) -> anyhow::Result<ContactView> {
        self.command(&["contact", "add", link]).await
    }

    /// Asks by a link, with the first text of the conversation.
    pub async fn add(&mut self, link: &str, text: &str) -> anyhow::Result<ContactView> {
        let contact = self.command(&["contact", "add", link, "--message", text]).await?;
        self.wrote.push(text.to_owned());
        self.look_at_history().await?;
        Ok(contact)
    }

    /// Lets somebody in.
    pub async fn accept(&self, name: &str) -> anyhow::Result<ContactView> {
        self.command(&["contact", "accept", name]).await
    }

    /// Does something about groups, as `undertone group` does.
    pub async fn group(&mut self, words: &[&str]) -> anyhow::Result<GroupView> {
        let group: GroupView = self.command(&[&["group"], words, &["--no-wait"]].concat()).await?;
        self.see(&group);
        Ok(group)
    }

    /// Reacts to a message. The digits are the beginning of its id.
    pub async fn react(&self, message: &str, reaction: &str) -> anyhow::Result<MessageView> {
        self.command(&["react", "--no-wait", self.conversation, message, reaction]).await
    }

    /// Who has a message.
    pub async fn info(&self, message: &str) -> anyhow::Result<InfoView> {
        self.command(&["info", self.conversation, message]).await
    }

    /// Writes in the conversation.
    pub async fn send(&mut self, text: &str) -> anyhow::Result<()> {
        let message: MessageView = self.command(&["send", "--no-wait", self.conversation, text]).await?;
        self.wrote.push(text.to_owned());
        self.texts.insert(message.id.clone(), message.text);
        self.ticks.entry(message.id).or_insert(message.state);
        Ok(())
    }

    /// Marks everything as read. Gives how many messages that were.
    pub async fn read(&self) -> anyhow::Result<usize> {
        let count: CountView = self.command(&["read", self.conversation]).await?;
        Ok(count.messages)
    }

    /// The conversation.
    pub async fn history(&self) -> anyhow::Result<Vec<MessageView>> {
        self.command(&["history", self.conversation, "--limit", "1000"]).await
    }

    /// The next thing that the node tells, taken in and printed.
    pub async fn next(&mut self) -> anyhow::Result<()> {
        let Some(watch) = &mut self.watch else { return std::future::pending().await };
        let line = watch.line().await?;
        let event: Event = serde_json::from_str(&line).with_context(|| format!("watch says `{line}`"))?;
        let text = match &event {
            Event::Tick { id, .. } => self.texts.get(id).map(String::as_str),
            _ => None,
        };
        self.teller.event(self.name, &event, text);
        match event {
            Event::Message { message } => self.came.push(message.text),
            Event::Tick { failed: Some(why), .. } => bail!("a message of {} failed: {why}", self.name),
            Event::Tick { id, state, .. } => {
                // What is done to messages, and to a group, comes further too.
                if self.texts.contains_key(&id) {
                    self.ticks.insert(id, state);
                }
            }
            Event::Request { contact } => self.requests.push(contact.name),
            Event::Accepted { .. } => self.accepted = true,
            Event::Contact { contact } => {
                if let Some(warning) = contact.warning {
                    bail!("{}: {warning}", self.name);
                }
            }
            Event::Group { group } => self.see(&group),
            Event::Changed { message } => self.reacted.push((message.text, message.reactions.len())),
            // Nobody here has a second one.
            Event::Devices {} | Event::Hidden { .. } => {}
            Event::RolledBack {} | Event::Copied {} => {
                bail!("the store of {} is an old copy, or was copied", self.name)
            }
            Event::Lost { lost } => bail!("{} messages of {} are lost", lost.messages, lost.from),
            Event::RelayUp { .. } => self.connected = true,
            Event::RelayDown { .. } => self.connected = false,
            Event::Missed { .. } => self.look().await?,
        }
        Ok(())
    }

    /// Whether each of one's own messages has come this far, or further.
    pub fn all_reached(&self, state: &str) -> bool {
        self.ticks.len() == self.wrote.len() && self.ticks.keys().all(|id| self.reached(id, state))
    }

    /// Whether one of one's own messages has come this far, or further.
    pub fn reached(&self, id: &str, state: &str) -> bool {
        let far =
            |state: &str| ["queued", "waiting", "sent", "delivered", "read"].iter().position(|s| *s == state);
        self.ticks.get(id).is_some_and(|tick| far(tick) >= far(state))
    }

    /// Whether these are in the group and nobody else, as far as was told.
    pub fn sees(&self, members: &[&str]) -> bool {
        let Some(known) = &self.members else { return false };
        known.len() == members.len() && members.iter().all(|name| known.iter().any(|known| known == name))
    }

    /// Looks at what was not told: before the watch began, or because it was too slow.
    async fn look(&mut self) -> anyhow::Result<()> {
        let status: Value = self.command(&["status"]).await?;
        let relays = status.get("relays").and_then(Value::as_array).context("a status without relays")?;
        self.connected = relays.iter().any(|relay| relay.get("connected") == Some(&Value::Bool(true)));
        let contacts: Vec<ContactView> = self.command(&["contact", "list"]).await?;
        self.accepted = contacts.iter().any(|contact| contact.state == "accepted");
        let groups = self.look_at_groups().await?;
        let known =
            contacts.iter().map(|contact| &contact.name).chain(groups.iter().map(|group| &group.name));
        if known.into_iter().any(|name| name == self.conversation) {
            self.look_at_history().await?;
        }
        Ok(())
    }

    fn see(&mut self, group: &GroupView) {
        let names = group.members.iter().map(|member| member.name.clone());
        self.members = (group.state == "in").then(|| names.collect());
        let me = group.members.iter().find(|member| member.me);
        self.role = me.map(|member| member.role.clone()).unwrap_or_default();
    }

    /// Looks who is in the group.
    pub async fn look_at_groups(&mut self) -> anyhow::Result<Vec<GroupView>> {
        let groups: Vec<GroupView> = self.command(&["group", "list"]).await?;
        groups.iter().for_each(|group| self.see(group));
        Ok(groups)
    }

    async fn look_at_history(&mut self) -> anyhow::Result<()> {
        let history = self.history().await?;
        self.came =
            history.iter().filter(|message| !message.mine).map(|message| message.text.clone()).collect();
        for message in history.into_iter().filter(|message| message.mine) {
            self.texts.insert(message.id.clone(), message.text);
            self.ticks.insert(message.id, message.state);
        }
        Ok(())
    }

    fn args<'a>(&'a self, command: &'a [&'a str]) -> Vec<&'a OsStr> {
        let (home, passphrase) = (self.home.as_os_str(), self.passphrase.as_os_str());
        let mut args = vec![OsStr::new("node"), OsStr::new("--home"), home];
        args.extend([OsStr::new("--passphrase-file"), passphrase, OsStr::new("--json")]);
        args.extend(["--log", "error"].map(OsStr::new));
        args.extend(command.iter().map(OsStr::new));
        args
    }

    fn process(&self, command: &'static str) -> anyhow::Result<Process> {
        Process::start(format!("{}'s `{command}`", self.name), &self.args(&[command]))
    }

    async fn command<T: DeserializeOwned>(&self, command: &[&str]) -> anyhow::Result<T> {
        let what =
            format!("{}: {}", self.name, command.iter().take(2).copied().collect::<Vec<_>>().join(" "));
        let output = run(&what, &self.args(command)).await?;
        serde_json::from_str(&output).with_context(|| format!("{what} says `{}`", output.trim()))
    }
}

async fn expect(process: &mut Process, event: &str) -> anyhow::Result<()> {
    let line = process.line().await?;
    let object: Value = serde_json::from_str(&line).with_context(|| format!("`{line}` is no JSON"))?;
    if object.get("event").and_then(Value::as_str) != Some(event) {
        bail!("`{line}` came where \"{event}\" should");
    }
    Ok(())
}
