use prost::Message;

use super::{array, bytes, list, owned, recorded, signed, text};
use crate::codec::{Label, Signed, unpad, verify};
use crate::crypto::*;
use crate::ids::{ChannelHash, DeviceId, Secret, Tag, UserId};
use crate::wire;
use crate::wire::pairwise::Body;

#[test]
fn padding_signatures_and_safety_numbers() {
    let recorded = recorded("crypto.json");
    for padded in list(&recorded["padding"]) {
        assert_eq!(unpad(&bytes(&padded["padded"])), Ok(&bytes(&padded["content"])[..]));
    }
    let one = &recorded["signature"];
    assert_eq!(text(&one["label"]), Label::Entry.as_str());
    let signature = array(&one["signature"]);
    assert_eq!(verify(Label::Entry, &array(&one["public_key"]), &bytes(&one["body"]), &signature), Ok(()));
    let numbers = &recorded["safety_number"];
    let number = safety_number(&UserId::new(array(&numbers["other"])), &UserId::new(array(&numbers["one"])));
    assert_eq!(number, text(&numbers["number"]));
}

#[test]
fn channels() {
    let recorded = &recorded("crypto.json")["channel"];
    let key = XWingKey::from_seed(Secret::new(array(&recorded["xwing_seed"])));
    assert_eq!(key.public().as_bytes(), bytes(&recorded["xwing_public_key"]));
    let device = DeviceId::new(array(&recorded["recipient_device"]));
    let [first, second] = list(&recorded["payloads"]) else { panic!("{recorded}") };
    let (mut channel, content) = InboundChannel::accept(&[key], &device, &bytes(first)).unwrap();
    assert_eq!(content, b"opening");
    assert_eq!(channel.hash().as_bytes(), &array(&recorded["channel_hash"]));
    let tags: Vec<_> = list(&recorded["tags"]).iter().map(|tag| Tag::new(array(tag))).collect();
    assert_eq!(channel.tags(0, 3).into_iter().map(|(_, tag)| tag).collect::<Vec<_>>(), tags);
    assert_eq!(classify(&bytes(second)), Ok(PayloadKind::Channel { tag: tags[1] }));
    assert_eq!(channel.open(&bytes(second)).unwrap(), b"later");
}

#[test]
fn messages() {
    let recorded = &recorded("crypto.json")["message"];
    let key = HeaderKey::from_slice(&bytes(&recorded["header_key"])).unwrap();
    let payload = bytes(&recorded["payload"]);
    assert_eq!(classify(&payload), Ok(PayloadKind::Message { tag: Tag::new(array(&recorded["tag"])) }));
    assert_eq!(key.open(5, &payload).unwrap(), b"stands for a Megolm message");
}

fn device() -> DeviceId {
    let seed = Secret::new([11; 32]);
    crate::keys::DeviceKey::from_seed(&seed).device()
}

#[test]
fn key_packages() {
    let ends = PackageEnds {
        sender_user: UserId::new([1; 32]),
        sender_device: device(),
        recipient_user: UserId::new([2; 32]),
        recipient_device: DeviceId::new([4; 32]),
    };
    let package = KeyPackage::verify(&signed(&recorded("messages.json")["key_package"]), &ends).unwrap();
    assert_eq!((package.conversation.as_bytes(), package.session.as_bytes()), (&[6; 32], &[7; 32]));
    assert_eq!((package.first_index, package.next_seq), (3, 9));
    assert_eq!(package.membership_heads.iter().map(|head| head.as_bytes()[0]).collect::<Vec<_>>(), [8, 9]);
    assert_eq!(package.session_key.as_slice(), &[10; SESSION_KEY_BYTES]);
    assert_eq!(package.header_key.expose(), &[12; 32]);
}

fn pairwise(name: &str) -> Body {
    decoded(&bytes(&recorded("messages.json")["pairwise"][name]))
}

fn decoded(plaintext: &[u8]) -> Body {
    let context = PairwiseContext {
        sender_user: UserId::new([1; 32]),
        recipient_user: UserId::new([2; 32]),
        sender_device: device(),
        recipient_device: DeviceId::new([4; 32]),
        channel: ChannelHash::new([5; 32]),
    };
    let message = context.decode_checked(plaintext).unwrap();
    assert_eq!((message.acknowledged_channel.as_ref(), message.acknowledged_count), (&[14; 32][..], 5));
    message.body.unwrap()
}

fn verifies(label: Label, signed: wire::Signed) {
    let signed = Signed::from_wire(signed).unwrap();
    assert_eq!(signed.body.as_ref(), b"stands for what is signed");
    assert_eq!(signed.verify(label, device().as_bytes()), Ok(()));
}

#[test]
fn pairwise_messages() {
    let Body::KeyPackage(package) = pairwise("key_package") else { panic!("no key package") };
    assert_eq!(Signed::from_wire(package), Ok(signed(&recorded("messages.json")["key_package"])));
    let Body::Acknowledgement(one) = pairwise("acknowledgement") else { panic!("no acknowledgement") };
    verifies(Label::Acknowledgement, one);
    let Body::DeviceList(one) = pairwise("device_list") else { panic!("no device list") };
    verifies(Label::DeviceList, one);
    let Body::Entry(entry) = pairwise("entry") else { panic!("no entry") };
    assert_eq!((entry.header.as_ref(), entry.body.as_ref()), (&b"header"[..], &b"body"[..]));
    assert_eq!(entry.signature.as_ref(), &[13; 64]);
    assert!(matches!(pairwise("nothing"), Body::Nothing(_)));
    assert!(matches!(pairwise("retry"), Body::Retry(_)));
    let Body::Entries(entries) = decoded(&bytes(&recorded("devices.json")["entries"])) else {
        panic!("no entries")
    };
    assert_eq!(entries.entries, [entry.clone(), entry]);
}

#[test]
fn channel_contents() {
    let content = owned(&recorded("messages.json")["channel_content"]);
    let content = wire::ChannelContent::decode(content).unwrap();
    let introduction = Signed::from_wire(content.introduction.unwrap()).unwrap();
    assert_eq!(introduction.body.as_ref(), b"stands for an introduction");
    assert_eq!(introduction.verify(Label::Introduction, device().as_bytes()), Ok(()));
    let olm = content.olm.unwrap();
    assert!(olm.prekey);
    assert_eq!(olm.ciphertext.as_ref(), b"stands for an Olm message");
    assert_eq!(content.sender.as_ref(), device().as_bytes());
}
