//! The relay, as an operator runs it.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::process::{Process, run};

/// Where it listens the first time: at a free port.
const ANY_PORT: &str = "/ip4/127.0.0.1/tcp/0";

/// A relay with its directory.
pub struct Relay {
    dir: PathBuf,
    process: Option<Process>,
    address: String,
}

impl Relay {
    /// Makes a relay and starts it.
    pub async fn new(dir: PathBuf) -> anyhow::Result<Self> {
        let flags = ["relay", "init", "--listen", ANY_PORT, "--dir"].map(OsStr::new);
        run("relay init", &[flags.as_slice(), &[dir.as_os_str()]].concat()).await?;
        let mut relay = Self { dir, process: None, address: String::new() };
        relay.start().await?;
        relay.keep_port()?;
        Ok(relay)
    }

    /// Where it listens, with its key.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Starts it, and waits until it listens.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let config = self.dir.join("relay.toml");
        let flags = ["relay", "--log", "error", "run", "--config"].map(OsStr::new);
        let args = [flags.as_slice(), &[config.as_os_str()]].concat();
        let mut process = Process::start("the relay".to_owned(), &args)?;
        let line = process.line().await?;
        let address =
            line.strip_prefix("listening on ").with_context(|| format!("the relay says `{line}`"))?;
        self.address = address.to_owned();
        self.process = Some(process);
        Ok(())
    }

    /// kill -9. Gives the id of the process that was killed.
    pub async fn kill(&mut self) -> anyhow::Result<u32> {
        let process = self.process.take().context("the relay does not run")?;
        let id = process.id().context("the relay is gone already")?;
        process.kill().await?;
        Ok(id)
    }

    /// kill -9, and its disk is gone. Gives the id of the process that was killed.
    pub async fn lose(&mut self) -> anyhow::Result<u32> {
        let id = self.kill().await?;
        fs::remove_dir_all(&self.dir)?;
        Ok(id)
    }

    /// Asks it to stop, if it runs.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        match self.process.take() {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }

    /// What it counted since it started.
    pub async fn count(&self, what: &str) -> anyhow::Result<u64> {
        let config = self.dir.join("relay.toml");
        let args = ["relay", "status", "--json", "--config"].map(OsStr::new);
        let status = run("relay status", &[args.as_slice(), &[config.as_os_str()]].concat()).await?;
        let status: Value = serde_json::from_str(&status)?;
        let count = status.pointer(&format!("/counters/{what}")).and_then(Value::as_u64);
        count.with_context(|| format!("the relay does not count {what}"))
    }

    /// Its users know its port: from now on it listens there.
    fn keep_port(&self) -> anyhow::Result<()> {
        let config = self.dir.join("relay.toml");
        let (listen, _) = self.address.split_once("/p2p/").context("an address without a key")?;
        let text = fs::read_to_string(&config)?;
        if !text.contains(ANY_PORT) {
            bail!("{} does not say where to listen", config.display());
        }
        Ok(fs::write(&config, text.replace(ANY_PORT, listen))?)
    }
}
