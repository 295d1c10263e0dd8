use bytes::Bytes;
use ed25519_dalek::SigningKey;
use prost::Message;

use super::body::EntryBody;
use crate::codec::{BadSignature, Label, Malformed, Signature, Signed, decode, sign, version_and_suite};
use crate::ids::{ConversationId, DeviceId, DeviceListHash, EntryId, WrongLength};
use crate::limits::{
    CLAIMED_MS_MAX, ENTRY_HEADS_MAX, ENTRY_PART_BYTES_MAX, MEMBERSHIP_HEADS_MAX, PROTOCOL_VERSION, SUITE,
};
use crate::time::Timestamp;
use crate::wire;

/// What an entry's device signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryHeader {
    /// Where it belongs.
    pub conversation: ConversationId,
    /// Who signs it.
    pub device: DeviceId,
    /// The device's own count in this conversation; the first is 1.
    pub seq: u64,
    /// The device's entry before it; `None` for the first.
    pub prev: Option<EntryId>,
    /// What the device had seen last, deepest first; at most 16.
    pub heads: Vec<EntryId>,
    /// The device's clock.
    pub claimed: Timestamp,
    /// The device lists (direct) or membership operations (group) that the author knew.
    pub membership_heads: Vec<DeviceListHash>,
    /// BLAKE3 of the body.
    pub body_hash: [u8; 32],
    /// Gone after this; `None`: stays.
    pub expires: Option<Timestamp>,
}

/// An entry whose form, signature and body hash were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedEntry {
    /// BLAKE3 of the header's exact bytes.
    pub id: EntryId,
    /// What the header says.
    pub header: EntryHeader,
    /// The header's exact bytes.
    pub header_bytes: Bytes,
    /// By the header's device.
    pub signature: Signature,
    /// What it says.
    pub body: EntryBody,
}

/// Why an entry is refused. Its author is at fault, or whoever altered it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// It breaks the format.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The device did not sign it.
    #[error(transparent)]
    BadSignature(#[from] BadSignature),
    /// The body is another one than the header names.
    #[error("the body does not match the header's hash")]
    WrongBody,
}

impl From<WrongLength> for EntryError {
    fn from(error: WrongLength) -> Self {
        Self::Malformed(error.into())
    }
}

impl SignedEntry {
    /// Signs an entry.
    pub fn issue(key: &SigningKey, header: EntryHeader, body: EntryBody) -> Self {
        let Signed { body: header_bytes, signature } =
            sign(Label::Entry, key, header.to_wire().encode_to_vec());
        Self { id: id_of(&header_bytes), header, header_bytes, signature, body }
    }

    /// Checks form, signature and body.
    pub fn verify(sealed: wire::SealedEntry) -> Result<Self, EntryError> {
        let wire::SealedEntry { header, signature, body } = sealed;
        let entry = Self::verify_header(header, signature)?;
        let body = EntryBody::from_bytes(body)?;
        if body.hash() != entry.header.body_hash {
            return Err(EntryError::WrongBody);
        }
        Ok(Self { body, ..entry })
    }

    /// The same of an entry that may come without its body, which was dropped then. Whether this one may is the reader's
    /// question.
    pub fn verify_whole_or_gone(sealed: wire::SealedEntry) -> Result<Self, EntryError> {
        if sealed.body.is_empty() {
            Self::verify_header(sealed.header, sealed.signature)
        } else {
            Self::verify(sealed)
        }
    }

    fn verify_header(header: Bytes, signature: Bytes) -> Result<Self, EntryError> {
        let signed = Signed::from_wire(wire::Signed { body: header, signature })?;
        let header = EntryHeader::from_bytes(&signed.body)?;
        signed.verify(Label::Entry, header.device.as_bytes())?;
        let Signed { body: header_bytes, signature } = signed;
        Ok(Self { id: id_of(&header_bytes), header, header_bytes, signature, body: EntryBody::gone() })
    }

