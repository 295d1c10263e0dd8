use ed25519_dalek::SigningKey;
use prost::Message;

use crate::codec::{Label, Malformed, Signed, decode, sign, version_and_suite};
use crate::ids::RelayId;
use crate::keys::{KeysError, RelayAddress};
use crate::limits::{
    PROTOCOL_VERSION, RELAY_RECORD_AHEAD_MAX, RELAY_RECORD_BYTES_MAX, RELAY_RECORD_LIFE, SUITE,
};
use crate::time::Timestamp;
use crate::wire;

/// A relay's word for where it is. Whoever holds two of one relay goes by the newer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayRecord {
    /// Which relay, and its addresses: multiaddrs in text, at least one.
    pub address: RelayAddress,
    /// When it said so, by its clock.
    pub issued: Timestamp,
    /// Nobody takes it from another one after this.
    pub not_after: Timestamp,
    /// Exact bytes and signature.
    pub signed: Signed,
}

impl RelayRecord {
    /// Signs where a relay is, for [`RELAY_RECORD_LIFE`] from `issued` on. An error says that the addresses are none, too
    /// many or too long: the operator's fault.
    pub fn issue(relay: &SigningKey, addresses: Vec<String>, issued: Timestamp) -> Result<Self, Malformed> {
        let id = RelayId::new(relay.verifying_key().to_bytes());
        let address = RelayAddress::from_wire(wire::RelayAddress { relay: id.to_wire(), addresses })?;
        let not_after = issued.after(RELAY_RECORD_LIFE);
        let body = wire::RelayRecord {
            version: PROTOCOL_VERSION,
            suite: u32::from(SUITE),
            relay: id.to_wire(),
            addresses: address.addresses.clone(),
            issued_ms: issued.as_ms(),
            not_after_ms: not_after.as_ms(),
        };
        let signed = sign(Label::RelayRecord, relay, body.encode_to_vec());
        Ok(Self { address, issued, not_after, signed })
    }

    /// Checks form and signature; whose it is stands in it. Whether it may be taken now: [`Self::is_current`].
    pub fn verify(signed: Signed) -> Result<Self, KeysError> {
        let body: wire::RelayRecord = decode("relay record", &signed.body, RELAY_RECORD_BYTES_MAX)?;
        version_and_suite("relay record", body.version, body.suite)?;
        let address =
            RelayAddress::from_wire(wire::RelayAddress { relay: body.relay, addresses: body.addresses })?;
        signed.verify(Label::RelayRecord, address.relay.as_bytes())?;
        let (issued, not_after) = (Timestamp::from_ms(body.issued_ms), Timestamp::from_ms(body.not_after_ms));
        if not_after > issued.after(RELAY_RECORD_LIFE) {
            return Err(
                Malformed::new("relay record", "it ends more than 30 days after it was issued").into()
            );
        }
        Ok(Self { address, issued, not_after, signed })
    }

    /// Whether it is of now: it has not ended, and was not issued by a clock that is far ahead. One that was would keep
    /// out all that the relay says once its clock is right.
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.not_after > now && self.issued <= now.after(RELAY_RECORD_AHEAD_MAX)
    }

    /// Whether it takes the place of what is known of its relay.
    pub fn is_newer_than(&self, known: Option<&Self>, now: Timestamp) -> bool {
        let known = known.filter(|known| known.is_current(now));
        self.is_current(now) && known.is_none_or(|known| self.issued > known.issued)
    }
}
