//! Recorded bytes of version 1 (`vectors/recorded-v1/`, which nothing writes), read with today's decoders.
//! A failure means that this build no longer reads what is in people's stores and mailboxes: mend the
//! reader, never the file.

mod devices;
mod frames;
mod identity;
mod log;
mod payloads;
mod ratchets;

use bytes::Bytes;
use serde_json::Value;

use super::{array, bytes, list, read, text};
use crate::codec::Signed;

fn recorded(name: &str) -> Value {
    read(&format!("recorded-v1/{name}"))
}

/// `{body, signature}`.
fn signed(value: &Value) -> Signed {
    Signed { body: owned(&value["body"]), signature: array(&value["signature"]) }
}

fn owned(value: &Value) -> Bytes {
    bytes(value).into()
}
