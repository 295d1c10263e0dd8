//! What a reader does with a case: today's decoders, given what stands beside the bytes.

use bytes::Bytes;
use prost::Message;
use serde_json::Value;
use zeroize::Zeroizing;

use super::super::{array, bytes, text};
use crate::codec::{self, Label, Signed, unpad};
use crate::crypto::*;
use crate::entry::{EntryBody, SignedEntry};
use crate::ids::{ChannelHash, DeviceId, Locator, PayloadHash, PublishId, RelayId, Secret, UserId};
use crate::keys::*;
use crate::membership::GroupUpdate;
use crate::receipts::{Acknowledgement, CustodyReceipt};
use crate::time::Timestamp;
use crate::token::{Proof, ProofInput, check};
use crate::wire;

/// Whether the structure that a case has is accepted.
pub(super) fn accepts(structure: &str, case: &Value) -> bool {
    let id = |name: &str| array::<32>(&case[name]);
    let signed = || {
        Signed::from_wire(wire::Signed { body: owned(&case["body"]), signature: owned(&case["signature"]) })
    };
    let of_signed = |verify: &dyn Fn(Signed) -> bool| signed().is_ok_and(verify);
    match structure {
        "certificate" => of_signed(&|signed| Certificate::verify(signed).is_ok()),
        "device_list" => of_signed(&|signed| DeviceList::verify(signed).is_ok()),
        "device_revoke" => of_signed(&|signed| DeviceRevoke::verify(signed).is_ok()),
        "bundle" => of_signed(&|signed| {
            Bundle::verify(signed, &UserId::new(id("user")), &DeviceId::new(id("device"))).is_ok()
        }),
        "prekey" => of_signed(&|signed| Prekey::verify(signed, &DeviceId::new(id("device"))).is_ok()),
        "checkpoint" => of_signed(&|signed| Checkpoint::verify(signed, &DeviceId::new(id("device"))).is_ok()),
        "introduction" => of_signed(&|signed| {
            Introduction::verify(signed, &UserId::new(id("user")), &DeviceId::new(id("device"))).is_ok()
        }),
        "acknowledgement" => of_signed(&|signed| Acknowledgement::verify(signed).is_ok()),
        "custody_receipt" => {
            of_signed(&|signed| CustodyReceipt::verify(&signed, &RelayId::new(id("relay"))).is_ok())
        }
        "key_package" => of_signed(&|signed| KeyPackage::verify(&signed, &ends(case)).is_ok()),
        "entry" => entry(case),
        "entry_body" => EntryBody::from_bytes(owned(&case["bytes"])).is_ok(),
        "group_update" => {
            let update = wire::GroupUpdate::decode(bytes(&case["bytes"]).as_slice());
            update.is_ok_and(|update| GroupUpdate::from_wire(update).is_ok())
        }
        "frame" => frame(&bytes(&case["bytes"])),
        "invitation" => Invitation::parse(text(&case["text"])).is_ok(),
        "device_code" => DeviceCode::parse(text(&case["text"])).is_ok(),
        "recovery_phrase" => RecoveryPhrase::parse(text(&case["text"])).is_ok(),
        "sealed_blob" => {
            let (key, locator) = (Secret::new(id("key")), Locator::new(id("locator")));
            open_blob(SealedBlob::Bundle, &bytes(&case["bytes"]), &key, &locator).is_ok()
        }
        "link" => link(case),
        "payload" => classify(&bytes(&case["bytes"])).is_ok(),
        "padding" => unpad(&bytes(&case["bytes"])).is_ok(),
        "pairwise" => pairwise(case),
        "signature" => {
            let signature = bytes(&case["signature"]).try_into().unwrap();
            codec::verify(Label::Entry, &id("public_key"), &bytes(&case["body"]), &signature).is_ok()
        }
        "token" => token(case),
        "xwing_public_key" => XWingPublic::from_slice(&bytes(&case["bytes"])).is_ok(),
        "olm_prekey_message" => {
            Vodozemac.prekey_info(&OlmMessage { prekey: true, ciphertext: bytes(&case["bytes"]) }).is_ok()
        }
        "megolm_message" => {
            let receiver = Vodozemac.import_sender_key(&bytes(&case["session_key"])).unwrap().receiver;
            Vodozemac.decrypt_message(&receiver, &bytes(&case["bytes"])).is_ok()
        }
        "session_key" => Vodozemac.import_sender_key(&bytes(&case["bytes"])).is_ok(),
        other => panic!("no reader of {other}"),
    }
}

fn owned(value: &Value) -> Bytes {
    bytes(value).into()
}

fn ends(case: &Value) -> PackageEnds {
    PackageEnds {
        sender_user: UserId::new(array(&case["sender_user"])),
        sender_device: DeviceId::new(array(&case["sender_device"])),
        recipient_user: UserId::new(array(&case["recipient_user"])),
        recipient_device: DeviceId::new(array(&case["recipient_device"])),
    }
}

fn entry(case: &Value) -> bool {
    let part = |name: &str| owned(&case[name]);
    let sealed =
        wire::SealedEntry { header: part("header"), signature: part("signature"), body: part("body") };
    SignedEntry::verify(sealed).is_ok()
}

/// The length before it is the transport's.
fn frame(bytes: &[u8]) -> bool {
    wire::Frame::decode(bytes).is_ok()
}

fn link(case: &Value) -> bool {
    let (key, olm_key) = (Secret::new(array(&case["key"])), array(&case["olm_key"]));
    let opened = open_link(&key, &bytes(&case["bytes"])).ok();
    let signed = opened.and_then(|content| wire::Signed::decode(content.as_slice()).ok());
    let signed = signed.and_then(|signed| Signed::from_wire(signed).ok());
    let device = DeviceId::new(array(&case["device"]));
    signed.is_some_and(|signed| Introduction::verify_link(signed, &device, &olm_key_of(olm_key)).is_ok())
}

fn olm_key_of(bytes: [u8; 32]) -> crate::ids::CurveKey {
    crate::ids::CurveKey::new(bytes)
}

fn pairwise(case: &Value) -> bool {
    let ends = ends(case);
    let context = PairwiseContext {
        sender_user: ends.sender_user,
        recipient_user: ends.recipient_user,
        sender_device: ends.sender_device,
        recipient_device: ends.recipient_device,
        channel: ChannelHash::new(array(&case["channel_hash"])),
    };
    context.decode_checked(&Zeroizing::new(bytes(&case["bytes"]))).is_ok()
}

fn token(case: &Value) -> bool {
    let Ok(recipient) = wire::Recipient::decode(bytes(&case["recipient"]).as_slice()) else { return false };
    let Ok((proof, path)) = Proof::from_recipient(&recipient) else { return false };
    let input = ProofInput {
        publish_id: PublishId::new(array(&case["publish_id"])),
        payload_hash: PayloadHash::of(&bytes(&case["payload"])),
        relay: RelayId::new(array(&case["relay"])),
        expiry: Timestamp::from_ms(case["expiry_ms"].as_u64().unwrap()),
    };
    let number = |name: &str| case[name].as_u64().unwrap();
    let class = u8::try_from(number("class")).unwrap();
    let now = Timestamp::from_ms(number("now_ms"));
    check(&Secret::new(array(&case["mailbox_secret"])), &path, &proof, &input, class, now).is_ok()
}
