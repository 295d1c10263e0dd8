use std::fmt;
use std::time::Duration;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::ChannelError;
use super::keys::ChannelKeys;
use crate::codec::{Malformed, pad};
use crate::crypto::payload::{self, ENC_BYTES};
use crate::crypto::records;
use crate::crypto::xwing::{XWingPublic, key_id};
use crate::ids::{ChannelHash, DeviceId, Secret};
use crate::limits::{CHANNEL_LIFE_MAX, CHANNEL_UNACKNOWLEDGED_MAX};
use crate::time::Timestamp;

/// A channel that is opened so much later than now was opened by a wrong clock.
const CLOCK_SLACK: Duration = Duration::from_secs(60);

/// The sending end of a pairwise channel.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboundChannel {
    recipient: DeviceId,
    hash: ChannelHash,
    /// BLAKE3 of the X-Wing public key.
    key_hash: [u8; 32],
    enc: Box<[u8; ENC_BYTES]>,
    keys: ChannelKeys,
    /// The next index.
    next: u64,
    /// The peer's count: the highest index that came through, plus 1.
    acknowledged: u64,
    opened: Timestamp,
}

impl OutboundChannel {
    /// Opens a channel to a device, with the X-Wing key of its newest bundle.
    pub fn open(
        rng: &mut impl CryptoRng,
        recipient: DeviceId,
        xwing: &XWingPublic,
        now: Timestamp,
    ) -> Result<Self, ChannelError> {
        let (keys, enc) = ChannelKeys::set_up(rng, &recipient, xwing).map_err(|_| ChannelError::BadKey)?;
        Ok(Self {
            recipient,
            hash: xwing.channel_hash(&enc),
            key_hash: key_hash(xwing.as_bytes()),
            enc,
            keys,
            next: 0,
            acknowledged: 0,
            opened: now,
        })
    }

    /// The channel's name, the same at both ends.
    pub const fn hash(&self) -> &ChannelHash {
        &self.hash
    }

    /// The device at the other end.
    pub const fn recipient(&self) -> &DeviceId {
        &self.recipient
    }

    /// Whether the next payload is an opening envelope: nothing was acknowledged yet.
    pub const fn is_opening(&self) -> bool {
        self.acknowledged == 0
    }

    /// Envelopes that the peer has not acknowledged.
    pub const fn unacknowledged(&self) -> u64 {
        self.next.saturating_sub(self.acknowledged)
    }

    /// Whether the next envelope needs a new channel: too many are unacknowledged, this one is too
    /// old, was opened by a clock that was ahead, or the peer has another X-Wing key by now: `newest`, its 1,216 bytes.
    pub fn needs_renewal(&self, now: Timestamp, newest: &[u8]) -> bool {
        self.is_full()
            || self.opened.since(now) >= CLOCK_SLACK
            || now.since(self.opened) >= CHANNEL_LIFE_MAX
            || self.key_hash != key_hash(newest)
    }

    /// Pads and seals one content; takes the next index. Store this state before sending the payload:
    /// sealing another content under the same index would betray both.
    pub fn seal(&mut self, content: Vec<u8>) -> Result<Vec<u8>, ChannelError> {
        if self.is_full() {
            return Err(ChannelError::RenewalDue);
        }
        let header = if self.is_opening() {
            payload::opening_header(&key_id(&self.hash), &self.enc, self.next)
        } else {
            payload::channel_header(&self.keys.tag(self.next))
        };
        let content = Zeroizing::new(pad(content));
        let sealed =
            payload::seal(&self.keys.channel, self.next, header, &content).ok_or(ChannelError::TooLarge)?;
        self.next += 1;
        Ok(sealed)
    }

    /// Takes the peer's word for how many indices, from 0, came through. Says whether that was news:
    /// counts of other channels, smaller ones, and ones that we never reached change nothing.
    pub fn acknowledge(&mut self, channel: &ChannelHash, count: u64) -> bool {
        let news = *channel == self.hash && count > self.acknowledged && count <= self.next;
        if news {
            self.acknowledged = count;
        }
        news
    }

    /// The last index has none after it; only a damaged record gets there.
    const fn is_full(&self) -> bool {
        self.unacknowledged() >= CHANNEL_UNACKNOWLEDGED_MAX || self.next == u64::MAX
    }

    /// For the device's own store. Secret.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        records::encode(&records::OutboundChannel {
            recipient: self.recipient.as_bytes().to_vec(),
            hash: self.hash.as_bytes().to_vec(),
            key_hash: self.key_hash.to_vec(),
            enc: self.enc.to_vec(),
            channel_key: self.keys.channel.expose().to_vec(),
            header_key: self.keys.header.expose().to_vec(),
            next: self.next,
            acknowledged: self.acknowledged,
            opened_ms: self.opened.as_ms(),
        })
    }

    /// From the device's own store.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let stored: records::OutboundChannel = records::decode("outbound channel", bytes)?;
        let wrong_length = |field| Malformed::new("outbound channel", format!("{field} has a wrong length"));
        if stored.acknowledged > stored.next {
            return Err(Malformed::new("outbound channel", "more is acknowledged than was sent"));
        }
        Ok(Self {
            recipient: DeviceId::from_slice(&stored.recipient)?,
            hash: ChannelHash::from_slice(&stored.hash)?,
            key_hash: stored.key_hash.as_slice().try_into().map_err(|_| wrong_length("key hash"))?,
            enc: Box::new(stored.enc.as_slice().try_into().map_err(|_| wrong_length("enc"))?),
            keys: ChannelKeys {
                channel: Secret::from_slice(&stored.channel_key)?,
                header: Secret::from_slice(&stored.header_key)?,
            },
            next: stored.next,
            acknowledged: stored.acknowledged,
            opened: Timestamp::from_ms(stored.opened_ms),
        })
    }
}

fn key_hash(xwing: &[u8]) -> [u8; 32] {
    *blake3::hash(xwing).as_bytes()
}

impl fmt::Debug for OutboundChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundChannel")
            .field("hash", &self.hash)
            .field("recipient", &self.recipient)
            .field("next", &self.next)
            .field("acknowledged", &self.acknowledged)
            .finish_non_exhaustive()
    }
}
