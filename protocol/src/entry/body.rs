use bytes::Bytes;
use prost::Message;
use rand_core::CryptoRng;

use super::account::AccountRecord;
use super::annotation::{Annotation, hidden_from_wire, hidden_to_wire};
use super::text::Text;
use crate::codec::{Malformed, Signed, decode};
use crate::ids::EntryId;
use crate::limits::{DEVICES_PER_USER_MAX, ENTRY_PART_BYTES_MAX};
use crate::wire::{self, entry_body::Content as WireContent};

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
    /// A text message.
    Text(Text),
    /// The author's user has other devices from here on.
    Devices(DeviceChange),
    /// What the author's user's devices know of another user; in the conversation with oneself only.
    Account(Box<AccountRecord>),
    /// Something said of another entry of the conversation.
    Annotation(Annotation),
    /// Entries that the author's user does not want to see any more, 1 to [`HIDDEN_MAX`]; in the conversation with
    /// oneself only.
    ///
    /// [`HIDDEN_MAX`]: crate::limits::HIDDEN_MAX
    Hidden(Vec<EntryId>),
    /// A change of the group's membership that the entry's device signed; in a group only. Whoever takes it checks it.
    Operation(Signed),
    /// Something that a later version made: kept, counted, shown as such.
    Unknown,
    /// The body was dropped (`spec/log.md`, "Without a body"): the header says which it was, and what it said is gone.
    Gone,
}

/// A change of a user's devices. The signatures are checked by whoever takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceChange {
    /// The new list.
    pub device_list: Signed,
    /// Revocations of this conversation, at most [`DEVICES_PER_USER_MAX`].
    pub revocations: Vec<Signed>,
}

impl EntryBody {
    /// A text message.
    pub fn text(text: &str, rng: &mut impl CryptoRng) -> Result<Self, Malformed> {
        Self::new(Content::Text(Text::plain(text)), rng)
    }

    /// Something to say. Refused where it breaks a limit; what is unknown can't be said.
    pub fn new(content: Content, rng: &mut impl CryptoRng) -> Result<Self, Malformed> {
        let wire = match &content {
            Content::Text(text) => {
                text.check()?;
                WireContent::Text(text.to_wire())
            }
            Content::Devices(change) => WireContent::Devices(wire::DeviceChange {
                device_list: Some(change.device_list.to_wire()),
                revocations: change.revocations.iter().map(Signed::to_wire).collect(),
            }),
            Content::Account(record) => WireContent::Account(record.to_wire()),
            Content::Operation(signed) => WireContent::Operation(signed.to_wire()),
            Content::Annotation(annotation) => {
                annotation.check()?;
                WireContent::Annotation(annotation.to_wire())
            }
            Content::Hidden(entries) => WireContent::Hidden(hidden_to_wire(entries)?),
            Content::Unknown | Content::Gone => return Err(Malformed::new("entry body", "nothing to say")),
        };
        let mut salt = [0; SALT_BYTES];
        rng.fill_bytes(&mut salt);
        let body = wire::EntryBody { salt: Bytes::copy_from_slice(&salt), content: Some(wire) };
        let bytes = body.encode_to_vec();
        if bytes.len() > ENTRY_PART_BYTES_MAX {
            return Err(Malformed::new("entry body", format!("{} bytes are too many", bytes.len())));
        }
        Ok(Self { content, bytes: bytes.into() })
    }

    /// In the place of one that was dropped.
    pub const fn gone() -> Self {
        Self { content: Content::Gone, bytes: Bytes::new() }
    }

    /// Whether it was dropped.
    pub const fn is_gone(&self) -> bool {
        matches!(self.content, Content::Gone)
    }

    /// Checks the form.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, Malformed> {
        let body: wire::EntryBody = decode("entry body", &bytes, ENTRY_PART_BYTES_MAX)?;
        if body.salt.len() != SALT_BYTES {
            return Err(Malformed::new("entry body", "the salt must be 16 bytes"));
        }
        let content = match body.content {
            Some(WireContent::Text(text)) => Content::Text(Text::from_wire(text)?),
            Some(WireContent::Devices(change)) => Content::Devices(device_change(change)?),
            Some(WireContent::Account(record)) => {
                Content::Account(Box::new(AccountRecord::from_wire(record)?))
            }
            Some(WireContent::Operation(signed)) => Content::Operation(Signed::from_wire(signed)?),
            Some(WireContent::Annotation(annotation)) => {
                Content::Annotation(Annotation::from_wire(annotation)?)
            }
            Some(WireContent::Hidden(hidden)) => Content::Hidden(hidden_from_wire(&hidden)?),
            None => Content::Unknown,
        };
        Ok(Self { content, bytes })
    }

    /// BLAKE3 of the exact bytes.
    pub fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.bytes).as_bytes()
    }
}

fn device_change(change: wire::DeviceChange) -> Result<DeviceChange, Malformed> {
    if change.revocations.len() > DEVICES_PER_USER_MAX {
        return Err(Malformed::new("device change", "more than 32 revocations"));
    }
    Ok(DeviceChange {
        device_list: Signed::required("device change", "device list", change.device_list)?,
        revocations: change.revocations.into_iter().map(Signed::from_wire).collect::<Result<_, _>>()?,
    })
}
