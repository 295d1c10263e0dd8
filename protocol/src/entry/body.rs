use bytes::Bytes;
use prost::Message;
use rand_core::CryptoRng;

use crate::codec::{Malformed, decode};
use crate::limits::{ENTRY_PART_BYTES_MAX, TEXT_BYTES_MAX};
use crate::wire;

const SALT_BYTES: usize = 16;

/// An entry's content with its salt, as exact bytes. The salt keeps the hash in the header from
/// confirming a guess of the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryBody {
    /// What it says.
    pub content: Content,
    /// The exact bytes, which the header's hash covers.
    pub bytes: Bytes,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A text message, at most [`TEXT_BYTES_MAX`] bytes.
    Text(String),
    /// Something that a later version made: kept, counted, shown as such.
    Unknown,
}

impl EntryBody {
    /// A text message.
    pub fn text(text: &str, rng: &mut impl CryptoRng) -> Result<Self, Malformed> {
        check_text(text)?;
        let mut salt = [0; SALT_BYTES];
        rng.fill_bytes(&mut salt);
        let body = wire::EntryBody {
            salt: Bytes::copy_from_slice(&salt),
            content: Some(wire::entry_body::Content::Text(wire::Text { text: text.to_owned() })),
        };
        Ok(Self { content: Content::Text(text.to_owned()), bytes: body.encode_to_vec().into() })
    }

    /// Checks the form.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, Malformed> {
        let body: wire::EntryBody = decode("entry body", &bytes, ENTRY_PART_BYTES_MAX)?;
        if body.salt.len() != SALT_BYTES {
            return Err(Malformed::new("entry body", "the salt must be 16 bytes"));
        }
        let content = match body.content {
            Some(wire::entry_body::Content::Text(text)) => {
                check_text(&text.text)?;
                Content::Text(text.text)
            }
            None => Content::Unknown,
        };
        Ok(Self { content, bytes })
    }

    /// BLAKE3 of the exact bytes.
    pub fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.bytes).as_bytes()
    }
}

/// Checks that a text fits a message: not empty, at most [`TEXT_BYTES_MAX`] bytes.
pub fn check_text(text: &str) -> Result<(), Malformed> {
    if text.is_empty() {
        return Err(Malformed::new("text", "it is empty"));
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(Malformed::new(
            "text",
            format!("{} bytes, at most {TEXT_BYTES_MAX} are allowed in one message", text.len()),
        ));
    }
    Ok(())
}
