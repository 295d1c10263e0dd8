use std::ops::Deref;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;
use undertone::command::{DeviceCodeView, DeviceView, HomeRelayView, IdView, InvitationView, MessageView};

use super::account::Account;
use super::program::{Program, Running};
use super::wait::until;

/// Somebody with an account, and the node that runs for it or not.
#[derive(Debug)]
pub struct Person {
    account: Account,
    node: Option<Running>,
}

/// The commands that work with and without a running node.
impl Deref for Person {
    type Target = Account;

    fn deref(&self) -> &Account {
        &self.account
    }
}

impl Person {
    /// Makes an account in `dir` with one home relay; its node does not run.
    pub fn create(program: &Program, dir: &Path, name: &str, relay: &str) -> anyhow::Result<Self> {
        Self::create_at(program, dir, name, &[relay])
    }

    /// The same with several home relays, the preferred one first.
    pub fn create_at(program: &Program, dir: &Path, name: &str, relays: &[&str]) -> anyhow::Result<Self> {
        let account = Account::planned(program, dir, name)?;
        account.init(relays)?.succeeded()?;
        Ok(Self { account, node: None })
    }

    /// Another device of somebody, added by `primary`, whose node runs; its own node does not. `device` names it.
    pub fn link(
        program: &Program,
        dir: &Path,
        device: &str,
        relay: &str,
        primary: &Self,
    ) -> anyhow::Result<Self> {
        let account = Account::planned(program, dir, device)?;
        // For the log.
        std::fs::create_dir_all(&account.home)?;
        let mut linking =
            account.start(&["device", "link", "--relay", relay, "--device-name", device], "link.log")?;
        let code: DeviceCodeView = serde_json::from_str(&linking.line()?)?;
        ensure!(code.ready, "the relay does not know the new device");
        let code = code.code.context("a new device without a code")?;
        let added: DeviceView = primary.json(&["device", "add", &code])?;
        ensure!(added.name == device, "{added:?}");
        let linked: IdView = serde_json::from_str(&linking.line()?)?;
        ensure!(linked.name == primary.name, "{linked:?}");
        let ended = linking.wait()?;
        ensure!(ended.success(), "the new device ended with {ended}");
        Ok(Self { account, node: None })
    }

    /// What the node logs, at level debug.
    pub fn log(&self) -> PathBuf {
        self.home.join("node.log")
    }

    /// The process of the node.
    pub fn node_id(&self) -> anyhow::Result<u32> {
        Ok(self.node.as_ref().context("the node does not run")?.id())
    }

    /// Starts the node and waits until it answers.
    pub fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.node.is_none(), "{}'s node runs already", self.name);
        let mut node = self.account.start(&["--log", "debug", "run"], "node.log")?;
        let line = node.line()?;
        let ready: Value = serde_json::from_str(&line)?;
        ensure!(ready.get("event").and_then(Value::as_str) == Some("ready"), "the node says {line}");
        self.node = Some(node);
        Ok(())
    }

    /// Asks the node to stop, and waits until it has.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.node.take().context("the node does not run")?.stop()
    }

    /// kill -9 of the node.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.node.take().context("the node does not run")?.kill()?;
        Ok(())
    }

    /// Waits until the node is connected to its relay, or until it is not.
    pub fn until_connected(&self, connected: bool) -> anyhow::Result<()> {
        until(&format!("{}'s connection to the relay is {connected}", self.name), || {
            let status = self.status()?;
            Ok(status.relays.iter().all(|relay| relay.connected == connected).then_some(()))
        })
    }

    /// The home relays, and what is left to do at each.
    pub fn home_relays(&self) -> anyhow::Result<Vec<HomeRelayView>> {
        self.json(&["relay", "list"])
    }

    /// Waits until the home relays are these, by state, and nothing is left to do there; those that were given up are not
    /// waited for.
    pub fn until_home_relays(&self, states: &[&str]) -> anyhow::Result<()> {
        until(&format!("{}'s relays are {states:?}", self.name), || {
            let relays = self.home_relays()?;
            let is_done = |relay: &HomeRelayView| relay.state == "retiring" || relay.left.is_empty();
            let found: Vec<_> = relays.iter().map(|relay| relay.state.clone()).collect();
            Ok((found == states && relays.iter().all(is_done)).then_some(()))
        })
    }

    /// Makes a link that the relay knows.
    pub fn invite(&self, more: &[&str]) -> anyhow::Result<InvitationView> {
        let invitation: InvitationView = self.json(&[&["invite"], more].concat())?;
        ensure!(invitation.ready, "the relay does not know {}'s invitation", self.name);
        Ok(invitation)
    }

    /// Becomes a contact of somebody, who invites; both nodes run.
    pub fn meet(&self, inviting: &Self) -> anyhow::Result<()> {
        let link = inviting.invite(&[])?.link;
        self.command(&["contact", "add", &link])?.succeeded()?;
        inviting.until_contact(&self.name, "requested")?;
        inviting.command(&["contact", "accept", &self.name])?.succeeded()?;
        self.until_contact(&inviting.name, "accepted")
    }

    fn until_contact(&self, name: &str, state: &str) -> anyhow::Result<()> {
        until(&format!("{name} is {state} at {}", self.name), || {
            Ok(self.contact(name)?.filter(|contact| contact.state == state).map(drop))
        })
    }

    /// Waits until a conversation looks as it should.
    pub fn until_history(
        &self,
        contact: &str,
        what: &str,
        so: impl Fn(&[MessageView]) -> bool,
    ) -> anyhow::Result<Vec<MessageView>> {
        let mut last = Vec::new();
        let seen = until(&format!("{}'s history with {contact}: {what}", self.name), || {
            last = self.history(contact)?;
            Ok(so(&last).then(|| last.clone()))
        });
        seen.with_context(|| format!("the last look: {last:#?}"))
    }

    /// Waits until one of one's own messages has come exactly this far.
    pub fn until_state(&self, contact: &str, id: &str, state: &str) -> anyhow::Result<()> {
        let so = |history: &[MessageView]| history.iter().any(|m| m.id == id && m.state == state);
        self.until_history(contact, &format!("{id} is {state}"), so)?;
        Ok(())
    }
}
