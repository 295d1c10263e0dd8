//! A sealed payload's clear header, and a payload for somebody who has none of its keys.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use undertone_fuzz::device_id;
use undertone_protocol::crypto::{InboundChannel, PayloadKind, XWingKey, classify, opening_hash};
use undertone_protocol::ids::Secret;

static KEY: LazyLock<XWingKey> = LazyLock::new(|| XWingKey::from_seed(Secret::new([4; 32])));

fuzz_target!(|data: &[u8]| {
    let kind = classify(data);
    let hash = opening_hash(data, KEY.public());
    let accepted = InboundChannel::accept(std::slice::from_ref(&KEY), &device_id(12), data);
    assert!(accepted.is_err(), "this device's channels are for another device");
    if !matches!(kind, Ok(PayloadKind::Opening { .. })) {
        assert_eq!(hash, None);
    }
});
