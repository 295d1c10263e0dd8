//! Structures as text that people copy: a scheme, base64url, and a checksum that finds accidents.

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;

use crate::codec::Malformed;

const CHECKSUM_BYTES: usize = 4;

/// A link that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It does not begin as one of this kind.
    #[error("not {what}: it begins with {scheme}")]
    OtherScheme {
        /// What it should be.
        what: &'static str,
        /// How it should begin.
        scheme: &'static str,
    },
    /// It was cut or mistyped.
    #[error("the link is damaged (copied in part?): ask for it again or paste it whole")]
    Damaged,
    /// It is whole, but this build can't read it.
    #[error("this link can't be read: {0}")]
    Malformed(#[from] Malformed),
}

/// Reads the bytes of a link. Spaces and line breaks in it don't matter.
pub(super) fn decode(what: &'static str, scheme: &'static str, link: &str) -> Result<Bytes, LinkError> {
    let link: String = link.chars().filter(|c| !c.is_whitespace()).collect();
    let text = link.strip_prefix(scheme).ok_or(LinkError::OtherScheme { what, scheme })?;
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| LinkError::Damaged)?;
    let (body, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(LinkError::Damaged)?;
    if checksum(body) != *sum {
        return Err(LinkError::Damaged);
    }
    Ok(Bytes::copy_from_slice(body))
}

/// The link.
pub(super) fn encode(scheme: &'static str, mut bytes: Vec<u8>) -> String {
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum);
    format!("{scheme}{}", BASE64URL_NOPAD.encode(&bytes))
}

/// The first four bytes of BLAKE3: finds mistyped and cut links.
fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let [a, b, c, d, ..] = *blake3::hash(body).as_bytes();
    [a, b, c, d]
}
