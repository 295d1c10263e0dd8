//! Processes of this program in another part. Each is killed, by its own id, when it is dropped; and ends by itself when this
//! one is killed.

use std::ffi::OsStr;
use std::io;
use std::process::Stdio;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Set for processes that end with their input.
const ENDS_WITH_INPUT: &str = "UNDERTONE_STORY_ENDS_WITH_INPUT";

/// A process that goes on, and what it writes.
pub struct Process {
    what: String,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// Nothing is written to it. It ends with this process, however that ends.
    _input: ChildStdin,
}

impl Process {
    /// Starts this program with other arguments.
    pub fn start(what: String, args: &[&OsStr]) -> anyhow::Result<Self> {
        let mut child = command(args)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .env(ENDS_WITH_INPUT, "yes")
            .spawn()
            .with_context(|| format!("{what} can't be started"))?;
        let stdout = child.stdout.take().context("a process without output")?;
        let input = child.stdin.take().context("a process without input")?;
        Ok(Self { what, child, lines: BufReader::new(stdout).lines(), _input: input })
    }

    /// The process's id.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// The next line that it writes.
    pub async fn line(&mut self) -> anyhow::Result<String> {
        match self.lines.next_line().await? {
            Some(line) => Ok(line),
            None => {
                let status = self.child.wait().await?;
                bail!("{} ended of itself: {status}", self.what)
            }
        }
    }

    /// kill -9, and waits until it is gone.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("{} can't be killed", self.what))
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let id = self.child.id().context("a process that is gone")?;
        let asked = std::process::Command::new("kill").args(["-TERM", &id.to_string()]).status()?;
        let status = self.child.wait().await?;
        if !asked.success() || !status.success() {
            bail!("{} did not stop well: {status}", self.what);
        }
        Ok(())
    }
}

/// Where this is a process of a story, ends it when the story's own process is gone.
pub(crate) fn end_with_story() {
    if std::env::var_os(ENDS_WITH_INPUT).is_none() {
        return;
    }
    std::thread::spawn(|| {
        // An error ends it, too.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(1);
    });
}

/// Runs this program with other arguments until it ends; gives what it wrote.
pub async fn run(what: &str, args: &[&OsStr]) -> anyhow::Result<String> {
    let output = command(args)?.stderr(Stdio::piped()).output().await?;
    if !output.status.success() {
        bail!("{what}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn command(args: &[&OsStr]) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("where is this program?")?);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    // A Ctrl-C is for the story alone, which then ends its processes.
    command.process_group(0);
    for variable in ["UNDERTONE_HOME", "UNDERTONE_PASSPHRASE_FILE", "RUST_LOG"] {
        command.env_remove(variable);
    }
    Ok(command)
}
