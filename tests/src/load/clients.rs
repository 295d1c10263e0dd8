//! The processes of the clients, none of which is the relay's, and what they measured together.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::process::{self, RelayProcess, Usage};
use super::stage::{BEGIN, DONE, Measured, READY};

/// Processes that share the clients of a run.
pub(super) struct Clients(Vec<Process>);

/// One of them. Dropped, it is killed.
struct Process {
    child: Child,
    pid: u32,
    told: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

/// A stage that is over.
pub(super) struct Stage<T = Usage> {
    /// What the relay had used before, and after it.
    pub(super) before: T,
    pub(super) after: T,
    /// From the word to begin until the last process was done.
    pub(super) took: Duration,
    pub(super) measured: Measured,
    /// CPU time of the process that used the most, for each second: at 100 it may be what holds up the run.
    pub(super) busiest_percent: f64,
}

impl Clients {
    /// Starts so many, each with its share of what was asked on the command line; `destination`: another relay, where
    /// there is one.
    pub(super) fn start(
        relay: &RelayProcess,
        destination: Option<&RelayProcess>,
        processes: u32,
        asked: &[OsString],
    ) -> anyhow::Result<Self> {
        let start = |share: u32| {
            let args = [
                "clients".into(),
                "--relay".into(),
                relay.address().to_string(),
                "--share".into(),
                share.to_string(),
                "--shares".into(),
                processes.to_string(),
            ];
            let mut command = process::command(&args.map(OsString::from))?;
            if let Some(destination) = destination {
                command.args(["--destination", &destination.address().to_string()]);
            }
            command.args(asked).stdin(Stdio::piped()).stderr(Stdio::inherit());
            let mut child = command.spawn().context("a process of clients can't be started")?;
            let told = child.stdin.take().context("a process without input")?;
            let said = BufReader::new(child.stdout.take().context("a process without output")?).lines();
            Ok(Process { pid: child.id().context("a process is gone")?, child, told, said })
        };
        (0..processes).map(start).collect::<anyhow::Result<_>>().map(Self)
    }

    /// Runs the next stage in all of them.
    pub(super) async fn stage(&mut self, relay: &RelayProcess) -> anyhow::Result<Stage> {
        self.stage_of(|| relay.usage()).await
    }

    /// The same, where more is looked at than one relay.
    pub(super) async fn stage_of<T>(
        &mut self,
        look: impl Fn() -> anyhow::Result<T>,
    ) -> anyhow::Result<Stage<T>> {
        for process in &mut self.0 {
            process.expect(READY).await?;
        }
        let (before, begin) = (look()?, Instant::now());
        let cpu = self.cpu()?;
        for process in &mut self.0 {
            process.told.write_all(format!("{BEGIN}\n").as_bytes()).await?;
        }
        for process in &mut self.0 {
            process.expect(DONE).await?;
        }
        let (took, after) = (begin.elapsed(), look()?);
        let used = self.cpu()?.into_iter().zip(cpu).map(|(after, before)| (after - before).as_secs_f64());
        let busiest_percent = used.fold(0.0, f64::max) / took.as_secs_f64() * 100.0;
        let mut measured = Measured::default();
        for process in &mut self.0 {
            measured.merge(serde_json::from_str(&process.line().await?)?);
        }
        Ok(Stage { before, after, took, measured, busiest_percent })
    }

    /// Waits until all have ended.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        for mut process in self.0 {
            let status = process.child.wait().await?;
            ensure!(status.success(), "a process of clients failed: {status}");
        }
        Ok(())
    }

    fn cpu(&self) -> anyhow::Result<Vec<Duration>> {
        self.0.iter().map(|process| process::cpu(process.pid)).collect()
    }
}

impl Process {
    async fn line(&mut self) -> anyhow::Result<String> {
        self.said.next_line().await?.context("a process of clients ended of itself")
    }

    async fn expect(&mut self, wanted: &str) -> anyhow::Result<()> {
        let said = self.line().await?;
        ensure!(said == wanted, "a process of clients said {said} in the place of {wanted}");
        Ok(())
    }
}
