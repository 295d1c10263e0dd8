use std::fmt;

use zeroize::Zeroizing;

use super::ChannelError;
use super::keys::ChannelKeys;
use super::window::{Verdict, Window};
use crate::codec::Malformed;
use crate::crypto::payload::{self, Opening, Parsed, parse};
use crate::crypto::xwing::{XWingKey, XWingPublic, key_id};
use crate::crypto::{records, unpadded};
use crate::ids::{ChannelHash, DeviceId, Secret, Tag};

/// The receiving end of a pairwise channel. It does not say who sends: what it carries does.
#[derive(Clone, PartialEq, Eq)]
pub struct InboundChannel {
    hash: ChannelHash,
    keys: ChannelKeys,
    window: Window,
}

/// The channel that an opening envelope belongs to if it was made for `xwing`; `None` when it wasn't,
/// or is no opening envelope. Look the channel up by this before accepting a new one.
pub fn opening_hash(payload: &[u8], xwing: &XWingPublic) -> Option<ChannelHash> {
    match parse(payload) {
        Ok(Parsed::Opening(opening)) => hash_for(&opening, xwing),
        _ => None,
    }
}

impl InboundChannel {
    /// Accepts a channel that we don't have yet from an opening envelope, for one of our X-Wing keys;
    /// gives what it carries. Keep the channel only if that proves who sent it.
    pub fn accept(
        candidates: &[XWingKey],
        own: &DeviceId,
        payload: &[u8],
    ) -> Result<(Self, Vec<u8>), ChannelError> {
        let Parsed::Opening(opening) = parse(payload)? else {
            return Err(Malformed::new("payload", "opens no channel").into());
        };
        let mut error = ChannelError::UnknownKey;
        for xwing in candidates {
            let Some(hash) = hash_for(&opening, xwing.public()) else { continue };
            let keys =
                ChannelKeys::receive(own, xwing, opening.enc).map_err(|_| ChannelError::Unauthentic)?;
            let mut channel = Self { hash, keys, window: Window::default() };
            match channel.open_at(opening.index, opening.header, opening.ciphertext) {
                Ok(content) => return Ok((channel, content)),
                Err(failed) => error = failed,
            }
        }
        Err(error)
    }

    /// Opens a further payload of this channel, of either form, once.
    pub fn open(&mut self, payload: &[u8]) -> Result<Vec<u8>, ChannelError> {
        match parse(payload)? {
            Parsed::Opening(opening) if opening.key_id == key_id(&self.hash) => {
                self.open_at(opening.index, opening.header, opening.ciphertext)
            }
            Parsed::Opening(_) => Err(ChannelError::OtherChannel),
            Parsed::Channel(tagged) => {
                let index = self.window.fresh().find(|&index| self.keys.tag(index) == tagged.tag);
                let index = index.ok_or(ChannelError::UnknownTag)?;
                self.open_at(index, tagged.header, tagged.ciphertext)
            }
            Parsed::Message(_) | Parsed::Link(_) => Err(Malformed::new("payload", "is of no channel").into()),
        }
    }

    /// The channel's name, the same at both ends.
    pub const fn hash(&self) -> &ChannelHash {
        &self.hash
    }

    /// What to acknowledge to the peer: the highest index that came through, plus 1.
    pub const fn received_count(&self) -> u64 {
        self.window.next
    }

    /// The tags of `count` indices from `from` on, opened ones too.
    pub fn tags(&self, from: u64, count: u64) -> Vec<(u64, Tag)> {
        (from..from.saturating_add(count)).map(|index| (index, self.keys.tag(index))).collect()
    }

    /// Every tag that may still come (at most 160), lowest index first: what to index the channel by,
    /// anew after each payload that it opened.
    pub fn expected_tags(&self) -> Vec<(u64, Tag)> {
        self.window.fresh().map(|index| (index, self.keys.tag(index))).collect()
    }

    fn open_at(&mut self, index: u64, header: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, ChannelError> {
        match self.window.judge(index) {
            Verdict::Fresh => {}
            Verdict::Repeat => return Err(ChannelError::Replay(index)),
            Verdict::TooFarAhead => {
                return Err(ChannelError::TooFarAhead { index, limit: self.window.limit() });
            }
        }
        let padded =
            payload::open(&self.keys.channel, index, header, ciphertext).ok_or(ChannelError::Unauthentic)?;
        let content = unpadded(padded)?;
        self.window.mark(index);
        Ok(content)
    }

    /// For the device's own store. Secret.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        records::encode(&records::InboundChannel {
            hash: self.hash.as_bytes().to_vec(),
            channel_key: self.keys.channel.expose().to_vec(),
            header_key: self.keys.header.expose().to_vec(),
            next: self.window.next,
            seen: self.window.seen.to_be_bytes().to_vec(),
        })
    }

    /// From the device's own store.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let stored: records::InboundChannel = records::decode("inbound channel", bytes)?;
        let seen = stored.seen.as_slice().try_into();
        let seen = seen.map_err(|_| Malformed::new("inbound channel", "seen has a wrong length"))?;
        Ok(Self {
            hash: ChannelHash::from_slice(&stored.hash)?,
            keys: ChannelKeys {
                channel: Secret::from_slice(&stored.channel_key)?,
                header: Secret::from_slice(&stored.header_key)?,
            },
            window: Window { next: stored.next, seen: u128::from_be_bytes(seen) },
        })
    }
}

fn hash_for(opening: &Opening<'_>, xwing: &XWingPublic) -> Option<ChannelHash> {
    let hash = xwing.channel_hash(opening.enc);
    (key_id(&hash) == opening.key_id).then_some(hash)
}

impl fmt::Debug for InboundChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundChannel")
            .field("hash", &self.hash)
            .field("received_count", &self.window.next)
            .finish_non_exhaustive()
    }
}
