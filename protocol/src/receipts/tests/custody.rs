use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use crate::codec::{Label, Signed, sign};
use crate::ids::{PayloadHash, PublishId, RelayId};
use crate::keys::KeysError;
use crate::receipts::{CustodyReceipt, Denial, ItemOutcome, Outcome};
use crate::testing::hostile::{altered, assert_only_original, mutated};
use crate::time::Timestamp;
use crate::wire;

pub(super) fn relay() -> SigningKey {
    SigningKey::from_bytes(&[21; 32])
}

/// What was published.
pub(super) const PAYLOADS: [&[u8]; 2] = [b"one", b"two"];

const DENIALS: [Denial; 7] = [
    Denial::UnknownMailbox,
    Denial::Epoch,
    Denial::Proof,
    Denial::Revoked,
    Denial::Expired,
    Denial::UsedUp,
    Denial::Rights,
];

/// Every outcome there is.
pub(super) fn receipt() -> CustodyReceipt {
    let held_until = Timestamp::from_ms(1_700_000_000_000);
    let mut recipients = vec![
        Outcome::Stored { held_until },
        Outcome::Duplicate { held_until },
        Outcome::Acknowledged,
        Outcome::Full { retry_after: Duration::from_secs(30) },
        Outcome::RetryAfter(Duration::from_millis(1)),
        Outcome::TooLarge { bytes_max: 65_536 },
    ];
    recipients.extend(DENIALS.map(Outcome::Denied));
    let stored = vec![Outcome::Stored { held_until: Timestamp::ZERO }];
    CustodyReceipt {
        publish_id: PublishId::new([1; 16]),
        items: vec![
            ItemOutcome { payload_hash: PayloadHash::of(PAYLOADS[0]), recipients },
            ItemOutcome { payload_hash: PayloadHash::of(PAYLOADS[1]), recipients: stored },
        ],
    }
}

fn verify(signed: &Signed) -> Result<CustodyReceipt, KeysError> {
    CustodyReceipt::verify(signed, &RelayId::new(relay().verifying_key().to_bytes()))
}

#[test]
fn it_round_trips_and_holds_as_signed_only() {
    let signed = receipt().sign(&relay());
    assert_eq!(verify(&signed), Ok(receipt()));
    assert_only_original(&signed, |signed| verify(&signed).is_ok());
    let other = sign(Label::Entry, &relay(), signed.body.clone());
    assert!(matches!(verify(&other), Err(KeysError::BadSignature(_))), "another label");
    let other = receipt().sign(&SigningKey::from_bytes(&[22; 32]));
    assert!(matches!(verify(&other), Err(KeysError::BadSignature(_))), "another relay");
}

#[test]
fn an_ill_formed_one_is_refused_though_signed() {
    type Change = fn(&mut wire::CustodyReceipt);
    let changes: [(&str, Change); 10] = [
        ("version", |body| body.version = 2),
        ("suite", |body| body.suite = 2),
        ("publish id", |body| body.publish_id = Bytes::new()),
        ("payload hash", |body| body.items[1].payload_hash = vec![1; 31].into()),
        ("17 items", |body| body.items = vec![body.items[1].clone(); 17]),
        ("1,025 recipients", |body| {
            body.items[1].recipients = vec![body.items[1].recipients[0]; 1_025];
        }),
        ("no result", |body| body.items[0].recipients[0].code = 0),
        ("unknown result", |body| body.items[0].recipients[0].code = 7),
        ("no denial", |body| body.items[0].recipients[6].reason = 0),
        ("unknown denial", |body| body.items[0].recipients[6].reason = 8),
    ];
    let signed = receipt().sign(&relay());
    for (what, change) in changes {
        let other = altered(Label::Custody, &relay(), &signed, change);
        assert!(matches!(verify(&other), Err(KeysError::Malformed(_))), "{what}");
    }
}

#[test]
fn a_hostile_receipt_is_read_as_it_stands() {
    let mut receipt = receipt();
    let forever = Outcome::Stored { held_until: Timestamp::from_ms(u64::MAX) };
    let never = Outcome::RetryAfter(Duration::from_millis(u64::MAX));
    receipt.items[0].recipients = vec![forever, never, Outcome::TooLarge { bytes_max: 0 }];
    receipt.items.truncate(1);
    assert_eq!(verify(&receipt.sign(&relay())), Ok(receipt.clone()));
    receipt.items[0].recipients.clear();
    assert_eq!(
        verify(&receipt.sign(&relay())),
        Ok(receipt),
        "whether it answers all is the sender's to check"
    );
}

proptest! {
    #[test]
    fn any_signed_bytes_are_read_without_panic(body: Vec<u8>, edits: Vec<(usize, u8)>) {
        prop_assert!(verify(&sign(Label::Custody, &relay(), body)).is_err());
        let edited = mutated(Label::Custody, &relay(), &receipt().sign(&relay()), &edits);
        if let Ok(read) = verify(&edited) {
            prop_assert_eq!(verify(&read.sign(&relay())), Ok(read));
        }
    }
}
