//! Ratchets from `protocol/vectors/recorded-v1/ratchets.json`: vodozemac draws its own randomness, and a
//! crash must be the same crash in the next run.

use data_encoding::HEXLOWER;
use serde_json::Value;
use undertone_protocol::crypto::{AccountState, HeaderKey, ReceiverKeyState, SessionState};
use undertone_protocol::ids::CurveKey;

use crate::Ratchets;

/// Reads them.
pub fn ratchets() -> Ratchets {
    let recorded: Value =
        serde_json::from_str(include_str!("../../vectors/recorded-v1/ratchets.json")).unwrap();
    let (olm, megolm) = (&recorded["olm"], &recorded["megolm"]);
    Ratchets {
        account: AccountState::from_bytes(bytes(&olm["receiver_account"]).into()),
        peer: CurveKey::from_slice(&bytes(&olm["sender_identity"])).unwrap(),
        session: SessionState::from_bytes(bytes(&olm["receiver_session"]).into()),
        receiver: ReceiverKeyState::from_bytes(bytes(&megolm["receiver"]).into()),
        header_key: HeaderKey::from_slice(&bytes(&megolm["header_key"])).unwrap(),
    }
}

/// The bytes of a hexadecimal value.
pub fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}
