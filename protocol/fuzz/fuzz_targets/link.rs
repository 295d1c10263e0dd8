//! The answer to a new device's code: a payload as it comes, any content in one that is sealed rightly, and an
//! introduction that a device signed.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use undertone_fuzz::{device, device_id, signed};
use undertone_protocol::codec::{Label, Signed};
use undertone_protocol::crypto::{PayloadKind, classify, open_link, seal_link};
use undertone_protocol::ids::{CurveKey, Secret};
use undertone_protocol::keys::{Certificate, Introduction, KeysError};
use undertone_protocol::wire;

fuzz_target!(|data: &[u8]| {
    let (key, other) = (Secret::new([17; 32]), Secret::new([18; 32]));
    if let Ok(content) = open_link(&key, data) {
        assert_eq!(classify(data), Ok(PayloadKind::Link));
        let _ = wire::Signed::decode(Bytes::from(content)).map(Signed::from_wire);
    }
    assert!(open_link(&other, data).is_err());
    // What does not fit a payload is not sealed.
    if let Ok(sealed) = seal_link(&key, data.to_vec(), &mut ChaCha20Rng::from_seed([6; 32])) {
        assert_eq!(open_link(&key, &sealed).as_deref(), Ok(data));
        assert!(open_link(&other, &sealed).is_err());
    }
    let Ok((read, own)) = verify(signed(Label::Introduction, 11, data)) else { return };
    assert_eq!((own.device, own.user), (device_id(13), read.fields.recipient_user));
    let again = Introduction::issue(&device(11), read.fields.clone());
    let (again, same_own) = verify(again.signed).expect("what was accepted is accepted again");
    assert_eq!((read.fields, own), (again.fields, same_own));
});

fn verify(signed: Signed) -> Result<(Introduction, Certificate), KeysError> {
    Introduction::verify_link(signed, &device_id(13), &CurveKey::new([13; 32]))
}
