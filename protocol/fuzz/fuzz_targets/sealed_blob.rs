//! What a relay hands out as a bundle or a prekey: as it comes, and with a valid seal around it.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use undertone_protocol::codec::Signed;
use undertone_protocol::ids::{Locator, Secret};
use undertone_protocol::keys::{SealedBlob, open_blob, seal_blob};

fuzz_target!(|data: &[u8]| {
    let (key, locator) = (Secret::new([5; 32]), Locator::new([81; 32]));
    for kind in [SealedBlob::Bundle, SealedBlob::Prekey] {
        let _ = open_blob(kind, data, &key, &locator);
        let inside = Signed { body: Bytes::copy_from_slice(data), signature: [7; 64] };
        let sealed = seal_blob(kind, &inside, &key, &locator, &mut ChaCha20Rng::from_seed([6; 32]));
        // More than a bundle may have is refused.
        if let Ok(opened) = open_blob(kind, &sealed, &key, &locator) {
            assert_eq!(opened, inside);
        }
        assert!(open_blob(kind, &sealed, &key, &Locator::new([82; 32])).is_err());
    }
});
