//! Invitations of the operator: who has one may open a mailbox where not everybody may.
//!
//! The relay keeps none of them. One says for how many mailboxes and until when it is, and carries a tag under the relay's
//! key; what is stored is how many mailboxes were opened by each that was used, until it ends. So they are made without the
//! running relay, from its key alone.

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use rand_core::CryptoRng;
use undertone_protocol::limits::RELAY_INVITATION_BYTES_MAX;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::RefusalCode;

use crate::answer::{Failed, Refused};
use crate::limits::Limits;
use crate::store::table::{self, Key, Table};
use crate::store::usage::{self, PREFIX_DISK_BYTES};
use crate::store::{Overlay, Store, StoreError};

const WHAT: &str = "invitation of a relay";
const KEY: &str = "undertone v1 relay invitation";
const VERSION: u8 = 1;
const TAG_BYTES: usize = 16;

/// An invitation: version(1) ‖ handle(8) ‖ uses(2) ‖ not after(8) ‖ tag(16), integers big endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invitation {
    handle: [u8; 8],
    /// Mailboxes that it opens.
    uses: u16,
    /// It opens none after this.
    not_after: Timestamp,
}

impl Invitation {
    /// A new one for so many mailboxes.
    pub(crate) fn new(uses: u16, not_after: Timestamp, rng: &mut impl CryptoRng) -> Self {
        let mut handle = [0; 8];
        rng.fill_bytes(&mut handle);
        Self { handle, uses, not_after }
    }

    /// As it is given to whoever is invited.
    pub(crate) fn seal(&self, relay: &SigningKey) -> Vec<u8> {
        let body = self.body();
        [body.as_slice(), &tag(relay, &body)].concat()
    }

    /// `None`: it is none of this relay's.
    fn open(bytes: &[u8], relay: &SigningKey) -> Option<Self> {
        let (body, sealed) = bytes.split_last_chunk::<TAG_BYTES>()?;
        // The hash compares in constant time.
        if blake3::Hash::from(padded(&tag(relay, body))) != blake3::Hash::from(padded(sealed)) {
            return None;
        }
        let (version, body) = body.split_first()?;
        let (handle, body) = body.split_first_chunk()?;
        let (uses, body) = body.split_first_chunk()?;
        let not_after = Timestamp::from_ms(u64::from_be_bytes(body.try_into().ok()?));
        (*version == VERSION).then_some(Self { handle: *handle, uses: u16::from_be_bytes(*uses), not_after })
    }

    fn body(&self) -> Vec<u8> {
        let (uses, not_after) = (self.uses.to_be_bytes(), self.not_after.as_ms().to_be_bytes());
        [&[VERSION][..], &self.handle, &uses, &not_after].concat()
    }

    fn key(&self) -> Key {
        Table::Invited.key().u64(self.not_after.as_ms()).part(&self.handle)
    }
}

fn tag(relay: &SigningKey, body: &[u8]) -> [u8; TAG_BYTES] {
    let key = blake3::derive_key(KEY, &relay.to_bytes());
    let [tag @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
        *blake3::keyed_hash(&key, body).as_bytes();
    tag
}

fn padded(tag: &[u8; TAG_BYTES]) -> [u8; 32] {
    let mut padded = [0; 32];
    padded.iter_mut().zip(tag).for_each(|(to, from)| *to = *from);
    padded
}

/// An invitation that opens one more mailbox at least.
pub(super) struct Invited {
    key: Key,
    /// Mailboxes that it opened.
    used: u16,
}

/// Whether an invitation opens one more mailbox. Changes nothing.
pub(super) fn check<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    asked: &Bytes,
    relay: &SigningKey,
    now: Timestamp,
) -> Result<Invited, Failed> {
    let refused = |text: &str| Failed::from(Refused::new(RefusalCode::Invitation, text));
    if asked.is_empty() {
        return Err(refused(
            "this relay is for those whom its operator invites: ask the operator for an invitation",
        ));
    }
    if asked.len() > RELAY_INVITATION_BYTES_MAX {
        return Err(Refused::malformed("an invitation has at most 64 bytes").into());
    }
    let Some(invitation) = Invitation::open(asked, relay) else {
        return Err(refused("that is no invitation of this relay: look whether all of it was copied"));
    };
    if invitation.not_after <= now {
        return Err(refused("that invitation has ended: ask the relay's operator for another one"));
    }
    let key = invitation.key();
    let used = match tx.get(key.as_ref())? {
        Some(used) => {
            u16::from_be_bytes(used.as_ref().try_into().map_err(|_| StoreError::Corrupt { what: WHAT })?)
        }
        None => 0,
    };
    if used >= invitation.uses {
        return Err(refused("that invitation is used up: ask the relay's operator for another one"));
    }
    Ok(Invited { key, used })
}

/// Takes one use of an invitation for a new mailbox. The caller has found nothing else that speaks against it.
pub(super) fn take<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    Invited { key, used }: Invited,
    limits: &Limits,
) -> Result<(), Failed> {
    if used == 0 && !usage::take(tx, PREFIX_DISK_BYTES, limits.disk_bytes_max)? {
        return Err(Refused::disk_full(limits.full_retry_after_ms).into());
    }
    tx.put(key, used.saturating_add(1).to_be_bytes().to_vec());
    Ok(())
}

/// Forgets the uses of at most `budget` invitations that ended; whether there are more.
pub(crate) fn sweep_invitations<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    from: Timestamp,
    now: Timestamp,
    budget: usize,
) -> Result<bool, StoreError> {
    let ended = table::due(tx, Table::Invited, from, now, budget)?;
    let more = ended.len() >= budget;
    for key in ended {
        tx.delete(key);
        usage::release(tx, PREFIX_DISK_BYTES)?;
    }
    Ok(more)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn an_invitation_is_of_one_relay_and_can_t_be_changed() {
        let (relay, other) = (SigningKey::from_bytes(&[5; 32]), SigningKey::from_bytes(&[6; 32]));
        let not_after = Timestamp::from_ms(1_700_000_000_000);
        let invitation = Invitation::new(3, not_after, &mut ChaCha20Rng::seed_from_u64(1));
        let sealed = invitation.seal(&relay);
        assert_eq!(sealed.len(), 35);
        assert!(sealed.len() <= RELAY_INVITATION_BYTES_MAX);
        assert_eq!(Invitation::open(&sealed, &relay), Some(invitation));
        assert_eq!(Invitation::open(&sealed, &other), None);
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert_eq!(Invitation::open(&changed, &relay), None, "byte {position}");
            assert_eq!(Invitation::open(&sealed[..position], &relay), None);
        }
        assert_eq!(Invitation::open(&[sealed.as_slice(), &[0]].concat(), &relay), None);
    }
}
