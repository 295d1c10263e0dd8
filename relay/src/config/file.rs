use std::path::Path;

use toml::{Table, Value};

use super::check::check;
use super::error::ConfigError;
use super::settings::Config;

/// A commented file with every key; what is commented out shows the default.
pub const TEMPLATE: &str = include_str!("template.toml");

/// Reads a file; relative paths in it are taken from its folder.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(ConfigError::Io)?;
    let mut config = parse(&text)?;
    if let Some(folder) = path.parent() {
        config.data_dir = folder.join(config.data_dir);
        for file in [&mut config.tls.certificate_chain, &mut config.tls.private_key] {
            if !file.as_os_str().is_empty() {
                *file = folder.join(&*file);
            }
        }
    }
    Ok(config)
}

/// Reads a text and checks it.
pub fn parse(text: &str) -> Result<Config, ConfigError> {
    let document = toml::Deserializer::parse(text).map_err(|error| syntax(&error))?;
    let mut unknown = None;
    let config: Config = serde_ignored::deserialize(document, |path| {
        unknown.get_or_insert_with(|| path.to_string());
    })
    .map_err(|error| syntax(&error))?;
    if let Some(key) = unknown {
        let nearest = nearest(&key);
        return Err(ConfigError::UnknownKey { key, nearest });
    }
    check(&config)?;
    Ok(config)
}

fn syntax(error: &toml::de::Error) -> ConfigError {
    ConfigError::Syntax(error.to_string().trim_end().to_owned())
}

/// The known key that resembles `key` most; `None`: more than half of each name is another. A right name in the wrong table
/// resembles it best.
fn nearest(key: &str) -> Option<String> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let resembles = |known: &String| {
        let (known, key) = (last(known), last(key));
        strsim::damerau_levenshtein(&known, &key) <= key.len().max(known.len()) / 2
    };
    let distance = |known: &String| {
        (strsim::damerau_levenshtein(&last(known), &last(key)), strsim::damerau_levenshtein(known, key))
    };
    known_keys().into_iter().filter(resembles).min_by_key(distance)
}

/// Every key with the names of its tables, in order.
pub(super) fn known_keys() -> Vec<String> {
    let mut keys = Vec::new();
    if let Ok(table) = Table::try_from(Config::default()) {
        collect("", &table, &mut keys);
    }
    keys
}

fn collect(prefix: &str, table: &Table, keys: &mut Vec<String>) {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        if let Value::Table(inner) = value {
            collect(&format!("{name}."), inner, keys);
        }
        keys.push(name);
    }
}
