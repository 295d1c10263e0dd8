//! The relay's process, and what the kernel says that it uses.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use undertone_transport::RelayAddress;

/// The file's limits are above anything that a run asks for: the load is to meet the relay, not its limits.
const CONFIG: &str = r#"listen = ["/ip4/127.0.0.1/tcp/0"]
data_dir = "data"
store = "fjall"

[network]
connections_per_ip_max = 20000
handshakes_max = 4096

[limits]
frames_per_minute = 100000000
publishes_per_minute = 100000000
requests_per_minute = 1000000
registrations_per_minute = 10000000
token_publishes_per_minute = 100000000
mailbox_class_0_messages_max = 1000000
mailbox_class_0_bytes_max = 8589934592
silence_ms_max = 3600000
forwards_per_minute = 100000000
forwards_per_device_max = 100000
destination_forwards_max = 1000000
destination_bytes_max = 8589934592
source_parcels_per_minute = 100000000
source_bytes_per_minute = 4294967295
"#;
/// The kernel counts CPU time in hundredths of a second for every program, whatever its own clock.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running relay in a temporary directory. Dropped, it is killed and the directory removed.
pub(super) struct RelayProcess {
    child: Child,
    pid: u32,
    address: RelayAddress,
    _lines: Lines<BufReader<ChildStdout>>,
    dir: TempDir,
}

/// What the process had used at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    /// CPU time, user and system.
    pub(super) cpu: Duration,
    /// Resident memory, in bytes.
    pub(super) memory_bytes: u64,
    /// Bytes that it had the kernel write to disk.
    pub(super) written_bytes: u64,
    /// Bytes that its store takes on disk.
    pub(super) store_bytes: u64,
}

impl RelayProcess {
    /// Makes a relay and starts it.
    pub(super) async fn start(parent: Option<&Path>) -> anyhow::Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let dir = tempfile::Builder::new().prefix("undertone-load-").tempdir_in(parent)?;
        let made = command(&["relay".as_ref(), "init".as_ref(), "--dir".as_ref(), dir.path().as_os_str()])?
            .output()
            .await?;
        ensure!(made.status.success(), "init: {}", String::from_utf8_lossy(&made.stderr));
        let config = dir.path().join("relay.toml");
        fs::write(&config, CONFIG)?;
        let mut child = command(&[
            "relay".as_ref(),
            "run".as_ref(),
            "--log".as_ref(),
            "warn".as_ref(),
            "--config".as_ref(),
            config.as_os_str(),
        ])?
        .stderr(Stdio::inherit())
        .spawn()
        .context("the relay can't be started")?;
        let pid = child.id().context("the relay is gone")?;
        let mut lines = BufReader::new(child.stdout.take().context("a process without output")?).lines();
        let Some(line) = lines.next_line().await? else { bail!("the relay ended of itself") };
        let address = line.strip_prefix("listening on ").context("where does the relay listen?")?.parse()?;
        Ok(Self { child, pid, address, _lines: lines, dir })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> &RelayAddress {
        &self.address
    }

    /// Its process.
    pub(super) const fn id(&self) -> u32 {
        self.pid
    }

    /// What it has used so far.
    pub(super) fn usage(&self) -> anyhow::Result<Usage> {
        Ok(Usage {
            cpu: cpu(self.pid)?,
            memory_bytes: 1024 * named(&proc(self.pid, "status")?, "VmRSS:")?,
            written_bytes: named(&proc(self.pid, "io")?, "write_bytes:")?,
            store_bytes: disk_bytes(&self.dir.path().join("data").join("store"))?,
        })
    }

    /// Asks it to end, and waits until it has.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let asked = std::process::Command::new("kill").args(["-TERM", &self.pid.to_string()]).status()?;
        let status = self.child.wait().await?;
        ensure!(asked.success() && status.success(), "the relay did not stop well: {status}");
        Ok(())
    }
}

/// CPU time of a process, user and system.
pub(super) fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let stat = proc(pid, "stat")?;
    // The program's name is in brackets and may hold anything; after it comes field 3.
    let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat without a name")?;
    let field = |number: usize| -> anyhow::Result<u64> {
        Ok(fields.split_whitespace().nth(number - 3).context("/proc/PID/stat is too short")?.parse()?)
    };
    let ticks = field(14)? + field(15)?;
    Ok(Duration::from_secs_f64(ticks as f64 / TICKS_PER_SECOND))
}

fn proc(pid: u32, file: &str) -> anyhow::Result<String> {
    let path = PathBuf::from(format!("/proc/{pid}/{file}"));
    fs::read_to_string(&path).with_context(|| format!("{} (is the process gone?)", path.display()))
}

/// This program again, with another command line.
pub(super) fn command(args: &[impl AsRef<OsStr>]) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("where is this program?")?);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    command.process_group(0).env_remove("RUST_LOG");
    Ok(command)
}

/// The number after a name in a file of `/proc`.
fn named(text: &str, name: &str) -> anyhow::Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    Ok(number.with_context(|| format!("/proc says nothing of {name}"))?.parse()?)
}

/// What the files below a folder take on disk. A file that is removed meanwhile takes nothing.
fn disk_bytes(folder: &Path) -> anyhow::Result<u64> {
    const BLOCK_BYTES: u64 = 512;
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(found) if found.is_dir() => bytes += disk_bytes(&entry.path())?,
            Ok(found) => bytes += found.blocks() * BLOCK_BYTES,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}