    /// From a device's own store: checks the form only. For bytes that [`Self::verify`] or [`Self::issue`]
    /// gave, and that were kept where nobody else can write; never for bytes from outside.
    pub fn from_stored(header_bytes: Bytes, signature: Signature, body: Bytes) -> Result<Self, EntryError> {
        let header = EntryHeader::from_bytes(&header_bytes)?;
        let body = if body.is_empty() { EntryBody::gone() } else { EntryBody::from_bytes(body)? };
        Ok(Self { id: id_of(&header_bytes), header, header_bytes, signature, body })
    }

    /// The same without what it says.
    pub fn without_body(self) -> Self {
        Self { body: EntryBody::gone(), ..self }
    }

    /// For the wire.
    pub fn to_wire(&self) -> wire::SealedEntry {
        wire::SealedEntry {
            header: self.header_bytes.clone(),
            signature: Bytes::copy_from_slice(&self.signature),
            body: self.body.bytes.clone(),
        }
    }
}

fn id_of(header: &[u8]) -> EntryId {
    EntryId::new(*blake3::hash(header).as_bytes())
}

impl EntryHeader {
    fn to_wire(&self) -> wire::EntryHeader {
        wire::EntryHeader {
            version: PROTOCOL_VERSION,
            suite: u32::from(SUITE),
            conversation: self.conversation.to_wire(),
            device: self.device.to_wire(),
            seq: self.seq,
            prev: self.prev.map(|id| id.to_wire()).unwrap_or_default(),
            heads: self.heads.iter().map(EntryId::to_wire).collect(),
            claimed_ms: self.claimed.as_ms(),
            membership_heads: self.membership_heads.iter().map(DeviceListHash::to_wire).collect(),
            body_hash: Bytes::copy_from_slice(&self.body_hash),
            expires_ms: self.expires.map_or(0, Timestamp::as_ms),
        }
    }

    /// Reads a header's exact bytes: form only.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, EntryError> {
        let header: wire::EntryHeader = decode("entry header", bytes, ENTRY_PART_BYTES_MAX)?;
        version_and_suite("entry header", header.version, header.suite)?;
        let bad = |why: &str| Err(Malformed::new("entry header", why).into());
        if header.seq == 0 {
            return bad("seq 0; the first is 1");
        }
        if (header.seq == 1) != header.prev.is_empty() {
            return bad("prev must be there for every entry but the first");
        }
        if header.claimed_ms > CLAIMED_MS_MAX {
            return bad("the claimed time is beyond all bounds");
        }
        if header.heads.len() > ENTRY_HEADS_MAX {
            return bad("more than 16 heads");
        }
        if header.membership_heads.len() > MEMBERSHIP_HEADS_MAX {
            return bad("too many membership heads");
        }
        Ok(Self {
            conversation: ConversationId::from_slice(&header.conversation)?,
            device: DeviceId::from_slice(&header.device)?,
            seq: header.seq,
            prev: (!header.prev.is_empty()).then(|| EntryId::from_slice(&header.prev)).transpose()?,
            heads: header.heads.iter().map(|id| EntryId::from_slice(id)).collect::<Result<_, _>>()?,
            claimed: Timestamp::from_ms(header.claimed_ms),
            membership_heads: header
                .membership_heads
                .iter()
                .map(|hash| DeviceListHash::from_slice(hash))
                .collect::<Result<_, _>>()?,
            body_hash: header.body_hash.as_ref().try_into().map_err(|_| WrongLength {
                what: "body hash",
                expected: 32,
                got: header.body_hash.len(),
            })?,
            expires: (header.expires_ms != 0).then(|| Timestamp::from_ms(header.expires_ms)),
        })
    }

    /// What the entry follows: its heads and its device's entry before it.
    pub fn parents(&self) -> impl Iterator<Item = EntryId> + '_ {
        let prev = self.prev.filter(|prev| !self.heads.contains(prev));
        self.heads.iter().copied().chain(prev)
    }
}
