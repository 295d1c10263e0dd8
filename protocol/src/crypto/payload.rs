use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};

use crate::codec::Malformed;
use crate::ids::{Secret, Tag};
use crate::limits::{PAYLOAD_BYTES_MAX, PROTOCOL_VERSION, SUITE};

/// Bytes of an X-Wing encapsulation.
pub const ENC_BYTES: usize = 1_120;
/// Bytes that an opening envelope adds to its padded content: version, suite, kind, key id, enc, index, AEAD tag.
pub const OPENING_OVERHEAD_BYTES: usize = OPENING_HEADER + AEAD_TAG;
/// Bytes that a later envelope of a channel, or a conversation message, adds: version, suite, kind, tag, AEAD tag.
pub const TAGGED_OVERHEAD_BYTES: usize = TAGGED_HEADER + AEAD_TAG;

const PREFIX: usize = 3;
const KEY_ID: usize = 4;
const INDEX: usize = 8;
const OPENING_HEADER: usize = PREFIX + KEY_ID + ENC_BYTES + INDEX;
const TAGGED_HEADER: usize = PREFIX + Tag::LEN;
const LINK_NONCE: usize = 12;
const LINK_HEADER: usize = PREFIX + LINK_NONCE;
const AEAD_TAG: usize = 16;

const VERSION: u8 = 1;
const _: () = assert!(PROTOCOL_VERSION == VERSION as u32, "the version byte follows the protocol's version");
const OPENING: u8 = 1;
const CHANNEL: u8 = 2;
const MESSAGE: u8 = 3;
const LINK: u8 = 4;

/// The first four bytes of a channel's hash.
pub type KeyId = [u8; KEY_ID];

/// What a sealed payload is, by its clear header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadKind {
    /// An opening envelope of a pairwise channel: it brings the channel's keys along.
    Opening {
        /// Names one of our X-Wing keys together with the channel.
        key_id: KeyId,
    },
    /// A later envelope of a pairwise channel.
    Channel {
        /// Names channel and index to whoever holds the channel's header key.
        tag: Tag,
    },
    /// A conversation message under a sender key.
    Message {
        /// Names session and index to whoever holds the session's header key.
        tag: Tag,
    },
    /// The answer to a device's code.
    Link,
}

/// Looks at a payload's clear header. Checks version, suite, kind and length, nothing else.
pub fn classify(payload: &[u8]) -> Result<PayloadKind, Malformed> {
    match parse(payload)? {
        Parsed::Opening(opening) => Ok(PayloadKind::Opening { key_id: opening.key_id }),
        Parsed::Channel(tagged) => Ok(PayloadKind::Channel { tag: tagged.tag }),
        Parsed::Message(tagged) => Ok(PayloadKind::Message { tag: tagged.tag }),
        Parsed::Link(_) => Ok(PayloadKind::Link),
    }
}

/// A payload, split.
pub(super) enum Parsed<'a> {
    Opening(Opening<'a>),
    Channel(Tagged<'a>),
    Message(Tagged<'a>),
    Link(Link<'a>),
}

/// A split answer to a device's code.
pub(super) struct Link<'a> {
    pub(super) nonce: &'a [u8; LINK_NONCE],
    /// All before the ciphertext: the associated data.
    pub(super) header: &'a [u8],
    pub(super) ciphertext: &'a [u8],
}

/// A split opening envelope.
pub(super) struct Opening<'a> {
    pub(super) key_id: KeyId,
    pub(super) enc: &'a [u8; ENC_BYTES],
    pub(super) index: u64,
    /// All before the ciphertext: the associated data.
    pub(super) header: &'a [u8],
    pub(super) ciphertext: &'a [u8],
}

/// A split payload that a tag names.
pub(super) struct Tagged<'a> {
    pub(super) tag: Tag,
    /// All before the ciphertext: the associated data.
    pub(super) header: &'a [u8],
    pub(super) ciphertext: &'a [u8],
}

pub(super) fn parse(payload: &[u8]) -> Result<Parsed<'_>, Malformed> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(malformed(format!("{} bytes, at most {PAYLOAD_BYTES_MAX} are allowed", payload.len())));
    }
    let short = || malformed(format!("{} bytes are too few", payload.len()));
    let &[version, suite, kind] = payload.first_chunk::<PREFIX>().ok_or_else(short)?;
    if version != VERSION {
        return Err(malformed(format!("version {version}, this build speaks {VERSION}")));
    }
    if suite != SUITE {
        return Err(malformed(format!("suite {suite}, this build speaks {SUITE}")));
    }
    match kind {
        OPENING => opening(payload).map(Parsed::Opening).ok_or_else(short),
        CHANNEL => tagged(payload).map(Parsed::Channel).ok_or_else(short),
        MESSAGE => tagged(payload).map(Parsed::Message).ok_or_else(short),
        LINK => link(payload).map(Parsed::Link).ok_or_else(short),
        other => Err(malformed(format!("unknown kind {other}"))),
    }
}

