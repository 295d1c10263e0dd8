use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::drawn::Drawn;
use super::failed::Failed;
use super::faults::Faults;
use super::relays::Relays;

/// Of one in so many seeds the world uses the real cryptography.
const REAL_CRYPTO_ONE_IN: u64 = 16;
/// Relays need their time to die and to come back.
const RELAYS_TROUBLE_S_MIN: u64 = 300;

/// How a world is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldOptions {
    /// Decides all that the rest leaves open.
    pub seed: u64,
    /// What seals messages.
    #[serde(default)]
    pub crypto: CryptoKind,
    /// How many users, 2 to 4; `None`: the seed decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<usize>,
    /// How many devices a user comes to have at most, 1 to 3; `None`: the seed decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices_max: Option<usize>,
    /// Whether there is a group; `None`: the seed decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<bool>,
    /// How many relays, 1 to 7; `None`: one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relays: Option<usize>,
    /// How long faults go on, in seconds, time that flies not counted; `None`: ten minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble_s: Option<u64>,
    /// What goes wrong; `None`: the seed decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<Faults>,
}

/// What seals messages in a world.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CryptoKind {
    /// The deterministic model.
    #[default]
    Model,
    /// vodozemac. It draws its own randomness, so such a world does not repeat to the byte.
    Real,
}

impl WorldOptions {
    /// The world of a seed, which decides everything.
    pub fn of(seed: u64) -> Self {
        let is_real = seed % REAL_CRYPTO_ONE_IN == REAL_CRYPTO_ONE_IN - 1;
        let crypto = if is_real { CryptoKind::Real } else { CryptoKind::Model };
        let (trouble_s, devices_max) = Drawn::size(seed);
        Self {
            seed,
            crypto,
            users: None,
            devices_max: Some(devices_max),
            group: None,
            relays: None,
            trouble_s: Some(trouble_s),
            faults: None,
        }
    }

    /// The same with several relays, of which each device has one to three, and which have troubles of their own.
    pub fn with_relays(self) -> Self {
        let trouble_s = self.trouble_s.map(|trouble_s| trouble_s.max(RELAYS_TROUBLE_S_MIN));
        Self { relays: Some(Relays::several(self.seed)), trouble_s, ..self }
    }

    /// Whether a device of this world cheats.
    pub fn is_hostile(&self) -> bool {
        self.faults.unwrap_or_else(|| Drawn::of(self.seed).faults).hostile > 0
    }
}

/// A world that is kept because something was found in it: a file of `tests/scenarios`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without its end.
    pub name: String,
    /// What was found.
    pub about: String,
    /// How it is made.
    pub world: WorldOptions,
}

impl Scenario {
    /// The scenario in a file.
    pub fn read(path: &Path) -> Result<Self, Failed> {
        let bad = |error: &dyn std::fmt::Display| Failed::new(format!("{}: {error}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| bad(&error))?;
        let scenario: Self = toml::from_str(&text).map_err(|error| bad(&error))?;
        if path.file_stem().is_none_or(|stem| *stem != *scenario.name) {
            return Err(bad(&format!("the scenario inside is called {:?}", scenario.name)));
        }
        Ok(scenario)
    }

    /// All of `tests/scenarios`, by name.
    pub fn all() -> Result<Vec<Self>, Failed> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let listed = fs::read_dir(&folder).map_err(|error| Failed::new(error.to_string()))?;
        let paths = listed.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        let mut scenarios = paths.map(|path| Self::read(&path)).collect::<Result<Vec<_>, _>>()?;
        scenarios.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(scenarios)
    }

    /// As TOML. What does not go wrong is left out.
    pub fn to_toml(&self) -> String {
        let text = toml::to_string(self).unwrap_or_else(|error| format!("# {error}\n"));
        let says_nothing = |line: &&str| line.ends_with(" = 0") || line.ends_with(" = false");
        let none = |line: &&str| *line == "gap = \"none\"";
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("seed") || !(says_nothing(line) || none(line)))
            .collect();
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::faults::Gap;

    #[test]
    fn what_is_written_is_read_again() {
        let faults =
            Faults { drop: 3, gap: Gap::Months, mailbox_messages_max: Some(4), revoke: true, ..Faults::NONE };
        for faults in [None, Some(faults), Some(Faults::NONE)] {
            let world = WorldOptions { users: Some(3), trouble_s: Some(60), faults, ..WorldOptions::of(0) };
            let scenario = Scenario { name: "a".to_owned(), about: "b".to_owned(), world };
            assert_eq!(toml::from_str::<Scenario>(&scenario.to_toml()).unwrap(), scenario);
        }
    }
}
