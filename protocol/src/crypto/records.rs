//! The device's own records (`proto/state.proto`), erased when dropped.

use prost::Message;
use zeroize::{Zeroize, Zeroizing};

use crate::codec::Malformed;

mod generated {
    #![expect(unreachable_pub, reason = "generated; the .proto file carries the comments")]
    include!(concat!(env!("OUT_DIR"), "/undertone.state.v1.rs"));
}

pub(super) use generated::{InboundChannel, OutboundChannel};

impl Drop for OutboundChannel {
    fn drop(&mut self) {
        self.channel_key.zeroize();
        self.header_key.zeroize();
    }
}

impl Drop for InboundChannel {
    fn drop(&mut self) {
        self.channel_key.zeroize();
        self.header_key.zeroize();
    }
}

pub(super) fn encode(record: &impl Message) -> Zeroizing<Vec<u8>> {
    // Sized beforehand, so that growing leaves no copy behind.
    let mut out = Zeroizing::new(Vec::with_capacity(record.encoded_len()));
    record.encode_raw(&mut *out);
    out
}

pub(super) fn decode<M: Message + Default>(what: &'static str, bytes: &[u8]) -> Result<M, Malformed> {
    M::decode(bytes).map_err(|error| Malformed::new(what, error.to_string()))
}
