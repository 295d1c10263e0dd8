//! Channels as a device stored them. Nobody else writes there; still a damaged record must not stop it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use undertone_protocol::crypto::{InboundChannel, OutboundChannel};

fuzz_target!(|data: &[u8]| {
    if let Ok(mut channel) = OutboundChannel::from_bytes(data) {
        let again = OutboundChannel::from_bytes(&channel.to_bytes());
        assert!(again.as_ref() == Ok(&channel));
        let _ = channel.seal(b"content".to_vec());
    }
    if let Ok(mut channel) = InboundChannel::from_bytes(data) {
        let again = InboundChannel::from_bytes(&channel.to_bytes());
        assert!(again.as_ref() == Ok(&channel));
        assert!(channel.expected_tags().len() <= 160);
        let _ = channel.open(data);
    }
});
