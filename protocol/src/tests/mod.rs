//! Tests that span the modules: what was recorded earlier, what others publish, what is refused everywhere.

mod compatibility;
mod dialogue;
mod forgery;
mod limits_page;
mod ratchet_keys;
mod refused;
mod third_party;

use data_encoding::HEXLOWER;
use serde_json::Value;

/// A JSON file under `vectors/`.
fn read(name: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The bytes of a hexadecimal value.
fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(text(value).as_bytes()).unwrap()
}

/// Exactly so many bytes of a hexadecimal value.
fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}
