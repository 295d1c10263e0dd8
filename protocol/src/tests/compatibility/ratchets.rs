//! What vodozemac wrote when version 1 was recorded, decrypted by the one that we have now.

use serde_json::Value;
use zeroize::Zeroizing;

use super::{array, bytes, list, recorded, text};
use crate::crypto::*;
use crate::ids::{CurveKey, DeviceId, OlmSessionId, Secret, SessionId};

fn state(value: &Value) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(bytes(value))
}

fn message(value: &Value) -> OlmMessage {
    OlmMessage { prekey: value["prekey"].as_bool().unwrap(), ciphertext: bytes(&value["ciphertext"]) }
}

/// Decrypts what is listed, in that order, each once.
fn decrypt_all(session: &mut SessionState, messages: &Value) {
    for one in list(messages) {
        let plaintext = Vodozemac.decrypt(session, &message(one)).unwrap();
        assert_eq!(plaintext, text(&one["plaintext"]).as_bytes());
        assert!(Vodozemac.decrypt(session, &message(one)).is_err(), "a key is used once");
    }
}

#[test]
fn olm_accounts() {
    let olm = &recorded("ratchets.json")["olm"];
    let mut account = AccountState::from_bytes(state(&olm["receiver_account"]));
    let mut crypto = Vodozemac;
    assert_eq!(crypto.identity_key(&account).unwrap().as_bytes(), &array(&olm["receiver_identity"]));
    let sender = CurveKey::new(array(&olm["sender_identity"]));

    let first = crypto.accept_session(&mut account, &sender, &message(&olm["first"])).unwrap();
    assert_eq!((&first.plaintext[..], first.fallback), (&b"first"[..], false));
    assert_eq!(first.info.session, OlmSessionId::new(array(&olm["session_id"])));
    assert_eq!(first.info.prekey.as_bytes(), &array(&olm["prekeys"][0]));
    let again = crypto.accept_session(&mut account, &sender, &message(&olm["first"]));
    assert_eq!(again, Err(CryptoError::MissingPrekey(first.info.prekey)), "a prekey is used once");

    let by_fallback = message(&olm["first_by_fallback"]);
    let accepted = crypto.accept_session(&mut account, &sender, &by_fallback).unwrap();
    assert_eq!((&accepted.plaintext[..], accepted.fallback), (&b"by the fallback prekey"[..], true));
    assert_eq!(accepted.info.prekey.as_bytes(), &array(&olm["fallback_prekey"]));
}

#[test]
fn olm_sessions() {
    let olm = &recorded("ratchets.json")["olm"];
    let mut receiver = SessionState::from_bytes(state(&olm["receiver_session"]));
    let mut sender = SessionState::from_bytes(state(&olm["sender_session"]));
    for session in [&receiver, &sender] {
        assert_eq!(Vodozemac.session_id(session), Ok(OlmSessionId::new(array(&olm["session_id"]))));
    }
    decrypt_all(&mut sender, &olm["to_sender"]);
    // Its answer is under a new ratchet key, so it goes to another copy of the receiver.
    let answer = Vodozemac.encrypt(&mut sender, b"goes on").unwrap();
    assert_eq!(Vodozemac.decrypt(&mut receiver.clone(), &answer).unwrap(), b"goes on");
    decrypt_all(&mut receiver, &olm["to_receiver"]);
}

#[test]
fn sender_keys() {
    let megolm = &recorded("ratchets.json")["megolm"];
    let session = SessionId::new(array(&megolm["session_id"]));
    let header_key = HeaderKey::from_slice(&bytes(&megolm["header_key"])).unwrap();
    let imported = Vodozemac.import_sender_key(&bytes(&megolm["session_key"])).unwrap();
    assert_eq!((imported.session, imported.first_index), (session, 0));
    let later = Vodozemac.import_sender_key(&bytes(&megolm["session_key_at_2"])).unwrap();
    assert_eq!((later.session, later.first_index), (session, 2));
    let stored = ReceiverKeyState::from_bytes(state(&megolm["receiver"]));

    for (index, one) in (0u32..).zip(list(&megolm["messages"])) {
        let payload = bytes(&one["payload"]);
        assert_eq!(header_key.open(index, &payload).unwrap(), bytes(&one["message"]));
        for receiver in [&stored, &imported.receiver] {
            let content = decrypt_content(&Vodozemac, &header_key, receiver, index, &payload).unwrap();
            assert_eq!(content, text(&one["content"]).as_bytes());
        }
        let content = decrypt_content(&Vodozemac, &header_key, &later.receiver, index, &payload);
        assert_eq!(content.is_ok(), index >= 2);
    }
}

/// Megolm draws no randomness once it has its keys: the stored sender writes what it wrote then.
#[test]
fn sender_keys_write_the_same() {
    let megolm = &recorded("ratchets.json")["megolm"];
    let mut sender = SenderKeyState::from_bytes(state(&megolm["sender_key"]));
    let info = Vodozemac.sender_key_info(&sender).unwrap();
    assert_eq!(info.session_key.as_slice(), bytes(&megolm["session_key"]));
    for one in list(&megolm["messages"]) {
        let content = text(&one["content"]).as_bytes().to_vec();
        let message = encrypt_content(&mut Vodozemac, &mut sender, content).unwrap();
        assert_eq!(message.bytes, bytes(&one["message"]));
    }
}

#[test]
fn channels() {
    let channel = &recorded("ratchets.json")["channel"];
    let [zero, one, two] = list(&channel["payloads"]) else { panic!("{channel}") };
    let payload = |value: &Value| bytes(&value["payload"]);
    let mut inbound = InboundChannel::from_bytes(&bytes(&channel["inbound"])).unwrap();
    let mut outbound = OutboundChannel::from_bytes(&bytes(&channel["outbound"])).unwrap();
    assert_eq!((inbound.hash(), inbound.received_count()), (outbound.hash(), 1));
    assert_eq!(inbound.hash().as_bytes(), &array(&channel["hash"]));
    assert_eq!(outbound.seal(b"one".to_vec()).unwrap(), payload(one));

    assert_eq!(inbound.open(&payload(two)).unwrap(), b"two");
    assert_eq!(inbound.open(&payload(one)).unwrap(), b"one");
    assert_eq!(inbound.open(&payload(zero)), Err(ChannelError::Replay(0)));

    let key = XWingKey::from_seed(Secret::new(array(&channel["xwing_seed"])));
    let device = DeviceId::new(array(&channel["recipient_device"]));
    let (accepted, content) = InboundChannel::accept(&[key], &device, &payload(zero)).unwrap();
    assert_eq!(content, b"zero");
    assert_eq!(accepted.to_bytes().as_slice(), bytes(&channel["inbound"]));
}
