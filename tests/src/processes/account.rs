use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use undertone::command::{ContactView, MessageView, StatusView};

use super::program::{Finished, Program, Running};
use super::watch::Watch;

/// An account's directory, and the commands of its user.
#[derive(Debug, Clone)]
pub struct Account {
    program: Program,
    /// What the user is called.
    pub name: String,
    /// The account's directory.
    pub home: PathBuf,
    /// The file with the passphrase.
    pub passphrase: PathBuf,
}

impl Account {
    /// Where an account of this name belongs in `dir`, and its passphrase, but no account.
    pub fn planned(program: &Program, dir: &Path, name: &str) -> anyhow::Result<Self> {
        let passphrase = dir.join(format!("{name}.passphrase"));
        fs::write(&passphrase, format!("the passphrase of {name}\n"))?;
        Ok(Self { program: program.clone(), name: name.to_owned(), home: dir.join(name), passphrase })
    }

    /// The account itself, with its relays.
    pub fn init(&self, relays: &[&str]) -> anyhow::Result<Finished> {
        let relays = relays.iter().flat_map(|relay| ["--relay", relay]);
        let args = ["init", "--name", &self.name].into_iter().chain(relays);
        self.command(&args.collect::<Vec<_>>())
    }

    /// Runs one command of `undertone` with `--json`.
    pub fn command(&self, command: &[&str]) -> anyhow::Result<Finished> {
        self.program.run(&self.args(command))
    }

    /// The same, which must succeed; what it prints.
    pub fn json<T: DeserializeOwned>(&self, command: &[&str]) -> anyhow::Result<T> {
        self.command(command)?.succeeded()?.json()
    }

    /// Starts a command that goes on; what it logs is added to `LOG` in the account's directory.
    pub fn start(&self, command: &[&str], log: &str) -> anyhow::Result<Running> {
        self.program.start(&self.args(command), &self.home.join(log))
    }

    /// Watches what happens from now on.
    pub fn watch(&self) -> anyhow::Result<Watch> {
        Watch::begin(self.start(&["watch"], "watch.log")?)
    }

    /// Sends a text, without waiting for more than is usual.
    pub fn send(&self, contact: &str, text: &str) -> anyhow::Result<MessageView> {
        self.json(&["send", contact, text])
    }

    /// The whole conversation.
    pub fn history(&self, contact: &str) -> anyhow::Result<Vec<MessageView>> {
        self.json(&["history", contact, "--limit", "10000"])
    }

    /// How the node is.
    pub fn status(&self) -> anyhow::Result<StatusView> {
        self.json(&["status"])
    }

    /// A contact, or a request.
    pub fn contact(&self, name: &str) -> anyhow::Result<Option<ContactView>> {
        let contacts: Vec<ContactView> = self.json(&["contact", "list"])?;
        Ok(contacts.into_iter().find(|contact| contact.name == name))
    }

    fn args<'a>(&'a self, command: &'a [&'a str]) -> Vec<&'a OsStr> {
        let mut args = ["node", "--json", "--home"].map(OsStr::new).to_vec();
        args.extend([self.home.as_os_str(), OsStr::new("--passphrase-file"), self.passphrase.as_os_str()]);
        args.extend(command.iter().map(OsStr::new));
        args
    }
}
