use proptest::prelude::*;

use super::circuits::{FORWARD, NOW, relay, relay_id};
use crate::codec::{Label, sign};
use crate::federation::{DeadLetter, DeadLetterReason, Waiting};
use crate::ids::PublishId;
use crate::testing::hostile::{altered, assert_only_original};
use crate::wire;

const REASONS: [DeadLetterReason; 5] = [
    DeadLetterReason::Expired,
    DeadLetterReason::Attempts,
    DeadLetterReason::Refused,
    DeadLetterReason::Key,
    DeadLetterReason::Malformed,
];

#[test]
fn they_round_trip_and_hold_as_signed_only() {
    let waiting = Waiting { forward_id: FORWARD, until: NOW };
    let signed = waiting.sign(&relay());
    assert_eq!(Waiting::verify(&signed, &relay_id()), Ok(waiting));
    assert_only_original(&signed, |signed| Waiting::verify(&signed, &relay_id()).is_ok());
    for reason in REASONS {
        let dead = DeadLetter { forward_id: PublishId::new([6; 16]), reason };
        let signed = dead.sign(&relay());
        assert_eq!(DeadLetter::verify(&signed, &relay_id()), Ok(dead));
        assert_only_original(&signed, |signed| DeadLetter::verify(&signed, &relay_id()).is_ok());
        assert!(Waiting::verify(&signed, &relay_id()).is_err(), "each has a label of its own");
    }
}

#[test]
fn an_unknown_reason_is_refused() {
    let signed = DeadLetter { forward_id: FORWARD, reason: DeadLetterReason::Expired }.sign(&relay());
    for reason in [0, 6] {
        let other = altered(Label::DeadLetter, &relay(), &signed, |body: &mut wire::DeadLetterNotice| {
            body.reason = reason;
        });
        assert!(DeadLetter::verify(&other, &relay_id()).is_err());
    }
}

proptest! {
    #[test]
    fn any_signed_bytes_are_read_without_panic(body: Vec<u8>) {
        let waiting = sign(Label::Waiting, &relay(), body.clone());
        prop_assert!(Waiting::verify(&waiting, &relay_id()).is_err());
        let dead = sign(Label::DeadLetter, &relay(), body);
        prop_assert!(DeadLetter::verify(&dead, &relay_id()).is_err());
    }
}
