use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;
use tokio::time::timeout;

use super::fault::{Catch, Fault};

/// Longer than any build or run takes; only a hang reaches it.
const HANG: Duration = Duration::from_secs(1_800);

/// A copy of the project's source, and where it is built.
pub struct Workshop {
    source: PathBuf,
    target: PathBuf,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    /// Whether everything held.
    pub held: bool,
    /// How long it took, the build not counted.
    pub took: Duration,
    /// What it said last that matters.
    pub said: String,
}

impl Workshop {
    /// Copies what git knows of the project to `folder`; what did not change since the last time stays, so that it
    /// is not built again.
    pub async fn open(folder: &Path) -> Result<Self> {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate lies in no workspace")?;
        let source = folder.join("source");
        let listed = Command::new("git").current_dir(root).args(["ls-files", "-z"]).output().await?;
        ensure!(listed.status.success(), "git does not list the files of {}", root.display());
        let files = String::from_utf8(listed.stdout)?;
        for file in files.split_terminator('\0').filter(|file| root.join(file).is_file()) {
            put(&source.join(file), &fs::read(root.join(file))?)?;
        }
        Ok(Self { source, target: folder.join("target") })
    }

    /// Puts a fault into the copy.
    pub fn plant(&self, fault: &Fault) -> Result<()> {
        let path = self.source.join(&fault.file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        put(&path, fault.applied_to(&text)?.as_bytes())
    }

    /// Takes it out again.
    pub fn mend(&self, fault: &Fault) -> Result<()> {
        put(&self.source.join(&fault.file), &fs::read(root()?.join(&fault.file))?)
    }

    /// Builds the copy as it is, and runs what must catch a fault.
    pub async fn run(&self, catch: &Catch) -> Result<Ran> {
        let (build, run) = commands(catch);
        let built = self.cargo(&build).await?;
        ensure!(built.status.success(), "it does not build:\n{}", String::from_utf8_lossy(&built.stderr));
        let begun = Instant::now();
        let ran = self.cargo(&run).await?;
        let said = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Ran { held: ran.status.success(), took: begun.elapsed(), said: telling(&said.concat()) })
    }

    async fn cargo(&self, arguments: &[String]) -> Result<Output> {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&self.source).env("CARGO_TARGET_DIR", &self.target);
        cargo.env("CARGO_INCREMENTAL", "1").args(arguments);
        cargo.stdin(Stdio::null()).kill_on_drop(true);
        timeout(HANG, cargo.output()).await.context("it hangs")?.context("cargo can't be run")
    }
}

fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate lies in no workspace")
}

/// What builds, and what runs.
fn commands(catch: &Catch) -> (Vec<String>, Vec<String>) {
    let words = |words: &str| -> Vec<String> { words.split_whitespace().map(str::to_owned).collect() };
    match catch {
        Catch::Worlds(count) | Catch::Relays(count) => {
            let explore = "-p undertone-tests --bin explore";
            let relays = if matches!(catch, Catch::Relays(_)) { "--relays" } else { "" };
            let run = format!("run --quiet {explore} -- {relays} --failures 1 --shrink-s 0 --seeds {count}");
            (words(&format!("build {explore}")), words(&run))
        }
        Catch::Test(arguments) => {
            let with = |first: &[&str]| -> Vec<String> {
                first.iter().map(|word| (*word).to_owned()).chain(arguments.iter().cloned()).collect()
            };
            (with(&["test", "--no-run"]), with(&["test", "--quiet"]))
        }
    }
}

/// The line that says what was found.
fn telling(said: &str) -> String {
    let tells = |line: &&str| {
        line.starts_with("seed ") || line.contains(" panicked at") || line.contains("worlds hold")
    };
    said.lines().find(tells).unwrap_or("it said nothing that is understood").to_owned()
}

/// Writes a file if it differs.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|held| held == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes).with_context(|| path.display().to_string())
}
