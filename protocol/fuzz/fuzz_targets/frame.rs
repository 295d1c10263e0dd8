//! A frame, decoded as off the wire; of a publish, the tokens too.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use undertone_fuzz::same;
use undertone_protocol::codec::{Signed, decode};
use undertone_protocol::limits::FRAME_BYTES_MAX;
use undertone_protocol::token::Proof;
use undertone_protocol::wire::frame::Body;
use undertone_protocol::wire::route::Kind;
use undertone_protocol::wire::{Frame, Publish};

fuzz_target!(|data: &[u8]| {
    let Ok(frame) = decode::<Frame>("frame", &Bytes::copy_from_slice(data), FRAME_BYTES_MAX) else { return };
    same(&frame, Frame::decode(Bytes::from(frame.encode_to_vec())));
    match frame.body {
        Some(Body::Publish(publish)) => tokens(publish),
        Some(Body::Published(published)) => {
            let _ = Signed::required("published", "receipt", published.receipt);
        }
        _ => {}
    }
});

fn tokens(publish: Publish) {
    let routes = publish.items.into_iter().filter_map(|item| item.route?.kind);
    for recipient in routes.flat_map(|Kind::Open(route)| route.recipients) {
        let _ = Proof::from_recipient(&recipient);
    }
}
