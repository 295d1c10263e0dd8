use serde::Deserialize;

use super::error::JsonError;

/// Operations, and entries where there are any.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    pub(super) operations: Vec<JsonOperation>,
    #[serde(default)]
    pub(super) entries: Vec<JsonEntry>,
}

/// An operation. Which of the optional fields it has depends on its kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JsonOperation {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) author: String,
    /// Called as the author where it is absent.
    pub(super) device: Option<String>,
    pub(super) parents: Vec<String>,
    /// How many of the device's stand before it, where it is absent.
    pub(super) number: Option<u32>,
    #[serde(default)]
    pub(super) bad_signature: bool,
    pub(super) user: Option<String>,
    pub(super) role: Option<String>,
    pub(super) cut: Option<Vec<JsonCut>>,
    pub(super) successor: Option<String>,
    pub(super) cap: Option<usize>,
    pub(super) settings: Option<JsonSettings>,
    pub(super) not_after_ms: Option<u64>,
    pub(super) link: Option<String>,
}

/// How much of a device's counts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JsonCut {
    pub(super) device: String,
    pub(super) operation: Option<String>,
    pub(super) entry: Option<String>,
}

/// Settings: those that are set.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JsonSettings {
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) picture: Option<String>,
    pub(super) timer_s: Option<u64>,
    pub(super) may_add: Option<String>,
    pub(super) may_write: Option<String>,
    pub(super) history: Option<bool>,
}

/// An entry's place.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JsonEntry {
    pub(super) id: String,
    pub(super) author: String,
    pub(super) device: Option<String>,
    pub(super) heads: Vec<String>,
    #[serde(default)]
    pub(super) parents: Vec<String>,
}

impl JsonOperation {
    pub(super) fn device(&self) -> &str {
        self.device.as_deref().unwrap_or(&self.author)
    }
}

impl JsonEntry {
    pub(super) fn device(&self) -> &str {
        self.device.as_deref().unwrap_or(&self.author)
    }
}

/// A list of operations, or an object with operations and entries. Errors name line and column.
pub(super) fn parse(text: &str) -> Result<Input, JsonError> {
    let input = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map(|operations| Input { operations, entries: Vec::new() })
    } else {
        serde_json::from_str(text)
    };
    input.map_err(|error| JsonError::Form(error.to_string()))
}
