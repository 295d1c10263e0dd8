use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::fixtures::{
    certificate, device, identity, introduction_fields, list, lists, mailbox, mailbox_secret, request,
};
use crate::crypto::{open_link, seal_link};
use crate::ids::{ConversationId, CurveKey, EntryId, Handle, Secret};
use crate::keys::*;
use crate::testing::hostile::assert_only_original;
use crate::token::{Step, TokenGrant};

pub(super) fn code() -> DeviceCode {
    let token = TokenGrant::issue(&mailbox_secret(3), Step::named(Handle::new([9; 8])));
    DeviceCode {
        device: device(13).device(),
        olm_key: CurveKey::new([13; 32]),
        name: Name::new("phone").unwrap(),
        key: Secret::new([17; 32]),
        grants: vec![DeliveryGrant { device: device(13).device(), mailbox: mailbox(3), token }],
    }
}

/// What device 11 of user 1 answers to device 13.
pub(super) fn link() -> Introduction {
    let user = identity(1);
    let fields = introduction_fields(IntroductionKind::Link);
    let fields = IntroductionFields {
        recipient_user: user.user(),
        recipient_device: device(13).device(),
        device_list: list(&user, Some(&list(&user, None, &[11])), &[11, 13]),
        ..fields
    };
    Introduction::issue(&device(11), fields)
}

/// Of device 11, by the list that has device 13 in its place.
pub(super) fn revoke() -> DeviceRevoke {
    let user = identity(1);
    let [_, second] = lists();
    assert!(second.has_revoked(&device(11).device()));
    let fields = DeviceRevokeFields {
        user: user.user(),
        list: second.hash(),
        device: device(11).device(),
        conversation: ConversationId::new([3; 32]),
        cut: Some((5, EntryId::new([4; 32]))),
    };
    DeviceRevoke::issue(&user, fields)
}

#[test]
fn a_code_comes_back_as_it_was() {
    let text = code().to_string();
    assert_eq!(DeviceCode::parse(&text), Ok(code()));
    assert_eq!(DeviceCode::parse(&format!(" {}\n{}", &text[..40], &text[40..])), Ok(code()));
    let invitation = super::fixtures::invitation().to_string();
    assert_eq!(
        DeviceCode::parse(&invitation),
        Err(LinkError::OtherScheme { what: "a device's code", scheme: "undertone:device/" })
    );
    assert_eq!(DeviceCode::parse(&text[..text.len() - 1]), Err(LinkError::Damaged));
}

#[test]
fn a_code_names_its_own_mailboxes_only() {
    let mut other = code();
    other.grants[0].device = device(14).device();
    assert!(matches!(DeviceCode::parse(&other.to_string()), Err(LinkError::Malformed(_))));
    other.grants.clear();
    assert!(matches!(DeviceCode::parse(&other.to_string()), Err(LinkError::Malformed(_))));
}

#[test]
fn a_link_is_for_the_device_that_showed_the_code() {
    let signed = link().signed;
    let device_13 = device(13).device();
    let own_key = CurveKey::new([13; 32]);
    let (introduction, own) = Introduction::verify_link(signed.clone(), &device_13, &own_key).unwrap();
    assert_eq!((introduction, own), (link(), certificate(&identity(1), 13)));
    let wrong_device = Introduction::verify_link(signed.clone(), &device(12).device(), &own_key);
    assert_eq!(wrong_device, Err(KeysError::WrongRecipient));
    let wrong_key = Introduction::verify_link(signed.clone(), &device_13, &CurveKey::new([12; 32]));
    assert_eq!(wrong_key, Err(KeysError::WrongDevice));
    // Elsewhere it is nothing, and nothing else is a link.
    assert!(Introduction::verify(signed, &identity(1).user(), &device_13).is_err());
    let request = Introduction::issue(&device(11), introduction_fields(request()));
    assert!(Introduction::verify_link(request.signed, &device(12).device(), &own_key).is_err());
}

#[test]
fn only_the_codes_key_opens_a_link() {
    let key = code().key;
    let sealed = seal_link(&key, b"an answer".to_vec(), &mut ChaCha20Rng::from_seed([6; 32])).unwrap();
    assert_eq!(open_link(&key, &sealed).unwrap(), b"an answer");
    assert!(open_link(&Secret::new([18; 32]), &sealed).is_err());
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1 << (at % 8);
        assert!(open_link(&key, &altered).is_err(), "byte {at}");
        assert!(open_link(&key, &sealed[..at]).is_err(), "cut to {at}");
    }
}

#[test]
fn a_revocation_holds_as_signed_only() {
    let revoke = revoke();
    assert_eq!(DeviceRevoke::verify(revoke.signed.clone()), Ok(revoke.clone()));
    assert_only_original(&revoke.signed, |signed| DeviceRevoke::verify(signed).is_ok());
    let nothing = DeviceRevokeFields { cut: None, ..revoke.fields };
    let nothing = DeviceRevoke::issue(&identity(1), nothing);
    assert_eq!(DeviceRevoke::verify(nothing.signed.clone()), Ok(nothing));
}
