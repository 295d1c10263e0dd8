use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::{Signer, damage, holds_as_signed};
use crate::codec::{Label, Signed};
use crate::entry::{EntryBody, EntryHeader, SignedEntry};
use crate::ids::{ConversationId, DeviceId, EntryId, PayloadHash, PublishId, RelayId, Secret};
use crate::keys::DeviceKey;
use crate::log::{Frontier, FrontierItem};
use crate::receipts::{
    Acknowledgement, AcknowledgementFields, Authors, CustodyReceipt, Denial, ItemOutcome, Outcome,
};
use crate::time::Timestamp;
use crate::wire;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

prop_compose! {
    fn entry(seed: u8)(
        text in ".{1,80}",
        seq in 1u64..,
        heads in prop::collection::vec(any::<[u8; 32]>(), 0..4),
        claimed_ms in 0u64..1 << 48,
        salt: [u8; 32],
    ) -> SignedEntry {
        let body = EntryBody::text(&text, &mut ChaCha20Rng::from_seed(salt)).unwrap();
        let header = EntryHeader {
            conversation: ConversationId::new([3; 32]),
            device: DeviceId::new(key(seed).verifying_key().to_bytes()),
            seq,
            prev: (seq > 1).then_some(EntryId::new([4; 32])),
            heads: heads.into_iter().map(EntryId::new).collect(),
            claimed: Timestamp::from_ms(claimed_ms),
            membership_heads: Vec::new(),
            body_hash: body.hash(),
            expires: None,
        };
        SignedEntry::issue(&key(seed), header, body)
    }
}

/// With this header, the rest being the entry's own.
fn verify(header: Signed, body: &Bytes) -> bool {
    let Signed { body: header, signature } = header;
    let signature = Bytes::copy_from_slice(&signature);
    SignedEntry::verify(wire::SealedEntry { header, signature, body: body.clone() }).is_ok()
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let time = any::<u64>().prop_map(Timestamp::from_ms);
    prop_oneof![
        time.prop_map(|held_until| Outcome::Stored { held_until }),
        any::<u64>().prop_map(|ms| Outcome::RetryAfter(Duration::from_millis(ms))),
        Just(Outcome::Acknowledged),
        Just(Outcome::Denied(Denial::Revoked)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// One that comes again has the id that it had; another one's body never fits.
    #[test]
    fn entries(one in entry(11), other in entry(11), damage in damage()) {
        let header = Signed { body: one.header_bytes.clone(), signature: one.signature };
        let body = &one.body.bytes;
        let device = key(11);
        holds_as_signed(&header, Signer(Label::Entry, &device), &damage, |header| verify(header, body))?;
        prop_assert!(!verify(header.clone(), &damage.applied(body).into()));
        prop_assert_eq!(verify(header, &other.body.bytes), body == &other.body.bytes);
        prop_assert_eq!(SignedEntry::verify(one.to_wire()).unwrap().id, one.id);
        prop_assert_eq!(one.id == other.id, one.header_bytes == other.header_bytes);
    }

    /// A receipt is one relay's, of one publish: its id and the payloads in it are others than those of the next.
    #[test]
    fn custody_receipts(
        publish: [u8; 16],
        payloads in prop::collection::vec(any::<[u8; 32]>(), 1..4),
        outcomes in prop::collection::vec(outcome(), 1..4),
        damage in damage(),
    ) {
        let item = |payload: [u8; 32]| ItemOutcome {
            payload_hash: PayloadHash::of(&payload),
            recipients: outcomes.clone(),
        };
        let publish_id = PublishId::new(publish);
        let receipt = CustodyReceipt { publish_id, items: payloads.into_iter().map(item).collect() };
        let relay = |seed: u8| RelayId::new(key(seed).verifying_key().to_bytes());
        let signed = receipt.sign(&key(21));
        let signing = key(21);
        let signer = Signer(Label::Custody, &signing);
        holds_as_signed(&signed, signer, &damage, |signed| CustodyReceipt::verify(&signed, &relay(21)).is_ok())?;
        prop_assert!(CustodyReceipt::verify(&signed, &relay(22)).is_err(), "another relay's");
        prop_assert_eq!(CustodyReceipt::verify(&signed, &relay(21)), Ok(receipt));
    }

    /// What it said stays what it said: device, conversation and counter are signed along, so an earlier one that
    /// comes again is seen to be earlier.
    #[test]
    fn acknowledgements(counter: u64, conversation: [u8; 32], seq in 1u64.., damage in damage()) {
        let device = DeviceKey::from_seed(&Secret::new([11; 32]));
        let mut delivered = Frontier::default();
        let item = FrontierItem { seq, head: Some(EntryId::new([2; 32])), ..FrontierItem::default() };
        delivered.set(DeviceId::new([1; 32]), item);
        let fields = AcknowledgementFields {
            conversation: ConversationId::new(conversation),
            device: device.device(),
            counter,
            delivered,
            read: Frontier::default(),
            at: Timestamp::from_ms(1),
            authors: Authors::default(),
        };
        let acknowledgement = Acknowledgement::issue(&device, fields.clone());
        let signer = Signer(Label::Acknowledgement, device.signing_key());
        let accepts = |signed| Acknowledgement::verify(signed).is_ok();
        holds_as_signed(&acknowledgement.signed, signer, &damage, accepts)?;
        prop_assert_eq!(Acknowledgement::verify(acknowledgement.signed).unwrap().fields, fields);
    }
}
