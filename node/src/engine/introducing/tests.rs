use std::time::Duration;

use prost::bytes::Bytes;

use undertone_protocol::keys::Name;

use super::*;
use crate::engine::introductions::accepted;
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
