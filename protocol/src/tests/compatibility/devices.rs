use prost::Message;

use super::{array, bytes, owned, recorded, signed, text};
use crate::codec::{Label, Signed};
use crate::crypto::open_link;
use crate::entry::{AccountState, BlockedFrom, Content, EntryBody};
use crate::ids::{DeviceListHash, EntryId, Handle, Secret};
use crate::keys::*;
use crate::time::Timestamp;
use crate::wire;

const TIME: Timestamp = Timestamp::from_ms(1_700_000_000_000);

#[test]
fn codes_and_their_answers() {
    let recorded = recorded("devices.json");
    let code = DeviceCode::parse(text(&recorded["device_code"])).unwrap();
    assert_eq!((code.name.as_str(), code.olm_key.as_bytes()), ("phone", &[13; 32]));
    let ([grant], key) = (&code.grants[..], &code.key) else { panic!("{:?}", code.grants) };
    assert_eq!((grant.device, grant.mailbox.mailbox.as_bytes()), (code.device, &[3; 16]));
    assert_eq!((grant.token.path()[0].handle, key.expose()), (Handle::new([9; 8]), &[17; 32]));

    let link = &recorded["link"];
    assert_eq!(key, &Secret::new(array(&link["key"])));
    let opened = open_link(key, &bytes(&link["payload"])).unwrap();
    let opened = Signed::from_wire(wire::Signed::decode(opened.as_slice()).unwrap()).unwrap();
    assert_eq!(opened, signed(&link["signed"]));
    let (link, own) = Introduction::verify_link(opened, &code.device, &code.olm_key).unwrap();
    assert_eq!((own.device, own.name.as_str()), (code.device, "device 13"));
    assert_eq!((link.fields.kind, link.fields.device_list.number), (IntroductionKind::Link, 2));
    assert_eq!((link.fields.name.as_str(), link.fields.issued), ("Ann", TIME));
}

#[test]
fn revocations() {
    let recorded = recorded("devices.json");
    let code = DeviceCode::parse(text(&recorded["device_code"])).unwrap();
    let revoke = DeviceRevoke::verify(signed(&recorded["device_revoke"])).unwrap().fields;
    assert_eq!((revoke.device, revoke.conversation.as_bytes()), (code.device, &[3; 32]));
    assert_eq!(revoke.cut, Some((5, EntryId::new([4; 32]))));
    let next = &recorded["next_handle"];
    assert_eq!(revoke.list, DeviceListHash::new(array(&next["list"])));
    let handle = Handle::new(array(&next["former"])).after(&revoke.list);
    assert_eq!(handle, Handle::new(array(&next["next"])));
}

#[test]
fn contents() {
    let contents = &recorded("devices.json")["contents"];
    let content = |name: &str| EntryBody::from_bytes(owned(&contents[name])).unwrap().content;
    let user = IdentityKey::from_seed(&Secret::new([1; 32])).user();
    let verifies = |signed: &Signed, label| {
        assert_eq!(signed.body.as_ref(), b"stands for what is signed");
        assert_eq!(signed.verify(label, user.as_bytes()), Ok(()));
    };
    let Content::Devices(change) = content("devices") else { panic!("no devices") };
    verifies(&change.device_list, Label::DeviceList);
    assert_eq!(change.revocations.len(), 1);
    verifies(&change.revocations[0], Label::DeviceRevoke);

    let Content::Account(record) = content("account") else { panic!("no record") };
    assert_eq!((record.user.as_bytes(), &record.replaces[..]), (&[2; 32], &[EntryId::new([5; 32])][..]));
    assert_eq!(record.state, AccountState::Blocked { since: TIME, was: BlockedFrom::Accepted });
    assert_eq!((record.name.as_str(), record.verified), ("Bob", true));
    assert_eq!((record.token, record.invitation), (Handle::new([6; 8]), Some(Handle::new([7; 8]))));
    verifies(&record.device_list.unwrap(), Label::DeviceList);
    assert!(record.bundles.is_empty() && record.grants.is_empty());
}
