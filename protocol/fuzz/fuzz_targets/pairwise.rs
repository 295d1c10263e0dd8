//! An Olm plaintext: as it comes, and with the right ids before it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use undertone_fuzz::{device_id, same, user};
use undertone_protocol::crypto::PairwiseContext;
use undertone_protocol::ids::ChannelHash;

static CONTEXT: LazyLock<PairwiseContext> = LazyLock::new(|| PairwiseContext {
    sender_user: user(1),
    recipient_user: user(2),
    sender_device: device_id(11),
    recipient_device: device_id(12),
    channel: ChannelHash::new([5; 32]),
});

fuzz_target!(|data: &[u8]| {
    let context = &*CONTEXT;
    let _ = context.decode_checked(data);
    let ids = [
        context.sender_user.as_bytes(),
        context.recipient_user.as_bytes(),
        context.sender_device.as_bytes(),
        context.recipient_device.as_bytes(),
        context.channel.as_bytes(),
    ];
    let plaintext = [&ids.map(|id| id.as_slice()).concat(), data].concat();
    if let Ok(message) = context.decode_checked(&plaintext) {
        let again = context.encode(&message).expect("what was read can be written");
        same(&message, context.decode_checked(&again));
    }
});
