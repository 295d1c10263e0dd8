//! What whoever listens on the wires may see.

use std::collections::BTreeMap;

use undertone::LinkId;
use undertone_protocol::crypto::{ENC_BYTES, PayloadKind, classify};
use undertone_protocol::ids::PayloadHash;
use undertone_protocol::wire::{Frame, frame::Body};

use super::failed::{Check, Failed};

/// Who listens on the wires: no key is used twice with one number, and no relay is told who publishes or fetches.
#[derive(Debug, Default)]
pub(super) struct Listener {
    sealed: BTreeMap<Vec<u8>, PayloadHash>,
}

impl Listener {
    /// A device sends a frame.
    pub(super) fn hear(&mut self, link: &LinkId, frame: &Frame) -> Result<(), Failed> {
        if !is_for(link, frame) {
            let what =
                if link.hidden { "its own matters under no key of its" } else { "others' under its own key" };
            return Err(Failed::by(Check::Blind, format!("a device told a relay {what}: {frame:?}")));
        }
        let Some(Body::Publish(publish)) = &frame.body else { return Ok(()) };
        for item in &publish.items {
            let name = match classify(&item.payload) {
                // A channel's encapsulation and the index.
                Ok(PayloadKind::Opening { .. }) => named(&item.payload, OPENING_NAME),
                Ok(PayloadKind::Link) => named(&item.payload, LINK_NAME),
                Ok(PayloadKind::Channel { tag } | PayloadKind::Message { tag }) => tag.as_bytes().to_vec(),
                Err(error) => {
                    return Err(Failed::by(
                        Check::SealedOnce,
                        format!("a node published what is no payload: {error}"),
                    ));
                }
            };
            let hash = PayloadHash::of(&item.payload);
            if self.sealed.insert(name, hash).is_some_and(|other| other != hash) {
                return Err(Failed::by(
                    Check::SealedOnce,
                    "two payloads were sealed with one key and number",
                ));
            }
        }
        Ok(())
    }
}

/// Whether a frame is for a connection: what is of others goes under a key that says nothing.
const fn is_for(link: &LinkId, frame: &Frame) -> bool {
    match &frame.body {
        Some(Body::Publish(_) | Body::GetBundle(_)) => link.hidden,
        Some(Body::Hello(_) | Body::Ping(_) | Body::Pong(_) | Body::Goodbye(_)) | None => true,
        Some(_) => !link.hidden,
    }
}

/// Version, suite, kind, key id, encapsulation, index.
const OPENING_NAME: usize = 3 + 4 + ENC_BYTES + 8;
/// Version, suite, kind, nonce.
const LINK_NAME: usize = 3 + 12;

fn named(payload: &[u8], length: usize) -> Vec<u8> {
    payload.get(..length).unwrap_or_default().to_vec()
}
