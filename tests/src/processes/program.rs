use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::{self, JoinHandle};

use anyhow::{Context, bail, ensure};
use serde::de::DeserializeOwned;

use super::wait::{WAIT_MAX, until};

/// Lines that wait to be read; a process that writes more waits too.
const LINES_WAITING_MAX: usize = 16_384;
/// Of each argument.
const ARGUMENT_CHARS_SHOWN_MAX: usize = 100;
/// What the environment of the test must not decide.
const VARIABLES: [&str; 5] =
    ["UNDERTONE_HOME", "UNDERTONE_PASSPHRASE_FILE", "UNDERTONE_ROOT_CERTIFICATES", "RUST_LOG", "NO_COLOR"];

/// The binary `undertone-process`, which is a node or a relay.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    /// The network namespace that it runs in; `None`: that of the test.
    namespace: Option<String>,
    variables: Vec<(&'static str, OsString)>,
}

impl Program {
    /// The binary at `path`; in a test `env!("CARGO_BIN_EXE_undertone-process")`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), namespace: None, variables: Vec::new() }
    }

    /// The same in a network namespace, by the name that `ip netns` has for it.
    #[must_use]
    pub fn within(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// The same with a variable in its environment.
    #[must_use]
    pub fn with(mut self, variable: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((variable, value.into()));
        self
    }

    /// Runs it to its end. An error if it does not end within [`WAIT_MAX`]; then it is killed.
    pub fn run(&self, args: &[impl AsRef<OsStr>]) -> anyhow::Result<Finished> {
        let mut command = self.command(args);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut child = Killed(child);
        let stdout = collect(child.0.stdout.take())?;
        let stderr = collect(child.0.stderr.take())?;
        let what = format!("`{}` ends", shown(args));
        let status = until(&what, || Ok(child.0.try_wait()?))?;
        Ok(Finished { what: shown(args), status, stdout: text(stdout)?, stderr: text(stderr)? })
    }

    /// Starts it; what it logs is added to the file `log`.
    pub fn start(&self, args: &[impl AsRef<OsStr>], log: &Path) -> anyhow::Result<Running> {
        let log_file = OpenOptions::new().create(true).append(true).open(log)?;
        let mut child = self.command(args).stdout(Stdio::piped()).stderr(log_file).spawn()?;
        let stdout = child.stdout.take().context("a process without output")?;
        let (send, lines) = sync_channel(LINES_WAITING_MAX);
        let process = Running { what: shown(args), child: Killed(child), lines, log: log.to_owned() };
        thread::Builder::new().spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { return };
                if send.send(line).is_err() {
                    return;
                }
            }
        })?;
        Ok(process)
    }

    fn command(&self, args: &[impl AsRef<OsStr>]) -> Command {
        let mut command = match &self.namespace {
            // It becomes the program, so signals reach that.
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(&self.path);
                command
            }
            None => Command::new(&self.path),
        };
        command.args(args).stdin(Stdio::null());
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command.envs(self.variables.iter().cloned());
        command
    }
}

/// The arguments for messages; long ones are cut.
fn shown(args: &[impl AsRef<OsStr>]) -> String {
    let cut = |arg: &OsStr| arg.to_string_lossy().chars().take(ARGUMENT_CHARS_SHOWN_MAX).collect::<String>();
    args.iter().map(|arg| cut(arg.as_ref())).collect::<Vec<_>>().join(" ")
}

fn collect(from: Option<impl Read + Send + 'static>) -> anyhow::Result<JoinHandle<std::io::Result<Vec<u8>>>> {
    let mut from = from.context("a process without output")?;
    Ok(thread::Builder::new().spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        Ok(bytes)
    })?)
}

fn text(reader: JoinHandle<std::io::Result<Vec<u8>>>) -> anyhow::Result<String> {
    match reader.join() {
        Ok(bytes) => Ok(String::from_utf8(bytes?)?),
        Err(_) => bail!("the thread that reads a process's output failed"),
    }
}

/// A command that ended.
#[derive(Debug)]
pub struct Finished {
    what: String,
    status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Finished {
    /// Its exit code; `None` when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// An error if it failed.
    pub fn succeeded(self) -> anyhow::Result<Self> {
        ensure!(self.status.success(), "`{}`: {}: {}", self.what, self.status, self.stderr.trim());
        Ok(self)
    }

    /// The JSON that it printed.
    pub fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_str(&self.stdout)
            .with_context(|| format!("`{}` printed `{}`", self.what, self.stdout.trim()))
    }

    /// An error unless it failed with this exit code and this in its complaint.
    pub fn refused(&self, code: i32, says: &[&str]) -> anyhow::Result<()> {
        let complaint = self.stderr.trim();
        ensure!(self.code() == Some(code), "`{}`: {}, not {code}: {complaint}", self.what, self.status);
        for part in says {
            ensure!(complaint.contains(part), "`{}`: `{part}` is not in: {complaint}", self.what);
        }
        Ok(())
    }
}

/// A process that goes on, and what it prints.
#[derive(Debug)]
pub struct Running {
    what: String,
    child: Killed,
    lines: Receiver<String>,
    log: PathBuf,
}

impl Running {
    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.0.id()
    }

    /// The next line that it prints. An error if it ends, or after [`WAIT_MAX`].
    pub fn line(&mut self) -> anyhow::Result<String> {
        match self.lines.recv_timeout(WAIT_MAX) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => bail!("`{}` prints nothing", self.what),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.wait()?;
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                bail!("`{}` ended: {status}: {}", self.what, log.lines().last().unwrap_or_default())
            }
        }
    }

    /// The lines that it printed already.
    pub fn lines_so_far(&mut self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// kill -9; waits until it is gone. Gives the lines that it had printed and nobody has taken yet.
    pub fn kill(mut self) -> anyhow::Result<Vec<String>> {
        self.child.0.kill()?;
        self.child.0.wait()?;
        // The end of its output ends them.
        Ok(self.lines.iter().collect())
    }

    /// Asks it to stop; waits until it has. An error if it does not end well.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let asked = Command::new("kill").args(["-TERM", &self.id().to_string()]).status()?;
        let status = self.wait()?;
        ensure!(asked.success() && status.success(), "`{}` did not stop well: {status}", self.what);
        Ok(())
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let what = format!("`{}` ends", self.what);
        until(&what, || Ok(self.child.0.try_wait()?))
    }
}

/// A child that does not outlive its owner.
#[derive(Debug)]
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // An error says that it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
