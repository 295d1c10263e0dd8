//! `vectors/ratchets.json`: the keys inside `recorded-v1/ratchets.json`, and its messages split into their parts, for
//! readers that don't use vodozemac. Recorded states are vodozemac's own structures in JSON.

use serde_json::{Value, json};
use vodozemac::megolm::MegolmMessage;
use vodozemac::olm::{Message, PreKeyMessage};
use vodozemac::{Curve25519PublicKey, Curve25519SecretKey, Ed25519SecretKey};

use super::{array, bytes, list, read, text};
use crate::codec::pad;
use crate::crypto::HeaderKey;
use crate::testing::vectors::{assert_stored, hex};

/// A recorded state.
fn state(value: &Value) -> Value {
    serde_json::from_slice(&bytes(value)).unwrap()
}

/// Bytes as vodozemac writes them: an array of numbers.
fn given<const N: usize>(value: &Value) -> [u8; N] {
    let bytes: Vec<u8> =
        list(value).iter().map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap()).collect();
    bytes.try_into().unwrap()
}

/// A Curve25519 key pair from its private half.
fn pair(private: &Value) -> Value {
    let private: [u8; 32] = given(private);
    let public = Curve25519PublicKey::from(&Curve25519SecretKey::from_slice(&private));
    json!({ "private": hex(private), "public": hex(public.to_bytes()) })
}

/// The account that opened what is listed under `to_receiver`, `first` and `first_by_fallback`.
fn receiver(olm: &Value) -> Value {
    let account = state(&olm["receiver_account"]);
    let one_time = account["one_time_keys"]["private_keys"].as_object().unwrap();
    let keys = json!({
        "identity": pair(&account["diffie_hellman_key"]),
        "one_time_prekeys": one_time.values().map(pair).collect::<Vec<_>>(),
        "fallback_prekey": pair(&account["fallback_keys"]["fallback_key"]["key"]),
    });
    assert_eq!(keys["identity"]["public"], olm["receiver_identity"]);
    assert_eq!(keys["fallback_prekey"]["public"], olm["fallback_prekey"]);
    for (key, prekey) in list(&keys["one_time_prekeys"]).iter().zip(list(&olm["prekeys"])) {
        assert_eq!(&key["public"], prekey);
    }
    keys
}

/// The last ratchet key of each end, and what follows from it. With them the messages after the first can be read.
fn session(value: &Value) -> Value {
    let ratchet = &state(value)["sending_ratchet"];
    json!({
        "root_key": hex(given::<32>(&ratchet["active_ratchet"]["root_key"])),
        "ratchet_key": pair(&ratchet["active_ratchet"]["ratchet_key"]),
        "chain_key": hex(given::<32>(&ratchet["symmetric_key_ratchet"]["key"])),
        "chain_index": ratchet["symmetric_key_ratchet"]["index"],
    })
}

fn olm_message(message: &Value) -> Value {
    let ciphertext = bytes(&message["ciphertext"]);
    let (keys, normal) = if message["prekey"] == true {
        let opening = PreKeyMessage::from_bytes(&ciphertext).unwrap();
        let keys = json!({
            "prekey": hex(opening.one_time_key().to_bytes()),
            "base_key": hex(opening.base_key().to_bytes()),
            "identity_key": hex(opening.identity_key().to_bytes()),
        });
        (keys, opening.message().clone())
    } else {
        (Value::Null, Message::from_bytes(&ciphertext).unwrap())
    };
    let encoded = normal.to_bytes();
    json!({
        "message": hex(&ciphertext),
        "is_prekey_message": message["prekey"],
        "keys": keys,
        "version": normal.version(),
        "ratchet_key": hex(normal.ratchet_key().to_bytes()),
        "chain_index": normal.chain_index(),
        "ciphertext": hex(normal.ciphertext()),
        "authentication_code": hex(&encoded[encoded.len() - 32..]),
        "plaintext": hex(text(&message["plaintext"])),
    })
}

fn megolm(recorded: &Value) -> Value {
    let sender = state(&recorded["sender_key"]);
    let seed: [u8; 32] = given(&sender["signing_key"]["Normal"]);
    let public = Ed25519SecretKey::from_slice(&seed).public_key();
    assert_eq!(hex(public.as_bytes()), text(&recorded["session_id"]));
    let header_key = HeaderKey::from_slice(&bytes(&recorded["header_key"])).unwrap();
    let messages = list(&recorded["messages"]).iter().map(|message| {
        let encoded = MegolmMessage::from_bytes(&bytes(&message["message"])).unwrap();
        json!({
            "index": encoded.message_index(),
            "ciphertext": hex(encoded.ciphertext()),
            "authentication_code": hex(encoded.mac()),
            "signature": hex(encoded.signature().to_bytes()),
            "content": hex(text(&message["content"])),
            "plaintext": hex(pad(text(&message["content"]).as_bytes().to_vec())),
            "tag": header_key.tag(encoded.message_index()).to_hex(),
            "message": message["message"],
            "payload": message["payload"],
        })
    });
    json!({
        "ratchet_at_0": hex(given::<128>(&sender["ratchet"]["inner"])),
        "signing_seed": hex(seed),
        "session": hex(public.as_bytes()),
        "header_key": hex(header_key.expose()),
        "session_key_at_0": recorded["session_key"],
        "session_key_at_2": recorded["session_key_at_2"],
        "messages": messages.collect::<Vec<_>>(),
    })
}

#[test]
fn the_stored_keys_are_those_of_the_recorded_states() {
    let recorded = read("recorded-v1/ratchets.json");
    let olm = &recorded["olm"];
    let all = |name: &str| list(&olm[name]).iter().map(olm_message).collect::<Vec<_>>();
    let computed = json!({
        "olm": {
            "receiver": receiver(olm),
            "sender_identity": olm["sender_identity"],
            "session_id": hex(array::<32>(&olm["session_id"])),
            "receiver_session": session(&olm["receiver_session"]),
            "sender_session": session(&olm["sender_session"]),
            "first": olm_message(&olm["first"]),
            "first_by_fallback": olm_message(&olm["first_by_fallback"]),
            "to_receiver": all("to_receiver"),
            "to_sender": all("to_sender"),
        },
        "megolm": megolm(&recorded["megolm"]),
    });
    assert_stored("ratchets.json", &computed);
}
