use bytes::Bytes;
use proptest::prelude::*;

use super::fixtures::{certificate, device, identity, introduction_fields, list, request};
use crate::codec::{Label, Signed, sign};
use crate::ids::ConversationId;
use crate::keys::*;
use crate::testing::hostile::{altered, assert_only_original, mutated};
use crate::wire;

const GROUP: ConversationId = ConversationId::new([3; 32]);

fn verify(signed: Signed) -> Result<Introduction, KeysError> {
    Introduction::verify(signed, &identity(2).user(), &device(12).device())
}

fn issued(change: impl FnOnce(&mut IntroductionFields)) -> Signed {
    let mut fields = introduction_fields(request());
    change(&mut fields);
    Introduction::issue(&device(11), fields).signed
}

#[test]
fn all_kinds_round_trip() {
    let member = IntroductionKind::Member { group: GROUP };
    for kind in [request(), IntroductionKind::Accept, member] {
        let introduction = Introduction::issue(&device(11), introduction_fields(kind));
        assert_eq!(verify(introduction.signed.clone()), Ok(introduction));
    }
}

#[test]
fn it_holds_as_signed_only() {
    let signed = issued(|_| ());
    assert_only_original(&signed, |signed| verify(signed).is_ok());
    let other = sign(Label::Bundle, device(11).signing_key(), signed.body.clone());
    assert!(matches!(verify(other), Err(KeysError::BadSignature(_))), "another label");
    let other = sign(Label::Introduction, device(12).signing_key(), signed.body);
    assert!(matches!(verify(other), Err(KeysError::BadSignature(_))), "another device's signature");
}

#[test]
fn it_is_for_one_device_of_one_user() {
    let signed = issued(|_| ());
    let to = |user: u8, seed: u8| {
        Introduction::verify(signed.clone(), &identity(user).user(), &device(seed).device())
    };
    assert_eq!(to(3, 12), Err(KeysError::WrongRecipient));
    assert_eq!(to(2, 13), Err(KeysError::WrongRecipient));
}

#[test]
fn its_sender_is_an_active_device_of_its_own_list() {
    let foreign = issued(|fields| fields.device_list = list(&identity(3), None, &[11]));
    assert_eq!(verify(foreign), Err(KeysError::WrongUser));
    let unlisted = issued(|fields| fields.device_list = list(&identity(1), None, &[14]));
    assert_eq!(verify(unlisted), Err(KeysError::NotListed));
    let revoked = ListedDevice { certificate: certificate(&identity(1), 11), revoked: true };
    let revoked = issued(|fields| fields.device_list = DeviceList::issue(&identity(1), None, vec![revoked]));
    assert_eq!(verify(revoked), Err(KeysError::NotListed));
}

#[test]
fn addresses_are_of_listed_devices() {
    let bundle = issued(|fields| fields.bundles[0].device = device(14).device());
    assert_eq!(verify(bundle), Err(KeysError::NotListed));
    let grant = issued(|fields| fields.grants[0].device = device(14).device());
    assert_eq!(verify(grant), Err(KeysError::NotListed));
}

#[test]
fn an_ill_formed_one_is_refused_though_signed() {
    type Change = fn(&mut wire::Introduction);
    let changes: [(&str, Change); 13] = [
        ("version", |body| body.version = 2),
        ("suite", |body| body.suite = 2),
        ("no kind", |body| body.kind = 0),
        ("unknown kind", |body| body.kind = 3),
        ("recipient", |body| body.recipient_user = Bytes::new()),
        ("a request without invitation", |body| body.invitation = Bytes::new()),
        ("certificate", |body| body.certificate = None),
        ("device list", |body| body.device_list = None),
        ("no bundle", |body| body.bundles.clear()),
        ("no mailbox", |body| body.grants.clear()),
        ("a token without steps", |body| body.grants[0].token.as_mut().unwrap().path.clear()),
        ("no profile", |body| body.profile = None),
        ("name", |body| body.profile = Some(wire::Profile { name: "a\nb".to_owned() })),
    ];
    let signed = issued(|_| ());
    for (what, change) in changes {
        let other = altered(Label::Introduction, device(11).signing_key(), &signed, change);
        assert!(matches!(verify(other), Err(KeysError::Malformed(_))), "{what}");
    }
}

/// It speaks in a group, and is nothing without one.
#[test]
fn a_member_names_the_group() {
    let kind = IntroductionKind::Member { group: GROUP };
    let signed = issued(|fields| fields.kind = kind);
    type Change = fn(&mut wire::Introduction);
    let changes: [Change; 2] = [|body| body.group = Bytes::new(), |body| body.group = vec![3; 31].into()];
    for change in changes {
        let other = altered(Label::Introduction, device(11).signing_key(), &signed, change);
        assert!(matches!(verify(other), Err(KeysError::Malformed(_))));
    }
}

#[test]
fn addresses_are_bounded() {
    type Change = fn(&mut wire::Introduction);
    let changes: [Change; 2] = [
        |body| body.bundles = vec![body.bundles[0].clone(); 257],
        |body| body.grants = vec![body.grants[0].clone(); 257],
    ];
    for change in changes {
        let other = altered(Label::Introduction, device(11).signing_key(), &issued(|_| ()), change);
        assert!(matches!(verify(other), Err(KeysError::Malformed(_))));
    }
}

proptest! {
    #[test]
    fn any_signed_bytes_are_read_without_panic(body: Vec<u8>, edits: Vec<(usize, u8)>) {
        let key = device(11);
        prop_assert!(verify(sign(Label::Introduction, key.signing_key(), body)).is_err());
        let edited = mutated(Label::Introduction, key.signing_key(), &issued(|_| ()), &edits);
        if let Ok(read) = verify(edited) {
            prop_assert_eq!(read.fields.certificate.device, key.device());
        }
    }
}
