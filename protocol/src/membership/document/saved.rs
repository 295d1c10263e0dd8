//! The document as a device stores it. Nothing of it is part of the protocol.
//!
//! `version(1) ‖ BLAKE3 of the rest(32) ‖ group(32) ‖ count(4) of certificates, each: hash(32) ‖ user(32) ‖ device(32)
//! ‖ count(4) of proofs that devices forked, each two operations: signature(64) ‖ bytes(2) ‖ the bytes
//! ‖ count(4) of operations, each: signature(64) ‖ bytes of its chunk(2) ‖ bytes of the operation(2) ‖ the chunks`,
//! numbers big endian. The chunks at the end, parents first, are a document that Automerge loads as it stands. What came
//! since is stored behind it in the same form, with the certificates of these operations and all proofs.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::aside::Aside;
use super::carrier::operation_in;
use super::held::{Held, Owner, Row};
use super::proof::Proof;
use crate::codec::{Signature, Signed};
use crate::ids::{CertificateHash, ConversationId, DeviceId, UserId};

const VERSION: u8 = 2;

/// Why stored bytes are no document. The store is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Another build wrote them.
    #[error("the membership document has version {0}, this build reads {VERSION}")]
    Version(u8),
    /// They are not what was saved.
    #[error("the membership document is damaged: {0}")]
    Damaged(String),
}

/// What stands in stored bytes, so far only as long as it should be.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) group: ConversationId,
    pub(super) owners: Vec<(CertificateHash, Owner)>,
    pub(super) proofs: Vec<[Signed; 2]>,
    /// With the chunk that carries it, which is still to be compared.
    pub(super) operations: Vec<(Signed, Bytes)>,
}

pub(super) fn damaged(why: impl Into<String>) -> LoadError {
    LoadError::Damaged(why.into())
}

/// Writes a document.
pub(super) fn encode<'a>(
    group: &ConversationId,
    held: &'a Held,
    aside: &Aside,
    proofs: impl ExactSizeIterator<Item = &'a Proof>,
) -> Vec<u8> {
    let rows: Vec<&Row> = held.rows().iter().filter(|row| !aside.contains(&row.hash)).collect();
    write(group, held.owners().iter(), &rows, proofs)
}

/// Writes what came behind the first `from` rows.
pub(super) fn encode_since<'a>(
    group: &ConversationId,
    held: &'a Held,
    from: usize,
    proofs: impl ExactSizeIterator<Item = &'a Proof>,
) -> Vec<u8> {
    let rows: Vec<&Row> = held.rows().iter().skip(from).collect();
    let certificates: BTreeSet<&CertificateHash> =
        rows.iter().map(|row| &row.signed.operation.certificate).collect();
    let owners: Vec<_> =
        certificates.into_iter().filter_map(|hash| held.owners().get_key_value(hash)).collect();
    write(group, owners.into_iter(), &rows, proofs)
}

fn write<'a>(
    group: &ConversationId,
    owners: impl ExactSizeIterator<Item = (&'a CertificateHash, &'a Owner)>,
    rows: &[&Row],
    proofs: impl ExactSizeIterator<Item = &'a Proof>,
) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend_from_slice(&[0; blake3::OUT_LEN]);
    out.extend_from_slice(group.as_bytes());
    out.extend_from_slice(&count(owners.len()));
    for (certificate, owner) in owners {
        out.extend_from_slice(certificate.as_bytes());
        out.extend_from_slice(owner.user.as_bytes());
        out.extend_from_slice(owner.device.as_bytes());
    }
    out.extend_from_slice(&count(proofs.len()));
    for signed in proofs.flat_map(Proof::signed) {
        out.extend_from_slice(&signed.signature);
        out.extend_from_slice(&length(signed.body.len()));
        out.extend_from_slice(&signed.body);
    }
    out.extend_from_slice(&count(rows.len()));
    let mut chunks = Vec::new();
    for row in rows {
        let carried = row.carried();
        out.extend_from_slice(&row.signed.signature);
        out.extend_from_slice(&length(carried.chunk().len()));
        out.extend_from_slice(&length(row.signed.bytes.len()));
        chunks.extend_from_slice(carried.chunk());
    }
    out.append(&mut chunks);
    let checksum = out.get(CHECKED_FROM..).map(blake3::hash);
    if let (Some(place), Some(checksum)) = (out.get_mut(1..CHECKED_FROM), checksum) {
        place.copy_from_slice(checksum.as_bytes());
    }
    out
}