fn opening(payload: &[u8]) -> Option<Opening<'_>> {
    let (header, ciphertext) = split(payload, OPENING_HEADER)?;
    let (key_id, rest) = header.get(PREFIX..)?.split_first_chunk::<KEY_ID>()?;
    let (enc, index) = rest.split_first_chunk::<ENC_BYTES>()?;
    let index = u64::from_be_bytes(*index.first_chunk::<INDEX>()?);
    Some(Opening { key_id: *key_id, enc, index, header, ciphertext })
}

fn tagged(payload: &[u8]) -> Option<Tagged<'_>> {
    let (header, ciphertext) = split(payload, TAGGED_HEADER)?;
    let tag = Tag::from_slice(header.get(PREFIX..)?).ok()?;
    Some(Tagged { tag, header, ciphertext })
}

fn link(payload: &[u8]) -> Option<Link<'_>> {
    let (header, ciphertext) = split(payload, LINK_HEADER)?;
    let nonce = header.get(PREFIX..)?.first_chunk::<LINK_NONCE>()?;
    Some(Link { nonce, header, ciphertext })
}

/// Header and ciphertext; the ciphertext holds an AEAD tag at least.
fn split(payload: &[u8], header: usize) -> Option<(&[u8], &[u8])> {
    payload.split_at_checked(header).filter(|(_, ciphertext)| ciphertext.len() >= AEAD_TAG)
}

fn malformed(why: String) -> Malformed {
    Malformed::new("payload", why)
}

pub(super) fn opening_header(key_id: &KeyId, enc: &[u8; ENC_BYTES], index: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(OPENING_HEADER);
    header.extend_from_slice(&[VERSION, SUITE, OPENING]);
    header.extend_from_slice(key_id);
    header.extend_from_slice(enc);
    header.extend_from_slice(&index.to_be_bytes());
    header
}

pub(super) fn channel_header(tag: &Tag) -> Vec<u8> {
    tagged_header(CHANNEL, tag)
}

pub(super) fn message_header(tag: &Tag) -> Vec<u8> {
    tagged_header(MESSAGE, tag)
}

pub(super) fn link_header(nonce: &[u8; LINK_NONCE]) -> Vec<u8> {
    [[VERSION, SUITE, LINK].as_slice(), nonce].concat()
}

fn tagged_header(kind: u8, tag: &Tag) -> Vec<u8> {
    let mut header = Vec::with_capacity(TAGGED_HEADER);
    header.extend_from_slice(&[VERSION, SUITE, kind]);
    header.extend_from_slice(tag.as_bytes());
    header
}

/// `tag_i`: BLAKE3-keyed(key, i as 8 bytes, big endian) cut to 16 bytes.
pub(super) fn tag(key: &Secret, index: u64) -> Tag {
    let hash = blake3::keyed_hash(key.expose(), &index.to_be_bytes());
    let mut tag = [0; Tag::LEN];
    hash.as_bytes().iter().zip(&mut tag).for_each(|(from, to)| *to = *from);
    Tag::new(tag)
}

/// Header ‖ AEAD(key, nonce i, plaintext), with the header as associated data; `None` when that is
/// above the largest payload.
pub(super) fn seal(key: &Secret, index: u64, header: Vec<u8>, plaintext: &[u8]) -> Option<Vec<u8>> {
    seal_at(key, nonce(index), header, plaintext)
}

pub(super) fn seal_at(key: &Secret, nonce: Nonce, mut header: Vec<u8>, plaintext: &[u8]) -> Option<Vec<u8>> {
    if header.len() + plaintext.len() + AEAD_TAG > PAYLOAD_BYTES_MAX {
        return None;
    }
    let payload = Payload { msg: plaintext, aad: &header };
    let ciphertext = cipher(key).encrypt(&nonce, payload).ok()?;
    header.extend_from_slice(&ciphertext);
    Some(header)
}

/// The plaintext; `None` when key, index, header or ciphertext is another than was sealed.
pub(super) fn open(key: &Secret, index: u64, header: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    open_at(key, nonce(index), header, ciphertext)
}

pub(super) fn open_at(key: &Secret, nonce: Nonce, header: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    cipher(key).decrypt(&nonce, Payload { msg: ciphertext, aad: header }).ok()
}

fn cipher(key: &Secret) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(key.expose().into())
}

/// Four zero bytes, then the index in eight bytes, big endian.
fn nonce(index: u64) -> Nonce {
    let mut nonce = [0; 12];
    index.to_be_bytes().iter().zip(nonce.iter_mut().skip(4)).for_each(|(from, to)| *to = *from);
    nonce.into()
}
