use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// A deliberate fault.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What is broken, in a few words.
    pub name: String,
    /// Where, from the root of the project.
    pub file: String,
    /// What stands there, exactly once.
    pub old: String,
    /// What stands there instead.
    pub new: String,
    /// So many simulated worlds, from seed 0 on, must catch it.
    worlds: Option<u64>,
    /// So many simulated worlds with several relays, from seed 0 on, must.
    relays: Option<u64>,
    /// Or these tests must: the arguments of `cargo test`.
    test: Option<String>,
}

/// What catches a fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Catch {
    /// Simulated worlds, so many from seed 0 on.
    Worlds(u64),
    /// The same with several relays.
    Relays(u64),
    /// Tests: the arguments of `cargo test`.
    Test(Vec<String>),
}

impl Catch {
    /// Whether simulated worlds of one kind catch it, and the more of them the likelier.
    pub const fn is_worlds(&self) -> bool {
        matches!(self, Self::Worlds(_) | Self::Relays(_))
    }
}

impl Fault {
    /// What must catch it.
    pub fn catch(&self) -> Result<Catch> {
        match (self.worlds, self.relays, &self.test) {
            (Some(worlds), None, None) => Ok(Catch::Worlds(worlds)),
            (None, Some(worlds), None) => Ok(Catch::Relays(worlds)),
            (None, None, Some(test)) => Ok(Catch::Test(test.split_whitespace().map(str::to_owned).collect())),
            _ => anyhow::bail!("{}: give one of `worlds`, `relays` and `test`", self.name),
        }
    }

    /// The text of its file with the fault in it.
    pub fn applied_to(&self, text: &str) -> Result<String> {
        let count = text.matches(&self.old).count();
        ensure!(count == 1, "{}: its old text stands {count} times in {}", self.name, self.file);
        Ok(text.replace(&self.old, &self.new))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    fault: Vec<Fault>,
}

/// The faults of `tests/faults.toml`.
pub fn faults() -> Result<Vec<Fault>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("faults.toml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let file: File = toml::from_str(&text).with_context(|| path.display().to_string())?;
    for fault in &file.fault {
        fault.catch()?;
    }
    Ok(file.fault)
}
