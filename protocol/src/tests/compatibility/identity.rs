use serde_json::Value;

use super::{array, bytes, list, recorded, signed, text};
use crate::ids::{DeviceId, DeviceListHash, Handle, Locator, Secret, UserId};
use crate::keys::*;
use crate::time::Timestamp;
use crate::token::{CLASS_0, DELIVER, TokenGrant};

const ISSUED: Timestamp = Timestamp::from_ms(1_700_000_000_000);

fn user(recorded: &Value, at: usize) -> UserId {
    UserId::new(array(&recorded["identities"][at]["public_key"]))
}

fn device(recorded: &Value, at: usize) -> DeviceId {
    DeviceId::new(array(&recorded["devices"][at]["public_key"]))
}

#[test]
fn keys_and_phrases() {
    let recorded = recorded("identity.json");
    for at in [0, 1] {
        let seed = Secret::new(array(&recorded["identities"][at]["seed"]));
        assert_eq!(IdentityKey::from_seed(&seed).user(), user(&recorded, at));
        let seed = Secret::new(array(&recorded["devices"][at]["seed"]));
        assert_eq!(DeviceKey::from_seed(&seed).device(), device(&recorded, at));
    }
    let phrase = &recorded["phrase"];
    let read = RecoveryPhrase::parse(text(&phrase["words"])).unwrap();
    assert_eq!(read.words(), text(&phrase["words"]));
    let identity = IdentityKey::from_phrase(&read);
    assert_eq!(identity.seed().expose(), &array(&phrase["identity_seed"]));
    assert_eq!(identity.user().as_bytes(), &array(&phrase["user"]));
    let direct = direct_conversation(&user(&recorded, 1), &user(&recorded, 0));
    assert_eq!(direct.as_bytes(), &array(&recorded["direct_conversation"]));
}

#[test]
fn certificates_and_device_lists() {
    let recorded = recorded("identity.json");
    let certificate = Certificate::verify(signed(&recorded["certificate"])).unwrap();
    assert_eq!((certificate.user, certificate.device), (user(&recorded, 0), device(&recorded, 0)));
    assert_eq!((certificate.olm_key.as_bytes(), certificate.name.as_str()), (&[11; 32], "device 11"));
    assert_eq!(certificate.created, ISSUED);

    let lists: Vec<_> = list(&recorded["device_lists"])
        .iter()
        .map(|list| {
            let read = DeviceList::verify(signed(&list["signed"])).unwrap();
            assert_eq!(read.hash(), DeviceListHash::new(array(&list["hash"])));
            read
        })
        .collect();
    let [first, second] = &lists[..] else { panic!("{lists:?}") };
    assert_eq!((first.number, first.prev, second.number, second.prev), (1, None, 2, Some(first.hash())));
    assert_eq!(second.judge(Some(first)), ListVerdict::Newer);
    assert_eq!(first.active_device(&certificate.device), Some(&certificate));
    assert_eq!(second.active_device(&certificate.device), None, "it was revoked");
    assert_eq!(second.active().map(|active| active.name.as_str()).collect::<Vec<_>>(), ["device 13"]);
}

#[test]
fn bundles_and_prekeys() {
    let recorded = recorded("identity.json");
    let open = |kind, blob: &Value| {
        let (key, locator) = (Secret::new(array(&blob["key"])), Locator::new(array(&blob["locator"])));
        let opened = open_blob(kind, &bytes(&blob["sealed"]), &key, &locator).unwrap();
        assert_eq!(opened, signed(&blob["signed"]));
        opened
    };
    let (user, device) = (user(&recorded, 0), device(&recorded, 0));
    let bundle =
        Bundle::verify(open(SealedBlob::Bundle, &recorded["bundle"]), &user, &device).unwrap().fields;
    assert_eq!((bundle.certificate.device, bundle.device_list.number), (device, 1));
    assert_eq!((&bundle.xwing_key[..], bundle.fallback_prekey.as_bytes()), (&[9; 1_216][..], &[8; 32]));
    assert_eq!(bundle.issued, ISSUED);
    let [first, second] = &bundle.mailboxes[..] else { panic!("{bundle:?}") };
    assert_eq!((first.mailbox.as_bytes(), first.epoch, first.priority), (&[1; 16], 1, 1));
    assert_eq!((second.mailbox.as_bytes(), second.epoch, second.priority), (&[2; 16], 1, 2));
    assert_eq!(second.relay.relay.as_bytes(), &[2; 32]);
    assert_eq!(second.relay.addresses, ["/dns4/relay-2.example/tcp/4001"]);
    let prekey = Prekey::verify(open(SealedBlob::Prekey, &recorded["prekey"]), &device).unwrap();
    assert_eq!(prekey.key.as_bytes(), &[3; 32]);
}

#[test]
fn invitations() {
    let recorded = recorded("identity.json");
    let invitation = Invitation::parse(text(&recorded["invitation"])).unwrap();
    assert_eq!((invitation.user, invitation.device), (user(&recorded, 0), device(&recorded, 0)));
    assert_eq!((invitation.name.as_str(), invitation.bundle_key.expose()), ("Ann", &[5; 32]));
    let [first, second] = &invitation.relays[..] else { panic!("{invitation:?}") };
    assert_eq!((first.locator.as_bytes(), second.locator.as_bytes()), (&[81; 32], &[82; 32]));
    assert_eq!(first.mailbox.relay.addresses, ["/dns4/relay-1.example/tcp/4001"]);
    let [step] = first.introduction.path() else { panic!("{first:?}") };
    assert_eq!((step.handle, step.rights, step.classes), (Handle::new([7; 8]), DELIVER, CLASS_0));
    assert_eq!(step.not_after, Some(Timestamp::from_ms(1_700_604_800_000)));
    assert_eq!(first.introduction, TokenGrant::issue(&Secret::new([41; 32]), step.clone()));
}

#[test]
fn introductions() {
    let recorded = recorded("identity.json");
    let read = |name: &str| {
        let introduction = signed(&recorded[name]);
        Introduction::verify(introduction, &user(&recorded, 1), &device(&recorded, 1)).unwrap().fields
    };
    assert_eq!(read("request").kind, IntroductionKind::Request { invitation: Handle::new([7; 8]) });
    let accept = read("accept");
    assert_eq!((accept.kind, accept.name.as_str()), (IntroductionKind::Accept, "Ann"));
    assert_eq!((accept.certificate.device, accept.issued), (device(&recorded, 0), ISSUED));
    let ([bundle], [grant]) = (&accept.bundles[..], &accept.grants[..]) else { panic!("{accept:?}") };
    assert_eq!((bundle.locator.as_bytes(), bundle.key.expose()), (&[81; 32], &[5; 32]));
    assert_eq!(grant.mailbox.mailbox.as_bytes(), &[1; 16]);
    let [step] = grant.token.path() else { panic!("{grant:?}") };
    assert_eq!(grant.token, TokenGrant::issue(&Secret::new([41; 32]), step.clone()));
}
