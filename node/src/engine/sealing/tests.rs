use undertone_protocol::entry::{EntryBody, Text};
use undertone_protocol::keys::Name;

use super::super::tests::{has_another, on_a_device};
use super::super::{groups, writing};
use super::*;

/// Nobody else is left, and the other devices get it as history: whatever they say of it moves no tick.
#[test]
fn what_says_nothing_any_more_waits_for_no_device_of_ones_own() {
    on_a_device(|ctx| {
        has_another(ctx, DeviceId::new([7; 32]));
        let group = groups::create(ctx, Name::new("Club").unwrap()).unwrap().unwrap();
        let circle = Circle::Group(group.clone());
        let body = EntryBody::new(Content::Text(Text::plain("said")), ctx.rng).unwrap();
        let id = writing::append_to_group(ctx, &group, body).unwrap();
        ctx.tx.drop_body(&id).unwrap();
        let person = own::own_contact(ctx).unwrap().unwrap();
        let authorised = own::siblings(ctx);
        let recipient = Recipient { person, reachable: authorised.clone(), authorised };
        let unsealed = ctx.tx.deliveries_unsealed(&group.id, SEAL_MAX).unwrap();
        seal_some(ctx, &circle, &[recipient], unsealed).unwrap();
        let delivery = ctx.tx.delivery(&id).unwrap().unwrap();
        assert!(delivery.sealed);
        assert_eq!(delivery.tick, Tick::Read);
    });
}
