//! Sender keys.

use super::Pair;
use crate::crypto::{CryptoError, MegolmPlaintext, SESSION_KEY_BYTES};

suite!(sender_keys_ratchet_one_way, sender_key_messages_repeat, indices_can_be_forgotten,);

fn sender_keys_ratchet_one_way(mut pair: Pair) {
    let crypto = &mut pair.crypto;
    let mut sender = crypto.new_sender_key();
    let early = crypto.import_sender_key(&crypto.sender_key_info(&sender).unwrap().session_key).unwrap();
    assert_eq!(early.first_index, 0);
    let messages: Vec<_> =
        (0..5u8).map(|text| crypto.encrypt_message(&mut sender, &[text]).unwrap()).collect();
    let info = crypto.sender_key_info(&sender).unwrap();
    assert_eq!(info.next_index, 5);
    assert_eq!(info.session_key.len(), SESSION_KEY_BYTES);
    let late = crypto.import_sender_key(&info.session_key).unwrap();
    assert_eq!((late.session, late.first_index), (early.session, 5));
    for (index, message) in (0..5u32).zip(&messages).rev() {
        assert_eq!(message.index, index);
        let plaintext = vec![u8::try_from(index).unwrap()];
        let opened = crypto.decrypt_message(&early.receiver, &message.bytes);
        assert_eq!(opened, Ok(MegolmPlaintext { index, plaintext }));
        let unknown = Err(CryptoError::UnknownIndex { first: 5, index });
        assert_eq!(crypto.decrypt_message(&late.receiver, &message.bytes), unknown);
    }
    let next = crypto.encrypt_message(&mut sender, b"next").unwrap();
    assert_eq!(crypto.decrypt_message(&late.receiver, &next.bytes).unwrap().plaintext, b"next");
}

fn sender_key_messages_repeat(mut pair: Pair) {
    let mut sender = pair.crypto.new_sender_key();
    let key = pair.crypto.sender_key_info(&sender).unwrap().session_key;
    let receiver = pair.crypto.import_sender_key(&key).unwrap().receiver;
    let message = pair.crypto.encrypt_message(&mut sender, b"again").unwrap();
    for _ in 0..2 {
        assert_eq!(pair.crypto.decrypt_message(&receiver, &message.bytes).unwrap().plaintext, b"again");
    }
}

fn indices_can_be_forgotten(mut pair: Pair) {
    let mut sender = pair.crypto.new_sender_key();
    let key = pair.crypto.sender_key_info(&sender).unwrap().session_key;
    let mut receiver = pair.crypto.import_sender_key(&key).unwrap().receiver;
    let messages: Vec<_> =
        (0..3u8).map(|text| pair.crypto.encrypt_message(&mut sender, &[text]).unwrap()).collect();
    pair.crypto.forget_below(&mut receiver, 2).unwrap();
    pair.crypto.forget_below(&mut receiver, 1).unwrap();
    let unknown = Err(CryptoError::UnknownIndex { first: 2, index: 1 });
    assert_eq!(pair.crypto.decrypt_message(&receiver, &messages[1].bytes), unknown);
    assert_eq!(pair.crypto.decrypt_message(&receiver, &messages[2].bytes).unwrap().plaintext, [2]);
}
