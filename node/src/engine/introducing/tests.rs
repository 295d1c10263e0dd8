use std::time::Duration;

use prost::bytes::Bytes;

use undertone_protocol::ids::{CurveKey, MailboxId, RelayId, Secret};
use undertone_protocol::keys::{
    Certificate, DeliveryGrant, DeviceKey, DeviceList, IdentityKey, ListedDevice, MailboxAddress, Name,
    RelayAddress,
};
use undertone_protocol::token::{Step, TokenGrant};

use super::*;
use crate::engine::introductions::{accepted, admit};
use crate::engine::names;
use crate::engine::tests::{START, on_a_device};

/// Or what it says by a clock that is right would not count, for as long as its clock was ahead.
#[test]
fn what_a_device_says_later_is_later_whatever_its_clock_says() {
    on_a_device(|ctx| {
        ctx.now = START.after(Duration::from_secs(3_600));
        let ahead = issued(ctx).unwrap();
        ctx.now = START;
        let (next, last) = (issued(ctx).unwrap(), issued(ctx).unwrap());
        assert!(ahead < next && next < last);
        ctx.now = last.after(Duration::from_secs(1));
        assert_eq!(issued(ctx).unwrap(), ctx.now);
    });
}

/// Whom another device of the user asked knows this one by an accept at the latest.
#[test]
fn a_device_that_did_not_ask_itself_answers_an_accept() {
    for has_asked in [true, false] {
        on_a_device(|ctx| {
            let user = UserId::new([7; 32]);
            let mut contact = names::stranger(ctx, user, Name::new("Ada").unwrap(), ContactState::Requesting);
            if has_asked {
                let (to, purpose) = ([DeviceId::new([8; 32])], Purpose::Introduction(user));
                outgoing::put(ctx, &user, &to, purpose, NO_GROUP, Bytes::from_static(b"sealed")).unwrap();
            }
            accepted(ctx, &mut contact).unwrap();
            assert_eq!(contact.introduction_due, !has_asked);
        });
    }
}

/// Its clock was a little ahead of this one, jumped far ahead, and was set back. Of the same tokens, one that a relay held
/// back must not undo what was said later.
#[test]
fn of_a_device_that_says_later_counts_which_was_issued_later() {
    on_a_device(|ctx| {
        let identity = IdentityKey::from_seed(&Secret::new([7; 32]));
        let key = DeviceKey::from_seed(&Secret::new([8; 32]));
        let name = Name::new("Ada").unwrap();
        let certificate =
            Certificate::issue(&identity, key.device(), CurveKey::new([9; 32]), name.clone(), START);
        let user = certificate.user;
        let known = Contact::new(user, name.clone(), ContactState::Accepted, Handle::new([7; 8]), START);
        ctx.tx.put_contact(&known).unwrap();
        let listed = ListedDevice { certificate: certificate.clone(), revoked: false };
        let device_list = DeviceList::issue(&identity, None, vec![listed]);
        let says = |ctx: &mut Context<'_>, ahead: Duration, token: u8| {
            let relay =
                RelayAddress { relay: RelayId::new([1; 32]), addresses: vec!["/ip4/127.0.0.1/tcp/1".into()] };
            let mailbox = MailboxAddress { relay, mailbox: MailboxId::new([1; 16]), epoch: 1, priority: 0 };
            let token = TokenGrant::issue(&Secret::new([1; 32]), Step::named(Handle::new([token; 8])));
            let fields = IntroductionFields {
                kind: IntroductionKind::Accept,
                recipient_user: ctx.me.user,
                recipient_device: ctx.me.device,
                certificate: certificate.clone(),
                device_list: device_list.clone(),
                bundles: Vec::new(),
                grants: vec![DeliveryGrant { device: key.device(), mailbox, token: token.clone() }],
                name: name.clone(),
                issued: START.after(ahead),
            };
            assert!(matches!(admit(ctx, &Introduction::issue(&key, fields)), Ok(Ok(()))));
            ctx.tx.contact(&user).unwrap().unwrap().grants.iter().any(|grant| grant.token == token)
        };
        let (little, far) = (Duration::from_secs(1_200), Duration::from_secs(98 * 24 * 3_600));
        assert!(says(ctx, little, 1));
        assert!(says(ctx, far, 2));
        assert!(says(ctx, far + Duration::from_millis(1), 3));
        assert!(!says(ctx, far, 2));
    });
}