const CHECKED_FROM: usize = 1 + blake3::OUT_LEN;

/// A count of what fits into memory with more than a byte each.
fn count(count: usize) -> [u8; 4] {
    u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes()
}

/// The length of an operation, at most 8 KiB, or of its chunk, which has a few hundred bytes more.
fn length(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

/// Reads version, checksum and lengths.
pub(super) fn decode(bytes: &[u8]) -> Result<Saved, LoadError> {
    let mut reader = Reader(bytes);
    let [version] = reader.array()?;
    if version != VERSION {
        return Err(LoadError::Version(version));
    }
    let checksum: [u8; 32] = reader.array()?;
    if blake3::hash(reader.0) != checksum {
        return Err(damaged("its checksum differs"));
    }
    let group = ConversationId::new(reader.array()?);
    let owners = (0..reader.count()?).map(|_| reader.owner()).collect::<Result<_, _>>()?;
    let proofs = (0..reader.count()?).map(|_| Ok([reader.signed()?, reader.signed()?]));
    let proofs = proofs.collect::<Result<_, _>>()?;
    let heads: Vec<Head> = (0..reader.count()?).map(|_| reader.head()).collect::<Result<_, _>>()?;
    // One buffer for all operations, which are parts of it.
    let chunks = Bytes::copy_from_slice(reader.0);
    let mut from: usize = 0;
    let mut operations = Vec::new();
    for head in heads {
        let to = from.saturating_add(head.chunk);
        if to > chunks.len() {
            return Err(damaged("it ends too early"));
        }
        operations.push(head.operation(chunks.slice(from..to))?);
        from = to;
    }
    if from != chunks.len() {
        return Err(damaged("something follows it"));
    }
    Ok(Saved { group, owners, proofs, operations })
}

struct Head {
    signature: Signature,
    chunk: usize,
    operation: usize,
}

impl Head {
    fn operation(self, chunk: Bytes) -> Result<(Signed, Bytes), LoadError> {
        let body = operation_in(&chunk, self.operation).ok_or_else(|| damaged("a chunk is too short"))?;
        Ok((Signed { body: chunk.slice_ref(body), signature: self.signature }, chunk))
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], LoadError> {
        let (array, rest) = self.0.split_first_chunk().ok_or_else(|| damaged("it ends too early"))?;
        self.0 = rest;
        Ok(*array)
    }

    fn count(&mut self) -> Result<u32, LoadError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn length(&mut self) -> Result<usize, LoadError> {
        Ok(usize::from(u16::from_be_bytes(self.array()?)))
    }

    fn owner(&mut self) -> Result<(CertificateHash, Owner), LoadError> {
        let certificate = CertificateHash::new(self.array()?);
        Ok((certificate, Owner { user: UserId::new(self.array()?), device: DeviceId::new(self.array()?) }))
    }

    fn signed(&mut self) -> Result<Signed, LoadError> {
        let signature = self.array()?;
        let length = self.length()?;
        let (body, rest) = self.0.split_at_checked(length).ok_or_else(|| damaged("it ends too early"))?;
        self.0 = rest;
        Ok(Signed { body: Bytes::copy_from_slice(body), signature })
    }

    fn head(&mut self) -> Result<Head, LoadError> {
        Ok(Head { signature: self.array()?, chunk: self.length()?, operation: self.length()? })
    }
}
