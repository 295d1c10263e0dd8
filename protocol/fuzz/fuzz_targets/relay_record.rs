//! A relay's record, signed by it.
#![no_main]

use ed25519_dalek::SigningKey;
use libfuzzer_sys::fuzz_target;
use undertone_fuzz::{same, signed};
use undertone_protocol::codec::Label;
use undertone_protocol::federation::RelayRecord;
use undertone_protocol::keys::KeysError;

fuzz_target!(|data: &[u8]| {
    let Ok(read) = RelayRecord::verify(signed(Label::RelayRecord, 21, data)) else { return };
    let key = SigningKey::from_bytes(&[21; 32]);
    let again = RelayRecord::issue(&key, read.address.addresses.clone(), read.issued);
    let again = again.map_err(KeysError::from).map(|record| (record.address, record.issued));
    same(&(read.address, read.issued), again);
});
