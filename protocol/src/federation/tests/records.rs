use std::time::Duration;

use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use super::circuits::{NOW, relay, relay_id};
use crate::codec::{Label, sign};
use crate::federation::RelayRecord;
use crate::limits::{
    RELAY_ADDRESS_BYTES_MAX, RELAY_ADDRESSES_MAX, RELAY_RECORD_AHEAD_MAX, RELAY_RECORD_LIFE,
};
use crate::testing::hostile::{altered, assert_only_original};
use crate::wire;

pub(super) fn record() -> RelayRecord {
    let addresses = ["/dns4/relay.example/tcp/4001", "/ip4/192.0.2.1/tcp/443/tls/ws"].map(str::to_owned);
    RelayRecord::issue(&relay(), addresses.to_vec(), NOW).unwrap()
}

#[test]
fn it_holds_as_signed_only() {
    let record = record();
    assert_eq!(record.address.relay, relay_id());
    assert_eq!(RelayRecord::verify(record.signed.clone()), Ok(record.clone()));
    assert_only_original(&record.signed, |signed| RelayRecord::verify(signed).is_ok());
}

#[test]
fn another_relay_can_say_nothing_in_its_name() {
    let other = SigningKey::from_bytes(&[22; 32]);
    let signed = sign(Label::RelayRecord, &other, record().signed.body);
    assert!(RelayRecord::verify(signed).is_err());
}

#[test]
fn the_largest_has_room_and_what_is_more_is_refused() {
    let address = || "a".repeat(RELAY_ADDRESS_BYTES_MAX);
    let largest = RelayRecord::issue(&relay(), vec![address(); RELAY_ADDRESSES_MAX], NOW).unwrap();
    assert!(RelayRecord::verify(largest.signed).is_ok());
    type Change = fn(&mut wire::RelayRecord);
    let changes: [(&str, Change); 7] = [
        ("no address", |body| body.addresses.clear()),
        ("nine", |body| body.addresses = vec!["/ip4/192.0.2.1/tcp/1".to_owned(); 9]),
        ("a long one", |body| body.addresses = vec!["a".repeat(257)]),
        ("no relay", |body| body.relay.clear()),
        ("another version", |body| body.version = 2),
        ("a moment too long", |body| body.not_after_ms += 1),
        ("one that never ends", |body| body.not_after_ms = u64::MAX),
    ];
    for (what, change) in changes {
        let other = altered(Label::RelayRecord, &relay(), &record().signed, change);
        assert!(RelayRecord::verify(other).is_err(), "{what}");
    }
    let shorter = altered(Label::RelayRecord, &relay(), &record().signed, |body: &mut wire::RelayRecord| {
        body.not_after_ms -= 1;
    });
    assert!(RelayRecord::verify(shorter).is_ok());
    assert!(RelayRecord::issue(&relay(), Vec::new(), NOW).is_err());
}

#[test]
fn what_a_later_version_adds_is_passed_over() {
    let mut body = record().signed.body.to_vec();
    body.extend([0xfa, 0x01, 1, 7]);
    let read = RelayRecord::verify(sign(Label::RelayRecord, &relay(), body)).unwrap();
    assert_eq!(read.address, record().address);
}

#[test]
fn the_newest_of_now_counts() {
    let at = |issued| RelayRecord::issue(&relay(), vec!["/ip4/192.0.2.1/tcp/1".to_owned()], issued).unwrap();
    let (old, new) = (at(NOW), at(NOW.after(Duration::from_millis(1))));
    assert!(old.is_newer_than(None, NOW));
    assert!(new.is_newer_than(Some(&old), NOW) && !old.is_newer_than(Some(&new), NOW));
    assert!(!old.is_newer_than(Some(&old), NOW), "the same");
    assert!(!old.is_newer_than(None, NOW.after(RELAY_RECORD_LIFE)), "it has ended");
    let ahead = at(NOW.after(RELAY_RECORD_AHEAD_MAX).after(Duration::from_millis(1)));
    assert!(!ahead.is_newer_than(Some(&old), NOW), "a clock that is ahead");
    assert!(new.is_newer_than(Some(&ahead), NOW), "and one that was");
}

proptest! {
    #[test]
    fn any_signed_bytes_are_read_without_panic(body: Vec<u8>) {
        prop_assert!(RelayRecord::verify(sign(Label::RelayRecord, &relay(), body)).is_err());
    }
}
