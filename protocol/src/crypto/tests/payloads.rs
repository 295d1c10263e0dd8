use proptest::prelude::*;

use crate::crypto::*;
use crate::ids::Tag;
use crate::limits::PAYLOAD_BYTES_MAX;

#[test]
fn the_clear_header_says_what_a_payload_is() {
    let opening = [&[1, 1, 1, 9, 8, 7, 6][..], &[0; ENC_BYTES + 8 + 16]].concat();
    assert_eq!(classify(&opening), Ok(PayloadKind::Opening { key_id: [9, 8, 7, 6] }));
    let channel = [&[1, 1, 2][..], &[5; 16], &[0; 16]].concat();
    assert_eq!(classify(&channel), Ok(PayloadKind::Channel { tag: Tag::new([5; 16]) }));
    let message = [&[1, 1, 3][..], &[5; 16], &[0; 16]].concat();
    assert_eq!(classify(&message), Ok(PayloadKind::Message { tag: Tag::new([5; 16]) }));
    assert_eq!(classify(&[&[1, 1, 4][..], &[5; 12], &[0; 16]].concat()), Ok(PayloadKind::Link));
}

#[test]
fn other_headers_are_malformed() {
    let good = [&[1, 1, 2][..], &[5; 16], &[0; 16]].concat();
    for (at, byte, why) in
        [(0, 2, "version 2"), (1, 2, "suite 2"), (2, 0, "unknown kind 0"), (2, 5, "unknown kind 5")]
    {
        let mut bad = good.clone();
        bad[at] = byte;
        assert!(classify(&bad).unwrap_err().why.contains(why));
    }
    assert!(classify(&good[..good.len() - 1]).unwrap_err().why.contains("too few"));
    let mut long = good.clone();
    long.resize(PAYLOAD_BYTES_MAX, 0);
    assert!(classify(&long).is_ok());
    long.push(0);
    assert!(classify(&long).unwrap_err().why.contains("at most"));
    let opening = [&[1, 1, 1][..], &[0; 4 + ENC_BYTES + 8 + 15]].concat();
    assert!(classify(&opening).is_err());
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_classified_or_refused(kind in 0u8..6, bytes in prop::collection::vec(any::<u8>(), 0..1_300)) {
        prop_assert_eq!(classify(&[&[1, 1, kind], &bytes[..]].concat()).is_ok(), match kind {
            1 => bytes.len() >= 1_148,
            2 | 3 => bytes.len() >= 32,
            4 => bytes.len() >= 28,
            _ => false,
        });
        if !bytes.starts_with(&[1, 1]) {
            prop_assert!(classify(&bytes).is_err());
        }
    }
}
