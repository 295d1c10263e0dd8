use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::program::{Finished, Program, Running};
use super::wait::until;

/// Where it listens the first time: at a free port.
const ANY_PORT: &str = "/ip4/127.0.0.1/tcp/0";

/// A relay with its directory.
#[derive(Debug)]
pub struct Relay {
    program: Program,
    dir: PathBuf,
    process: Option<Running>,
    address: String,
    log_level: &'static str,
}

impl Relay {
    /// Makes a relay in `dir` and starts it at a free port, which it keeps.
    pub fn create(program: &Program, dir: PathBuf) -> anyhow::Result<Self> {
        Self::create_at(program, dir, ANY_PORT, &[])
    }

    /// The same where `listen` says, with the port 0; `more` is added to the command that makes it.
    pub fn create_at(program: &Program, dir: PathBuf, listen: &str, more: &[&OsStr]) -> anyhow::Result<Self> {
        let args = ["relay", "init", "--listen", listen, "--dir"].map(OsStr::new);
        program.run(&[&args, [dir.as_os_str()].as_slice(), more].concat())?.succeeded()?;
        let (program, address) = (program.clone(), String::new());
        let mut relay = Self { program, dir, process: None, address, log_level: "debug" };
        relay.start()?;
        relay.keep_port(listen)?;
        Ok(relay)
    }

    /// Its address with its key, as nodes need it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its directory: configuration, data and log.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.join("relay.toml")
    }

    /// What it logs, at level debug, or as [`Self::restart_talkative`] says.
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Starts it and waits until it listens.
    pub fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "the relay runs already");
        let config = self.config();
        let args = ["relay", "--log", self.log_level, "run", "--config"].map(OsStr::new);
        let args = [&args, [config.as_os_str()].as_slice()].concat();
        // Its port is among those that the system gives to whoever dials, so somebody may have it for a moment.
        let (process, line) = until("the relay listens", || {
            let mut process = self.program.start(&args, &self.log())?;
            match process.line() {
                Ok(line) => Ok(Some((process, line))),
                Err(error) if self.address.is_empty() => Err(error),
                Err(_) => Ok(None),
            }
        })?;
        let address =
            line.strip_prefix("listening on ").with_context(|| format!("the relay says `{line}`"))?;
        ensure!(self.address.is_empty() || self.address == address, "the relay moved to {address}");
        self.address = address.to_owned();
        self.process = Some(process);
        Ok(())
    }

    /// Starts it anew; from now on it logs all that it and its libraries have to say.
    pub fn restart_talkative(&mut self) -> anyhow::Result<()> {
        self.stop()?;
        self.log_level = "trace";
        self.start()
    }

    /// It stops, and starts with another value of a key of its configuration that shows its default.
    pub fn restart_with(&mut self, key: &str, value: &str) -> anyhow::Result<()> {
        self.stop()?;
        let text = fs::read_to_string(self.config())?;
        let shown = text.lines().find(|line| line.starts_with(&format!("# {key} = ")));
        let shown = shown.with_context(|| format!("{text} does not show `{key}`"))?;
        fs::write(self.config(), text.replace(shown, &format!("{key} = {value}")))?;
        self.start()
    }

    /// It is stopped, and starts at another port, with the same key.
    pub fn start_elsewhere(&mut self) -> anyhow::Result<()> {
        let (at, key) = self.address.split_once("/p2p/").context("an address without a key")?;
        let (at, key) = (format!("[\"{at}\"]"), key.to_owned());
        let text = fs::read_to_string(self.config())?;
        fs::write(self.config(), text.replace(&at, &format!("[\"{ANY_PORT}\"]")))?;
        self.address.clear();
        self.start()?;
        ensure!(self.address.ends_with(&key), "another key: {}", self.address);
        self.keep_port(ANY_PORT)
    }

    /// Its process.
    pub fn process_id(&self) -> anyhow::Result<u32> {
        Ok(self.process.as_ref().context("the relay does not run")?.id())
    }

    /// Where its store is.
    pub fn store(&self) -> PathBuf {
        self.dir.join("data/store")
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.process.take().context("the relay does not run")?.stop()
    }

    /// kill -9.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().context("the relay does not run")?.kill()?;
        Ok(())
    }

    /// Runs a command of the relay's program with this relay's configuration.
    pub fn command(&self, command: &str) -> anyhow::Result<Finished> {
        let config = self.config();
        self.program.run(&[
            OsStr::new("relay"),
            OsStr::new(command),
            OsStr::new("--config"),
            config.as_os_str(),
        ])
    }

    /// What it counted since it started, by the name in its status.
    pub fn count(&self, name: &str) -> anyhow::Result<u64> {
        let status = self.command("status")?.succeeded()?.stdout;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.with_context(|| format!("no {name}"))?.trim().parse()?)
    }

    fn keep_port(&self, any: &str) -> anyhow::Result<()> {
        let (listen, _) = self.address.split_once("/p2p/").context("an address without a key")?;
        let text = fs::read_to_string(self.config())?;
        let (any, listen) = (format!("[\"{any}\"]"), format!("[\"{listen}\"]"));
        ensure!(text.contains(&any), "{text} does not say where to listen");
        Ok(fs::write(self.config(), text.replace(&any, &listen))?)
    }
}
